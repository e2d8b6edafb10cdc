"""One job from claim to its terminal state: prepare, score, gather, publish, and say why when it fails.

``engine.__main__`` calls it for a stored job, ``engine.score`` for a job without an endpoint. The protocol of the
writes is in ``store/records.py``; this module is their order.
"""

import logging
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from batchpoint.compute import strays
from batchpoint.compute.pool import WorkerPool
from batchpoint.engine.dispatch import reasons
from batchpoint.engine.driver import BEAT_EVERY_S, Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.messages import EndJob, Failure
from batchpoint.engine.preparation.interpreter import interpreter
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.preparation.plan import Plan, read_plan, write_plan
from batchpoint.engine.preparation.pools import open_pool, policy_of
from batchpoint.engine.preparation.source import Preparation, Source, unfetched
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.engine.publishing.places import output_place
from batchpoint.engine.tries import TryRecord
from batchpoint.entities.job import FailureReason, Job, JobError, JobStatus, Progress
from batchpoint.errors import (
    BatchpointError,
    CancelRequested,
    Fenced,
    InputUnreadable,
    InternalError,
    JobFailed,
    JobLifetimeExceeded,
    StoreUnavailable,
)
from batchpoint.failpoints import reach
from batchpoint.observability.job_logs import JobLogs
from batchpoint.settings import Settings
from batchpoint.storage.atomic import fsync_file
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import Claimed, Fence, JobLedger, LedgerRow

log = logging.getLogger(__name__)


