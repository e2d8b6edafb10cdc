"""``python -m batchpoint.engine JOB [EPOCH]``: the driver process of one stored job, started by a supervisor.

With an epoch it takes the job over from the driver of that claim and from no later one.

Exit status 0: the job has ended or was deleted, or another driver has it. 1: there never was such a job. 70: the driver
failed before the job was its own, or a disk failed it. 75: the store could not be reached, for so long that another
driver may take the job; start again later.
"""

import logging
import sys
import time
from collections.abc import Callable

from batchpoint import failpoints
from batchpoint.engine.golden.check import check_golden_rows
from batchpoint.engine.patience.ledger import PatientLedger
from batchpoint.engine.patience.room import is_faulty, is_full
from batchpoint.engine.run import JobRun
from batchpoint.entities.job import Job
from batchpoint.errors import Fenced, ResourceNotFound, StoreUnavailable
from batchpoint.settings import Settings, armed_failpoints
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.storage.lock import try_lock
from batchpoint.store.store import Store, open_store

log = logging.getLogger("batchpoint.engine")

FAILED, TRY_AGAIN_LATER = 70, 75
UNKNOWN, USAGE = 1, 2
LOCK_TRIES = 5
#: A transaction waits for others for this share of the lease at most; then it is tried again.
BUSY_SHARE = 1 / 6


def main(arguments: list[str]) -> int:
    """Drive the job named on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if len(arguments) not in (1, 2) or not all(epoch.isdecimal() for epoch in arguments[1:]):
        print("usage: python -m batchpoint.engine JOB [EPOCH]", file=sys.stderr)
        return USAGE
    settings = Settings.load()
    failpoints.arm(armed_failpoints())
    busy_s = min(settings.store_busy_timeout_s, settings.driver_lease_s * BUSY_SHARE)
    try:
        with open_store(settings.home, busy_s) as store:
            store.epoch_of(arguments[0])
            return _once(arguments[0], int(arguments[1]) if arguments[1:] else None, store, settings)
    except ResourceNotFound as error:
        # A supervisor makes the log before it starts a driver: the job was canceled and deleted since.
        if job_folder(settings.home, arguments[0]).driver_log.exists():
            log.info("%s It was deleted meanwhile.", error)
            return 0
        # No folder is made for a name that is no job's.
        print(f"{error} The jobs of this home: batchpoint job list --home {settings.home}", file=sys.stderr)
        return UNKNOWN
    except StoreUnavailable as error:
        log.error("%s", error)
        # A store that cannot be reached is nobody's fault; a disk that fails again and again ends the job.
        return FAILED if is_faulty(error) else TRY_AGAIN_LATER
    except OSError as error:
        # Before the job is claimed: no room even for its lock.
        if not is_full(error):
            raise
        log.error("%s", error)
        return TRY_AGAIN_LATER


def _once(name: str, observed_epoch: int | None, store: Store, settings: Settings) -> int:
    """Drive the job, unless another driver of it lives."""
    folder = job_folder(settings.home, name)
    for _ in range(LOCK_TRIES):
        folder.path.mkdir(parents=True, exist_ok=True)
        with try_lock(folder.lock) as is_ours:
            if is_ours:
                return _drive(name, observed_epoch, store, settings, folder)
        time.sleep(0.1)  # whoever asks whether the lock is held holds it for an instant
    log.info("another driver of %s lives", name)
    return 0


def _drive(name: str, observed_epoch: int | None, store: Store, settings: Settings, folder: JobFolder) -> int:
    try:
        ledger = PatientLedger(store, settings.driver_lease_s)
        run = JobRun(name, ledger, folder, settings, observed_epoch=observed_epoch, adopts_orphans=True)

        def check(job: Job, python: str, image: str, still_wanted: Callable[[], None]) -> None:
            check_golden_rows(job, folder.golden, settings, python, image, run.logs.event, still_wanted)

        run.before_scoring = check
        run.execute()
    except Fenced as error:
        log.info("%s", error)
    except StoreUnavailable:
        raise
    except Exception:  # the edge of the process: before the claim nobody can be told, and the next one may do better
        log.exception("the driver failed")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
