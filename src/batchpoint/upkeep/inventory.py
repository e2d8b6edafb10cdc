"""What stands in a home that might go, as ``rules`` looks at it: taken once, without changing anything.

``prune`` takes it. Whether something may really go is asked again when it goes, in ``removal``.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.job import Job
from batchpoint.environments.spec import read_spec
from batchpoint.errors import UserError
from batchpoint.storage.accounts.account import CONTAINER_OF, PENDING, Account, accounts
from batchpoint.storage.atomic import is_aside
from batchpoint.storage.content import UPLOADS
from batchpoint.storage.datastores import DEFAULT_DATASTORE
from batchpoint.storage.discarding import size_of
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.storage.lock import is_locked
from batchpoint.store.store import Store
from batchpoint.store.tables.retention import KeptJob


@dataclass(frozen=True)
class JobFiles:
    """A job that has ended, and what its folder holds. Moments are seconds since the epoch, sizes bytes."""

    name: str
    workspace: str
    ended_at: float
    #: Plan, segments, what was downloaded or staged.
    segments: int
    logs: int
    rest: int


@dataclass(frozen=True)
class Thing:
    """An environment, an upload, a leftover: something in a place of its own."""

    name: str
    path: Path
    used_at: float
    size: int
    #: True for what must stay, however old it is.
    is_needed: bool = False


@dataclass(frozen=True)
class Inventory:
    """Everything in a home that might go."""

    jobs: tuple[JobFiles, ...]
    environments: tuple[Thing, ...]
    #: Content by hash in the default datastore, and uploads that never came to their end.
    uploads: tuple[Thing, ...]
    #: Folders in ``jobs`` that no job has.
    orphans: tuple[Thing, ...]
    #: Half-written files of processes that died, locks of environments that are gone.
    leftovers: tuple[Thing, ...]
    #: Logs of the home itself.
    logs: tuple[Thing, ...]


def take_inventory(store: Store, home: Path) -> Inventory:
    """Look at everything; what vanishes meanwhile is left out."""
    orphans = list(job_folders(home))
    jobs = store.kept_jobs()
    known = {kept.job.name for kept in jobs}
    gone = [kept for kept in jobs if _has_gone(home, kept.job)]
    return Inventory(
        jobs=tuple(_job_files(home, kept) for kept in gone),
        environments=tuple(_environments(home, environments_in_use(home, (kept.job for kept in jobs)))),
        uploads=(*_uploads(home, store.referenced_hashes()), *_half_sent(home)),
        orphans=tuple(thing(path) for path in orphans if path.name not in known and not is_driven(path)),
        leftovers=(*_asides(home), *_unfinished(kept.job for kept in gone), *_stale_locks(home)),
        logs=tuple(
            thing(path, is_needed=is_attended(home))
            for path in (home / "server.log", home / "supervisor.log")
            if path.is_file()
        ),
    )


def thing(path: Path, used_at: float | None = None, *, is_needed: bool = False) -> Thing:
    """What stands at ``path``; last used when it was changed, unless it is known better."""
    return Thing(path.name, path, _changed(path) if used_at is None else used_at, size_of(path), is_needed)


def segment_paths(folder: JobFolder) -> list[Path]:
    """What a job that has ended keeps only to be scored again or downloaded in part."""
    return [
        folder.segments,
        folder.plan_items,
        folder.plan_header,
        folder.input,
        folder.staging,
        folder.gathered,
        folder.scratch,
        folder.worker_package,
        folder.model,
    ]


def log_paths(folder: JobFolder) -> list[Path]:
    """The logs of a job."""
    return [folder.logs, folder.user_log.parent, folder.driver_log]


def job_folders(home: Path) -> Iterator[Path]:
    """Folders in ``jobs``, those left aside by a deletion not among them."""
    with contextlib.suppress(FileNotFoundError):
        yield from (path for path in sorted((home / "jobs").iterdir()) if path.is_dir() and not is_aside(path.name))


def is_driven(folder: Path) -> bool:
    """Whether a living driver holds the job with this folder."""
    return is_locked(JobFolder(folder).lock)


def is_attended(home: Path) -> bool:
    """Whether a living server or supervisor writes to the logs of the home."""
    return any(is_locked(home / f"{who}.lock") for who in ("server", "supervisor"))


def upload_folders(home: Path) -> list[Path]:
    """Where content lies by hash: a folder for each workspace."""
    return [account.container(CONTAINER_OF[DEFAULT_DATASTORE]) / UPLOADS for account in accounts(home)]


def environments_in_use(home: Path, jobs: Iterable[Job]) -> set[str]:
    """Names of the environments of jobs that have not ended, or whose driver has not gone yet."""
    found = set()
    for job in jobs:
        environment = job.settings.environment
        if environment is None or environment.python or _has_gone(home, job):
            continue
        with contextlib.suppress(UserError):
            found.add(read_spec(environment).content_hash)
    return found


def _has_gone(home: Path, job: Job) -> bool:
    return job.status.is_terminal and not is_driven(job_folder(home, job.name).path)


def _job_files(home: Path, kept: KeptJob) -> JobFiles:
    folder = job_folder(home, kept.job.name)
    made = kept.job.creation_context.created_at if kept.job.creation_context else None
    moment = kept.job.ended_at or made
    segments, logs = (sum(map(size_of, paths)) for paths in (segment_paths(folder), log_paths(folder)))
    return JobFiles(
        name=kept.job.name,
        workspace=kept.workspace,
        ended_at=moment.timestamp() if moment else _changed(folder.path),
        segments=segments,
        logs=logs,
        rest=max(0, size_of(folder.path) - segments - logs),
    )


def _environments(home: Path, in_use: set[str]) -> Iterator[Thing]:
    for path in _folders(home / "environments"):
        # Held by who builds it, and by who was asked to and has not begun yet.
        is_needed = path.name in in_use or any(
            map(is_locked, (path.with_name(f"{path.name}.lock"), path / "asked.lock"))
        )
        complete = path / "complete"
        yield thing(path, _changed(complete if complete.exists() else path), is_needed=is_needed)


def _uploads(home: Path, referenced: set[str]) -> Iterator[Thing]:
    for path in (path for uploads in upload_folders(home) for path in _folders(uploads)):
        yield thing(path, is_needed=path.name in referenced)


def _half_sent(home: Path) -> Iterator[Thing]:
    blobs = (path for account in accounts(home) for path in _half_sent_blobs(account))
    for path in (*_folders(home / "uploads"), *blobs):
        yield thing(path, last_change(path))


def _half_sent_blobs(account: Account) -> Iterator[Path]:
    """Containers of files that may never have been registered, and blocks that no blob was made of."""
    yield from (path for path in _folders(account.folder) if path.name.startswith(PENDING))
    for about in _folders(account.about):
        yield from _folders(about / "blocks")
        if about.name.startswith(PENDING) and not account.container(about.name).is_dir():
            yield about


def last_change(folder: Path) -> float:
    """When anything in a folder was changed last."""
    return max(map(_changed, (folder, *folder.rglob("*"))))


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not is_aside(path.name)]


def _asides(home: Path) -> Iterator[Thing]:
    uploads = upload_folders(home)
    containers = [account.container(name) for account in accounts(home) for name in account.containers()]
    places = [home, home / "keys", *uploads, *containers, home / "jobs", home / "environments", home / "uploads"]
    places += [inner for place in (home / "environments", home / "uploads", *uploads) for inner in _folders(place)]
    places += [inner for job in job_folders(home) for inner in (job, job / "input")]
    for place in places:
        if place.is_dir():
            yield from (thing(path) for path in place.iterdir() if is_aside(path.name))


def _unfinished(jobs: Iterable[Job]) -> Iterator[Thing]:
    """Outputs whose driver died while it put them together; the name says which job they are of."""
    for job in jobs:
        folder = Path(job.settings.output_folder)
        with contextlib.suppress(OSError):
            if folder.is_absolute():
                yield from (thing(path) for path in folder.iterdir() if is_aside(path.name, job.name))


def _stale_locks(home: Path) -> Iterator[Thing]:
    folder = home / "environments"
    for path in sorted(folder.glob("*.lock")) if folder.is_dir() else []:
        if not path.with_suffix("").exists() and not is_locked(path):
            yield thing(path)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return time.time()
