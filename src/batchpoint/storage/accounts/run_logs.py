"""Owns the logs of ended jobs as blobs: where clients look that speak to the storage, ``ExperimentRun/dcid.<run>/``.

They are links to the files of the job's folder, and go with them. The run history and whoever deletes jobs ask here.
"""

import contextlib
import logging
import os
import shutil
from pathlib import Path

from batchpoint.entities.job import ARTIFACT_STORE, artifact_folder
from batchpoint.entities.workspace import Workspace
from batchpoint.storage.accounts.account import CONTAINER_OF, account_of, opened
from batchpoint.storage.atomic import aside_path
from batchpoint.storage.discarding import discard, set_aside
from batchpoint.storage.job_folder import job_folder

log = logging.getLogger(__name__)

#: The folders of a job that are its logs.
LOG_FOLDERS = ("logs", "user_logs")


def show_logs(home: Path, workspace: Workspace, job: str) -> None:
    """Have the logs of an ended job stand in the artifact store of its workspace, as they are now.

    A disk without room keeps nobody from the output: then logs are missing there, and stand in the job's folder only.
    """
    try:
        _show(home, workspace, job)
    except OSError as error:
        log.warning("the logs of job %s cannot be shown in the artifact store: %s", job, error)


def _show(home: Path, workspace: Workspace, job: str) -> None:
    source = job_folder(home, job).path
    target = opened(home, workspace).container(CONTAINER_OF[ARTIFACT_STORE]) / artifact_folder(job)
    for name in LOG_FOLDERS:
        for here, _, files in os.walk(source / name):
            for file in files:
                path = Path(here, file)
                # A link of a script may lead anywhere.
                if not path.is_symlink():
                    _linked(path, target / path.relative_to(source))


def forget_logs(home: Path, workspace: Workspace, job: str) -> None:
    """Remove what ``show_logs`` has made."""
    target = account_of(home, workspace).container(CONTAINER_OF[ARTIFACT_STORE]) / artifact_folder(job)
    if aside := set_aside(target):
        discard(aside)


def _linked(path: Path, target: Path) -> None:
    # The log of an earlier revision may stand there.
    with contextlib.suppress(FileNotFoundError):
        if target.samefile(path):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_path(target.parent)
    try:
        try:
            os.link(path, aside)
        except OSError:
            # The home may lie on several file systems.
            shutil.copyfile(path, aside)
        aside.replace(target)
    except FileNotFoundError:
        # Pruned meanwhile.
        return
    finally:
        aside.unlink(missing_ok=True)
