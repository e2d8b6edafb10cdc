"""``python -m batchpoint.engine JOB``: the driver process of one stored job, started by a supervisor.

Exit status 0: the job has ended, or another driver has it. 75: the store could not be reached; start again later.
"""

import logging
import sys
import time

from batchpoint.engine.run import JobRun
from batchpoint.errors import Fenced, ResourceNotFound, StoreUnavailable
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.storage.lock import try_lock
from batchpoint.store.store import open_store

log = logging.getLogger("batchpoint.engine")

TRY_AGAIN_LATER = 75
LOCK_TRIES = 5


def main(arguments: list[str]) -> int:
    """Drive the job named on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    (name,) = arguments
    settings = Settings.load()
    folder = job_folder(settings.home, name)
    for _ in range(LOCK_TRIES):
        folder.path.mkdir(parents=True, exist_ok=True)
        with try_lock(folder.lock) as is_ours:
            if is_ours:
                return _drive(name, settings, folder)
        time.sleep(0.1)  # whoever asks whether the lock is held holds it for an instant
    log.info("another driver of %s lives", name)
    return 0


def _drive(name: str, settings: Settings, folder: JobFolder) -> int:
    try:
        with open_store(settings.home) as store:
            JobRun(name, store, folder, settings).execute()
    except (Fenced, ResourceNotFound) as error:
        # The job may have been canceled and deleted while this process was being started.
        log.info("%s", error)
    except StoreUnavailable as error:
        log.error("%s", error)
        return TRY_AGAIN_LATER
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