@dataclass
class JobRun:
    """A driver's hold on one job."""

    name: str
    ledger: JobLedger
    folder: JobFolder
    settings: Settings
    on_progress: Callable[[Progress], None] = lambda progress: None
    clock: Callable[[], float] = time.monotonic
    #: The claim that this run may succeed; None: whichever is the latest.
    observed_epoch: int | None = None

    def __post_init__(self) -> None:
        self.logs = JobLogs(self.folder)
        self.failures: tuple[FailureReason, ...] = ()
        #: Seconds from the start of this run to the first scored mini-batch.
        self.first_result_s: float | None = None
        self._began = self.clock()
        #: When the job has to be at its end, by ``clock``.
        self._ends_at = math.inf
        self._progress = Progress()

    def execute(self) -> None:
        """Drive the job to a terminal state. Raises Fenced when it belongs to another driver, StoreUnavailable."""
        claimed = self._claim()
        self._progress = claimed.job.progress
        try:
            self._drive(claimed)
        except CancelRequested:
            self._canceled(claimed.fence, self._progress)
        except (Fenced, StoreUnavailable):
            raise
        except JobFailed as error:
            self._fail(claimed.fence, Failure(error.code, error.message))
        except Exception as error:  # the driver's top: a fault of ours must end the job, not repeat for ever
            log.exception("the driver failed")
            message = f"{InternalError.__doc__} {type(error).__name__}: {error}. Details: {self.folder.driver_log}"
            self._fail(claimed.fence, Failure(InternalError.code, message))

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _claim(self) -> Claimed:
        epoch = self.ledger.epoch_of(self.name) if self.observed_epoch is None else self.observed_epoch
        reach("D0")
        claimed = self.ledger.claim(self.name, epoch, uuid.uuid4().hex[:12], socket.gethostname(), os.getpid())
        if claimed is None:
            raise Fenced(f"The job {self.name} has ended, or another driver has just taken it.")
        return claimed

    def _drive(self, claimed: Claimed) -> None:
        job, fence = claimed.job, claimed.fence
        reach("D1")
        self._ends_at = self._end_of_life(job)
        self.logs.begin(job.settings.logging_level, fence.epoch)
        if fence.epoch > 1:
            strays.end_strays(strays.mark(self.folder.path))
            self.logs.event("A new driver takes the job over and goes on from what is committed.")
        if job.status is JobStatus.CANCEL_REQUESTED:
            self._canceled(fence, self._progress)
        elif job.status is JobStatus.FINALIZING:
            self._publish_again(job, fence)
        else:
            self._score(job, fence)

    def _score(self, job: Job, fence: Fence) -> None:
        output_place(job, self.folder, self.settings).refuse_now()
        python = interpreter(job, self.folder, self.settings, self.logs.event, self._still_wanted(fence))
        preparation = Preparation(job, self.folder, self.settings, self.logs.event, self._still_wanted(fence))
        source = preparation.find()
        pool = open_pool(job, self.folder, self.settings, python, self.logs.event)
        try:
            driver = self._driver(job, fence, pool, python, source.root)
            driver.begin()
            plan = self._plan(job, preparation, source)
            reach("D4")
            self.ledger.start(fence, plan.mini_batches, plan.items)
            self._settle_lost(fence, plan)
            self._announce(plan, self.ledger.tally(job.name, fence.revision).mini_batches)
            end = driver.score(plan, self.ledger.rows(job.name, fence.revision))
            rows = self._take_stock(job, fence, plan, driver)
            self._finish(job, fence, driver, end, rows)
        finally:
            pool.close()

    def _driver(self, job: Job, fence: Fence, pool: WorkerPool, python: str, input_root: str) -> Driver:
        prefix = f"{fence.revision}.{fence.epoch}.{fence.nonce}"
        sample_every_s = self.settings.resource_monitor_interval_s
        inherited = {} if job.settings.place.type == "ray" else self.settings.child_environ()
        start = WorkerStart(job, self.folder, python, input_root, prefix, inherited, sample_every_s)
        start = replace(start, max_row_mb=self.settings.max_row_mb, max_result_mb=self.settings.max_result_mb)
        start.prepare()
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
            self.settings.resource_monitor_interval_s,
            self._check_lifetime,
        )

    def _plan(self, job: Job, preparation: Preparation, source: Source) -> Plan:
        frozen = read_plan(self.folder.plan_items, self.folder.plan_header)
        if frozen is not None:
            return frozen
        paths = preparation.items(source, self.ledger.published_outputs())
        reach("D2")
        size = job.settings.mini_batch_size
        return write_plan(self.folder.plan_items, self.folder.plan_header, source.root, paths, size)

    def _settle_lost(self, fence: Fence, plan: Plan) -> None:
        """An item that could not be brought here has failed before anything is scored, and costs no other."""
        reasons_of, rows = unfetched(self.folder), []
        for index, item in enumerate(plan.all_items() if reasons_of else ()):
            if item in reasons_of:
                failure = Failure(InputUnreadable.code, f"{os.fsdecode(item)} could not be fetched: {reasons_of[item]}")
                piece = Piece(index // plan.mini_batch_size, index, 1)
                row = LedgerRow(*piece, 0, 1, 0, 0, (), failure.code, failure.message, *reasons.cause(failure))
                rows.append(row)
        if rows:
            self.ledger.commit(fence, rows, self._progress)

    def _announce(self, plan: Plan, done: int) -> None:
        self.logs.event(
            f"{plan.items:,} items, {plan.mini_batch_size:,} at a time: {plan.mini_batches:,} mini-batches in all"
            + (f", {done:,} of them done already." if done else ".")
        )

    def _take_stock(self, job: Job, fence: Fence, plan: Plan, driver: Driver) -> list[LedgerRow]:
        if driver.first_result_at is not None:
            self.first_result_s = driver.first_result_at - self._began
        rows = self.ledger.ledger(job.name, fence.revision)
        # A canceled job takes no rows any more: what its workers answered since is not counted.
        totals = {"mini_batches": plan.mini_batches, "items": plan.items}
        tried = {"failed_attempts": driver.progress().failed_attempts}
        self._progress = _progress_of(rows).model_copy(update=totals | tried)
        self.failures = self._reasons(rows, plan)
        return rows

    def _reasons(self, rows: Sequence[LedgerRow], plan: Plan) -> tuple[FailureReason, ...]:
        return reasons.group(rows, lambda mini_batch, item: plan.path(item))

    def _finish(self, job: Job, fence: Fence, driver: Driver, end: EndJob, rows: Sequence[LedgerRow]) -> None:
        if end.canceled:
            driver.pool.close()
            self._canceled(fence, self._progress)
        elif end.failure is not None:
            driver.pool.close()
            self._fail(fence, end.failure)
        else:
            driver.dismiss()
            # Before the freeze: a shutdown() that takes its time can be canceled.
            driver.wait_for_workers()
            # It succeeds only for the driver that alone could write since the rows were read: they are the frozen ones.
            reach("D12")
            self.ledger.freeze(fence)
            self._publish(job, fence, rows)

    # ---- ends -----------------------------------------------------------------------------------------------------

    def _publish(self, job: Job, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        """Gather and publish the frozen ledger; no worker is left. A fault of ours in it does not undo what stands."""
        try:
            self._publish_once(job, fence, rows)
        except BatchpointError:
            raise
        except Exception:  # the same ledger gives the same bytes: what was unforeseen is tried once more
            log.exception("publishing failed, trying again")
            self._publish_once(job, fence, rows)

    def _publish_once(self, job: Job, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        reach("D13")
        published = output_place(job, self.folder, self.settings).publish(rows)
        # Halves have the tries of their mini-batch in common: no sum over rows knows how many there were.
        tried = {"failed_attempts": self._progress.failed_attempts}
        progress = _progress_of(rows).model_copy(update=tried)
        reach("D17")
        self.ledger.complete(fence, published.sha256, published.length, progress, self.failures, {})
        self._tidy()
        self.logs.overview(progress, self.clock() - self._began)
        self.logs.result(f"Completed: {progress.items_succeeded:,} of {progress.items:,} items scored.")

    def _publish_again(self, job: Job, fence: Fence) -> None:
        """Finish what a driver began that died after the freeze: the same rows give the same bytes."""
        plan = read_plan(self.folder.plan_items, self.folder.plan_header)
        rows = self.ledger.ledger(job.name, fence.revision)
        if plan is not None:
            self.failures = self._reasons(rows, plan)
        self._publish(job, fence, rows)

    def _fail(self, fence: Fence, failure: Failure) -> None:
        """Failed, and why: the user's own traceback first."""
        traceback = failure.traceback.rstrip()
        message = f"{traceback}\n\n{failure.message}" if traceback else failure.message
        self.ledger.fail(fence, JobError(code=failure.code, message=message), self._progress, self.failures)
        self._tidy()
        self.logs.failed(failure.code, failure.message, traceback)

    def _canceled(self, fence: Fence, progress: Progress) -> None:
        self.ledger.canceled(fence, progress)
        self._tidy()
        self.logs.result("Canceled.")

    def _tidy(self) -> None:
        """Remove what only a running job needs."""
        folder = self.folder
        reach("D19")
        for path in (folder.scratch, folder.worker_package, folder.model, folder.tries, folder.input, folder.gathered):
            shutil.rmtree(path, ignore_errors=True)
            reach("D20")

    def _still_wanted(self, fence: Fence) -> Callable[[], None]:
        """A check for long preparations: a sign of life at most once a second; raises when the job is to end."""
        due = self.clock() + BEAT_EVERY_S

        def check() -> None:
            nonlocal due
            if self.clock() >= due:
                due = self.clock() + BEAT_EVERY_S
                if self.ledger.beat(fence, self._progress).cancel_requested:
                    raise CancelRequested
                self._check_lifetime()

        return check

    def _end_of_life(self, job: Job) -> float:
        if job.settings.lifetime_s is None or job.placed_at is None:
            return math.inf
        return self.clock() + job.settings.lifetime_s - (datetime.now(UTC) - job.placed_at).total_seconds()

    def _check_lifetime(self) -> None:
        if self.clock() >= self._ends_at:
            raise JobLifetimeExceeded(
                "The job has had its instances for as long as a job may. Score the input in parts, or raise the "
                "setting job_lifetime_s (low_priority_job_lifetime_s on a compute of that tier), and invoke again."
            )


def _progress_of(rows: Sequence[LedgerRow]) -> Progress:
    mini_batches = len({row.mini_batch for row in rows})
    return Progress(
        mini_batches=mini_batches,
        mini_batches_done=mini_batches,
        items=sum(row.items for row in rows),
        items_succeeded=sum(row.succeeded for row in rows),
        items_failed=sum(row.failed_items for row in rows),
        rows=sum(row.rows for row in rows),
    )
