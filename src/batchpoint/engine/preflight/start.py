"""Starts one worker and lets it load the script and run init(), without anything to score.

``checks`` calls it where there is no input; with one, the workers of the sample do the same.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute.pool import Exited, Said, Slot
from batchpoint.engine import messages
from batchpoint.engine.deaths import why_gone
from batchpoint.engine.messages import Failure, InitFailed, Ready
from batchpoint.engine.preparation.pools import open_pool
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.entities.job import Job
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder

_LOOK_S = 0.5


@dataclass(frozen=True)
class Started:
    """A worker whose init() has returned."""

    python: str
    init_s: float
    #: From the start of the process.
    seconds: float


def start_once(job: Job, folder: JobFolder, settings: Settings, python: str, note: Callable[[str], None]) -> Started:
    """Raises StartFailed with what the worker said; nothing of it is left."""
    began = time.monotonic()
    start = WorkerStart(job, folder, python, str(folder.path), "0", settings.child_environ())
    start.prepare()
    slot = Slot(0, 0)
    pool = open_pool(job, folder, settings, python, note)
    try:
        pool.start(0, start.spec(0, slot))
        pool.send(0, start.first_line(0, slot))
        while (left := began + settings.init_timeout_s - time.monotonic()) > 0:
            for event in pool.receive(min(left, _LOOK_S)):
                ready = _understood(event)
                if ready is not None:
                    return Started(ready.python, ready.init_s, time.monotonic() - began)
        limit = f"{settings.init_timeout_s:g}"
        raise StartFailed(Failure("InitTimeout", f"init() did not return within {limit} seconds (init_timeout_s)."))
    except OSError as error:
        why = f"The interpreter {python} does not start: {error.strerror}."
        raise StartFailed(Failure("EnvironmentBuildFailed", why)) from error
    finally:
        pool.close()


class StartFailed(Exception):
    """The worker did not get ready."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def _understood(event: Said | Exited) -> Ready | None:
    if isinstance(event, Exited):
        raise StartFailed(why_gone(event)[0])
    try:
        said = messages.parse(event.worker, event.line)
    except ValueError as error:
        raise StartFailed(Failure("WorkerCrashed", "The script wrote to the worker's own channel.")) from error
    if isinstance(said, InitFailed):
        raise StartFailed(said.failure)
    return said if isinstance(said, Ready) else None


def place_of(folder: Path) -> JobFolder:
    """The folder of a job that scores nothing."""
    return JobFolder(folder.absolute() / "start")
