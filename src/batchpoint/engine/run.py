"""One job from claim to its end: prepare, score, and hand over to the last steps, whatever happens.

``engine.__main__`` calls it for a stored job, ``engine.score`` for a job without an endpoint. The protocol of the
writes is in ``store/records.py``; this module and ``publishing/ending.py`` are their order.
"""

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from batchpoint.compute import orphans, strays
from batchpoint.compute.pool import WorkerPool
from batchpoint.engine.driver import Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.messages import EndJob, Failure
from batchpoint.engine.patience.hold import Hold
from batchpoint.engine.patience.room import Room, is_faulty, is_full
from batchpoint.engine.preparation.contained import box_of, contained
from batchpoint.engine.preparation.interpreter import interpreter
from batchpoint.engine.preparation.leftovers import lost_rows, missing_items
from batchpoint.engine.preparation.plan import Plan, read_plan, write_plan
from batchpoint.engine.preparation.pools import open_pool, policy_of
from batchpoint.engine.preparation.source import Preparation, Source, unfetched
from batchpoint.engine.preparation.splitting.cutter import Cutter
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.engine.publishing.ending import LastSteps
from batchpoint.engine.publishing.segments import damaged
from batchpoint.engine.tries import TryRecord
from batchpoint.entities.job import Job, JobStatus, Progress
from batchpoint.errors import (
    CancelRequested,
    DiskFailed,
    Fenced,
    InternalError,
    JobFailed,
    NoSpaceLeft,
    StoreUnavailable,
)
from batchpoint.failpoints import reach
from batchpoint.observability.job_logs import JobLogs
from batchpoint.settings import Settings
from batchpoint.storage.atomic import fsync_file
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import Claimed, JobLedger

log = logging.getLogger(__name__)


