"""Deletes jobs that have ended: the record, and the folder on this machine. What a job published is never touched.

The router of jobs and ``upkeep`` call it; it knows no HTTP.
"""

from pathlib import Path

from batchpoint.entities.naming import names
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceConflict
from batchpoint.storage.accounts.run_logs import forget_logs
from batchpoint.storage.discarding import discard, set_aside
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import try_lock
from batchpoint.store.store import Store

#: A driver that has just ended its job is given so long to go.
_PATIENCE_S = 2.0


def delete_job(store: Store, home: Path, w: str, name: str) -> None:
    """Forget the job and remove its folder; its name is free afterwards.

    Raises ResourceNotFound, and ResourceConflict while it has not ended or its driver lives. After a crash in the
    middle either the job is still there, to be deleted again, or only what ``prune`` removes.
    """
    folder = job_folder(home, names.JOB.checked(name))
    job = store.get_job(w, name)
    if job is None or not job.status.is_terminal or not folder.path.is_dir():
        store.delete_job(w, name)
        return
    with try_lock(folder.lock, _PATIENCE_S) as is_ours:
        if not is_ours:
            raise ResourceConflict(
                f"The driver of job {name} has not gone yet: it holds {folder.lock}. Try again in a moment; if that "
                "does not help, ask: doctor",
                target=name,
            )
        aside: list[Path | None] = []
        # Within the transaction: whoever gets the name next must not find the plan of this job.
        store.delete_job(w, name, lambda: aside.append(set_aside(folder.path)))
    forget_logs(home, Workspace(*w.split("/")), name)
    for path in aside:
        if path is not None:
            discard(path)