@dataclass
class JobRun:
    """One driver's run of one job."""

    name: str
    ledger: JobLedger
    folder: JobFolder
    settings: Settings
    on_progress: Callable[[Progress], None] = lambda progress: None
    clock: Callable[[], float] = time.monotonic
    #: The claim that this run may succeed; None: whichever is the latest.
    observed_epoch: int | None = None
    #: True where this process drives nothing else: what workers leave behind comes to it and is ended.
    adopts_orphans: bool = False
    #: Interpreter of the job's environment, where that is built already; "": it is built, or found, first.
    python: str = ""

    #: Called with the job, its interpreter, its image and a check whether it is wanted before anything is scored; fails
    #: the job by raising JobFailed.
    before_scoring: Callable[[Job, str, str, Callable[[], None]], None] = lambda *_: None

    def __post_init__(self) -> None:
        self.logs = JobLogs(self.folder)
        #: Seconds from the start of this run to the first scored mini-batch.
        self.first_result_s: float | None = None
        self._began, self._began_at = self.clock(), datetime.now(UTC)
        self._room = Room(self.settings.storage_patience_s, self.clock, time.sleep, self.logs.event)

    def execute(self) -> None:
        """Drive the job to a terminal state. Raises Fenced when it belongs to another driver, StoreUnavailable."""
        claimed = self._claim()
        hold = Hold(claimed, self.ledger, self._room, self.clock)
        last = LastSteps(hold, self.folder, self.settings, self.logs, self._began, self._began_at)
        try:
            self._drive(hold, last, claimed.driver_deaths)
        except CancelRequested:
            last.cancel()
        except (Fenced, StoreUnavailable):
            raise
        except JobFailed as error:
            last.fail(Failure(error.code, error.message))
        except Exception as error:  # the driver's top: a fault of ours must end the job, not repeat for ever
            log.exception("the driver failed")
            last.fail(self._unforeseen(error))

    def _unforeseen(self, error: Exception) -> Failure:
        if is_full(error):
            return Failure(NoSpaceLeft.code, f"A disk is full: {error}. Make room, then resume the job.")
        if is_faulty(error):
            message = f"{DiskFailed.__doc__} {error}. Check the disk and the kernel's log, then resume the job."
            return Failure(DiskFailed.code, message)
        message = f"{InternalError.__doc__} {type(error).__name__}: {error}. Details: {self.folder.driver_log}"
        return Failure(InternalError.code, message)

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _claim(self) -> Claimed:
        epoch = self.ledger.epoch_of(self.name) if self.observed_epoch is None else self.observed_epoch
        reach("D0")
        claimed = self.ledger.claim(self.name, epoch, uuid.uuid4().hex[:12], socket.gethostname(), os.getpid())
        if claimed is None:
            raise Fenced(f"The job {self.name} has ended, or another driver has just taken it.")
        return claimed

    def _drive(self, hold: Hold, last: LastSteps, driver_deaths: int) -> None:
        job, fence = hold.job, hold.fence
        # Monitors of containers go to the init of the machine: their runtime waits until somebody reaps them.
        if self.adopts_orphans and job.settings.place.isolation != "container":
            orphans.adopt()
        reach("D1")
        self.logs.begin(job.settings.logging_level, fence.epoch)
        if fence.epoch > 1:
            strays.end_strays(strays.mark(self.folder.path))
        if driver_deaths:
            self.logs.event("A new driver takes the job over and goes on from what is committed.")
        elif job.revision:
            # The last driver of the revision before may have been killed, and its model was perhaps another one.
            last.tidy()
            self.logs.event(f"Revision {job.revision} of the job begins: what was scored well stays as it is.")
        if job.status is JobStatus.CANCEL_REQUESTED:
            last.cancel()
        elif job.status is JobStatus.FINALIZING:
            last.publish()
        else:
            last.refuse_now()
            self._score(hold, last)

    def _score(self, hold: Hold, last: LastSteps) -> None:
        job = hold.job
        frozen = read_plan(self.folder.plan_items, self.folder.plan_header)
        if job.revision and not job.status.has_started:
            self._void_damaged(hold)
        inside = contained(job, self.folder, self.settings, self.logs.event, hold.still_wanted())
        python = inside.python if inside else self.python or self._interpreter(hold)
        self.before_scoring(job, python, inside.image if inside else "", hold.still_wanted())
        preparation = Preparation(job, self.folder, self.settings, self.logs.event, hold.still_wanted())
        source = hold.patiently(
            lambda: preparation.find(None if frozen is None else self._missing(hold, frozen)),
            self.folder.input,
            "the input",
        )
        box = box_of(inside, job, self.folder, source, self.settings) if inside else None
        pool = open_pool(job, self.folder, self.settings, python, box, self.logs.event)
        try:
            driver = self._driver(hold, pool, python, source.root)
            driver.begin()
            plan = frozen or hold.patiently(
                lambda: self._plan(hold, preparation, source), self.folder.path, "the plan of the job"
            )
            reach("D4")
            end = self._drive_workers(hold, plan, driver)
            last.take_stock(plan, driver.progress().failed_attempts)
            self._finish(hold, last, driver, end)
        finally:
            pool.close()

    def _interpreter(self, hold: Hold) -> str:
        return interpreter(hold.job, self.folder, self.settings, self.logs.event, hold.still_wanted())

    def _void_damaged(self, hold: Hold) -> None:
        """Of what an earlier revision had scored, keep only what is still on disk as it was written."""
        rows = self.ledger.rows(self.name, hold.fence.revision)
        bad = list(damaged(rows, self.folder.segments, hold.still_wanted()))
        if bad:
            self.ledger.void(hold.fence, bad)
            items = sum(row.items for row in bad)
            self.logs.event(f"What was scored of {items:,} items is damaged on disk: they are scored again.")

    def _missing(self, hold: Hold, plan: Plan) -> Iterator[bytes]:
        """The items of the plan that the ledger does not have yet."""
        return missing_items(plan, self.ledger.rows(self.name, hold.fence.revision))

    def _driver(self, hold: Hold, pool: WorkerPool, python: str, input_root: str) -> Driver:
        job, fence = hold.job, hold.fence
        prefix = f"{fence.revision}.{fence.epoch}.{fence.nonce}"
        sample_every_s = self.settings.resource_monitor_interval_s
        inherited = {} if job.settings.place.type == "ray" else self.settings.child_environ()
        start = WorkerStart(job, self.folder, python, input_root, prefix, inherited, sample_every_s)
        start = replace(start, max_row_mb=self.settings.max_row_mb, max_result_mb=self.settings.max_result_mb)
        hold.patiently(start.prepare, self.folder.path, "the files of the workers")
        commits = GroupCommit(self.ledger, fence, self.folder.segments, fsync_file)
        return Driver(
            self.ledger,
            fence,
            commits,
            pool,
            start,
            policy_of(job, self.settings),
            self.logs,
            self.clock,
            time.sleep,
            self.on_progress,
            TryRecord(self.folder.tries, fence.revision, fence.epoch),
            sample_every_s,
            hold.check_lifetime,
            self._room,
        )

    def _plan(self, hold: Hold, preparation: Preparation, source: Source) -> Plan:
        paths: Iterable[bytes] = preparation.items(source, self.ledger.published_outputs())
        reach("D2")
        size, split = hold.job.settings.mini_batch_size, hold.job.settings.split
        cutter = Cutter(split, source.root, hold.still_wanted()) if split else None
        items = cutter.items(paths) if cutter else paths
        plan = write_plan(self.folder.plan_items, self.folder.plan_header, source.root, items, size)
        for note in cutter.notes() if cutter else ():
            self.logs.event(note)
        return plan

    def _drive_workers(self, hold: Hold, plan: Plan, driver: Driver) -> EndJob:
        fence = hold.fence
        self.ledger.start(fence, plan.mini_batches, plan.items)
        # An item that could not be brought here has failed before anything is scored, and costs no other.
        rows = self.ledger.rows(self.name, fence.revision)
        lost = list(lost_rows(plan, rows, unfetched(self.folder, fence.revision)))
        if lost:
            self.ledger.commit(fence, lost, hold.progress)
        self._announce(plan, self.ledger.tally(self.name, fence.revision).items)
        end = driver.score(plan, self.ledger.rows(self.name, fence.revision))
        if driver.first_result_at is not None:
            self.first_result_s = driver.first_result_at - self._began
        return end

    def _announce(self, plan: Plan, done: int) -> None:
        items, mini_batches = plan.items, plan.mini_batches
        self.logs.event(
            f"{items:,} item{'s' * (items > 1)}, {plan.mini_batch_size:,} at a time: "
            f"{mini_batches:,} mini-batch{'es' * (mini_batches > 1)} in all"
            + (f"; {done:,} items are done already." if done else ".")
        )

    def _finish(self, hold: Hold, last: LastSteps, driver: Driver, end: EndJob) -> None:
        if end.canceled:
            driver.pool.close()
            last.cancel()
        elif end.failure is not None:
            driver.pool.close()
            last.fail(end.failure)
        else:
            driver.dismiss()
            # Before the freeze: a shutdown() that takes its time can be canceled.
            driver.wait_for_workers()
            # And what scripts have hidden writes to no output that is being published.
            driver.pool.close()
            reach("D12")
            self.ledger.freeze(hold.fence)
            last.publish()
