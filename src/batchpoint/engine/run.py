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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from batchpoint.compute import strays
from batchpoint.compute.pool import WorkerPool
from batchpoint.engine.dispatch import reasons
from batchpoint.engine.driver import BEAT_EVERY_S, Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.messages import EndJob, Failure
from batchpoint.engine.preparation.interpreter import interpreter
from batchpoint.engine.preparation.leftovers import lost_rows, missing_items
from batchpoint.engine.preparation.plan import Plan, read_plan, write_plan
from batchpoint.engine.preparation.pools import open_pool, policy_of
from batchpoint.engine.preparation.source import Preparation, Source, unfetched
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.engine.publishing.places import OutputPlace, output_folder, output_place
from batchpoint.engine.publishing.proof import Proof
from batchpoint.engine.publishing.segments import damaged
from batchpoint.engine.room import Room, is_faulty, is_full
from batchpoint.engine.tries import TryRecord
from batchpoint.entities.job import PUBLISHED, FailureReason, Job, JobError, JobStatus, Progress
from batchpoint.errors import (
    BatchpointError,
    CancelRequested,
    DiskFailed,
    Fenced,
    InternalError,
    JobFailed,
    JobLifetimeExceeded,
    NoSpaceLeft,
    StoreUnavailable,
)
from batchpoint.failpoints import reach
from batchpoint.observability.job_logs import JobLogs
from batchpoint.settings import Settings
from batchpoint.storage.atomic import fsync_file
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import Claimed, Fence, JobLedger, LedgerRow, Tally

log = logging.getLogger(__name__)

T = TypeVar("T")


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
        self._began, self._began_at = self.clock(), datetime.now(UTC)
        #: When the job has to be at its end, by ``clock``.
        self._ends_at = math.inf
        self._progress = Progress()
        #: As it was claimed.
        self._job: Job | None = None
        self._room = Room(self.settings.storage_patience_s, self.clock, time.sleep, self.logs.event)
        #: sha256 of the output that the revision before published, which alone may be replaced; "" for none.
        self._replaces = ""
        #: What a job says that fails although its output is published; "" before that.
        self._stands = ""

    def execute(self) -> None:
        """Drive the job to a terminal state. Raises Fenced when it belongs to another driver, StoreUnavailable."""
        claimed = self._claim()
        self._job = claimed.job
        self._progress, self._replaces = claimed.job.progress, claimed.replaces
        try:
            self._drive(claimed)
        except CancelRequested:
            self._canceled(claimed.fence)
        except (Fenced, StoreUnavailable):
            raise
        except JobFailed as error:
            self._fail(claimed.fence, Failure(error.code, error.message))
        except Exception as error:  # the driver's top: a fault of ours must end the job, not repeat for ever
            log.exception("the driver failed")
            if is_full(error):
                message = f"A disk is full: {error}. Make room, then resume the job."
                self._fail(claimed.fence, Failure(NoSpaceLeft.code, message))
                return
            if is_faulty(error):
                message = f"{DiskFailed.__doc__} {error}. Check the disk and the kernel's log, then resume the job."
                self._fail(claimed.fence, Failure(DiskFailed.code, message))
                return
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
        if claimed.driver_deaths:
            self.logs.event("A new driver takes the job over and goes on from what is committed.")
        elif job.revision:
            self.logs.event(f"Revision {job.revision} of the job begins: what was scored well stays as it is.")
        if job.status is JobStatus.CANCEL_REQUESTED:
            self._canceled(fence)
        elif job.status is JobStatus.FINALIZING:
            self._publish_again(job, fence)
        else:
            self._score(job, fence)

    def _score(self, job: Job, fence: Fence) -> None:
        self._place(job).refuse_now()
        frozen = read_plan(self.folder.plan_items, self.folder.plan_header)
        if job.revision and not job.status.has_started:
            self._void_damaged(job, fence)
        python = interpreter(job, self.folder, self.settings, self.logs.event, self._still_wanted(fence))
        preparation = Preparation(job, self.folder, self.settings, self.logs.event, self._still_wanted(fence))
        source = self._patiently(
            fence,
            lambda: preparation.find(None if frozen is None else self._missing(job, fence, frozen)),
            self.folder.input,
            "the input",
        )
        pool = open_pool(job, self.folder, self.settings, python, self.logs.event)
        try:
            driver = self._driver(job, fence, pool, python, source.root)
            driver.begin()
            plan = frozen or self._patiently(
                fence, lambda: self._plan(job, preparation, source), self.folder.path, "the plan of the job"
            )
            reach("D4")
            self.ledger.start(fence, plan.mini_batches, plan.items)
            self._settle_lost(job, fence, plan)
            self._announce(plan, self.ledger.tally(job.name, fence.revision).items)
            end = driver.score(plan, self.ledger.rows(job.name, fence.revision))
            self._take_stock(job, fence, plan, driver)
            self._finish(job, fence, driver, end)
        finally:
            pool.close()

    def _void_damaged(self, job: Job, fence: Fence) -> None:
        """Of what an earlier revision had scored, keep only what is still on disk as it was written."""
        rows = self.ledger.rows(job.name, fence.revision)
        bad = list(damaged(rows, self.folder.segments, self._still_wanted(fence)))
        if bad:
            self.ledger.void(fence, bad)
            items = sum(row.items for row in bad)
            self.logs.event(f"What was scored of {items:,} items is damaged on disk: they are scored again.")

    def _place(self, job: Job) -> OutputPlace:
        return output_place(job, self.folder, self.settings, self._replaces)

    def _missing(self, job: Job, fence: Fence, plan: Plan) -> Iterator[bytes]:
        """The items of the plan that the ledger does not have yet."""
        return missing_items(plan, self.ledger.rows(job.name, fence.revision))

    def _driver(self, job: Job, fence: Fence, pool: WorkerPool, python: str, input_root: str) -> Driver:
        prefix = f"{fence.revision}.{fence.epoch}.{fence.nonce}"
        sample_every_s = self.settings.resource_monitor_interval_s
        inherited = {} if job.settings.place.type == "ray" else self.settings.child_environ()
        start = WorkerStart(job, self.folder, python, input_root, prefix, inherited, sample_every_s)
        start = replace(start, max_row_mb=self.settings.max_row_mb, max_result_mb=self.settings.max_result_mb)
        self._patiently(fence, start.prepare, self.folder.path, "the files of the workers")
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
            self._room,
        )

    def _plan(self, job: Job, preparation: Preparation, source: Source) -> Plan:
        paths = preparation.items(source, self.ledger.published_outputs())
        reach("D2")
        size = job.settings.mini_batch_size
        return write_plan(self.folder.plan_items, self.folder.plan_header, source.root, paths, size)

    def _settle_lost(self, job: Job, fence: Fence, plan: Plan) -> None:
        """An item that could not be brought here has failed before anything is scored, and costs no other."""
        rows = list(lost_rows(plan, unfetched(self.folder, job.revision)))
        if rows:
            self.ledger.commit(fence, rows, self._progress)

    def _announce(self, plan: Plan, done: int) -> None:
        self.logs.event(
            f"{plan.items:,} items, {plan.mini_batch_size:,} at a time: {plan.mini_batches:,} mini-batches in all"
            + (f"; {done:,} items are done already." if done else ".")
        )

    def _take_stock(self, job: Job, fence: Fence, plan: Plan, driver: Driver) -> None:
        if driver.first_result_at is not None:
            self.first_result_s = driver.first_result_at - self._began
        # A canceled job takes no rows any more: what its workers answered since is not counted.
        totals = {"mini_batches": plan.mini_batches, "items": plan.items}
        tried = {"failed_attempts": driver.progress().failed_attempts}
        counted = _progress_of(self.ledger.tally(job.name, fence.revision))
        self._progress = counted.model_copy(update=totals | tried)
        self.failures = self._reasons(job, fence, plan)

    def _reasons(self, job: Job, fence: Fence, plan: Plan) -> tuple[FailureReason, ...]:
        failed = self.ledger.rows(job.name, fence.revision, failed_only=True)
        return reasons.group(failed, lambda mini_batch, item: plan.path(item))

    def _finish(self, job: Job, fence: Fence, driver: Driver, end: EndJob) -> None:
        if end.canceled:
            driver.pool.close()
            self._canceled(fence)
        elif end.failure is not None:
            driver.pool.close()
            self._fail(fence, end.failure)
        else:
            driver.dismiss()
            # Before the freeze: a shutdown() that takes its time can be canceled.
            driver.wait_for_workers()
            reach("D12")
            self.ledger.freeze(fence)
            self._publish(job, fence)

    # ---- ends -----------------------------------------------------------------------------------------------------

    def _publish(self, job: Job, fence: Fence) -> None:
        """Gather and publish the frozen ledger; no worker is left. A fault of ours in it does not undo what stands."""
        try:
            self._publish_once(job, fence)
        except BatchpointError:
            raise
        except Exception:  # the same ledger gives the same bytes: what was unforeseen is tried once more
            log.exception("publishing failed, trying again")
            self._publish_once(job, fence)

    def _publish_once(self, job: Job, fence: Fence) -> None:
        reach("D13")
        published = self._patiently(
            fence,
            lambda: self._place(job).publish(self._frozen_rows(job, fence), self._alive(fence)),
            output_folder(job, self.folder),
            "the output",
        )
        where = job.settings.output_uri or job.settings.output_folder
        self._stands = f" The output stands, complete, in {where}; what belongs beside it may not."
        # Halves have the tries of their mini-batch in common: no sum over rows knows how many there were.
        tried = {"failed_attempts": self._progress.failed_attempts}
        progress = _progress_of(self.ledger.tally(job.name, fence.revision)).model_copy(update=tried)
        beside = self._patiently(
            fence,
            lambda: self._proof(job, fence).complete(self._place(job), progress, published),
            output_folder(job, self.folder),
            "the output",
        )
        reach("D17")
        properties = {PUBLISHED: str(job.revision), **beside}
        self.ledger.complete(fence, published.sha256, published.length, progress, self.failures, properties)
        self._tidy()
        self.logs.overview(progress, self.clock() - self._began)
        self.logs.result(f"Completed: {progress.items_succeeded:,} of {progress.items:,} items scored.")

    def _frozen_rows(self, job: Job, fence: Fence) -> Iterator[LedgerRow]:
        """What is published, with signs of life; the last one keeps a driver that has lost the job from publishing.

        Whoever takes the job over sweeps away what this one has assembled, or this one sees it here.
        """
        alive = self._alive(fence)
        for row in self.ledger.rows(job.name, fence.revision):
            alive()
            yield row
        self.ledger.beat(fence, self._progress)

    def _publish_again(self, job: Job, fence: Fence) -> None:
        """Finish what a driver began that died after the freeze: the same rows give the same bytes."""
        plan = read_plan(self.folder.plan_items, self.folder.plan_header)
        if plan is not None:
            self.failures = self._reasons(job, fence, plan)
        self._publish(job, fence)

    def _fail(self, fence: Fence, failure: Failure) -> None:
        """Failed, and why: the user's own traceback first."""
        traceback = failure.traceback.rstrip()
        message = (f"{traceback}\n\n{failure.message}" if traceback else failure.message) + self._stands
        counted = self._break_off(fence, JobStatus.FAILED)
        self.ledger.fail(fence, JobError(code=failure.code, message=message), counted, self.failures)
        self._tidy()
        self.logs.failed(failure.code, failure.message, traceback)

    def _canceled(self, fence: Fence) -> None:
        self.ledger.canceled(fence, self._break_off(fence, JobStatus.CANCELED))
        self._tidy()
        self.logs.result("Canceled.")

    def _counted(self, fence: Fence) -> Progress:
        """The counts of the ledger: what was seen last may be older, or never have been committed."""
        counted = _progress_of(self.ledger.tally(fence.job, fence.revision))
        totals = {"mini_batches": self._progress.mini_batches, "items": self._progress.items}
        return counted.model_copy(update=totals | {"failed_attempts": self._progress.failed_attempts})

    def _break_off(self, fence: Fence, status: JobStatus) -> Progress:
        """Leave what proves how far the job came; answers that."""
        counted = self._counted(fence)
        if self._job is not None:
            self._proof(self._job, fence).break_off(status, counted)
        return counted

    def _proof(self, job: Job, fence: Fence) -> Proof:
        return Proof(job, fence, self.ledger, self.folder, self.settings.home, self._began_at)

    def _tidy(self) -> None:
        """Remove what only a running job needs."""
        folder = self.folder
        reach("D19")
        for path in (folder.scratch, folder.worker_package, folder.model, folder.tries, folder.input, folder.gathered):
            shutil.rmtree(path, ignore_errors=True)
            reach("D20")

    def _patiently(self, fence: Fence, act: Callable[[], T], place: Path, what: str) -> T:
        """What ``act`` answers, once ``place`` has room for it; until then the job is alive, and says what it lacks."""
        return self._room.patiently(act, place, what, self._still_wanted(fence))

    def _alive(self, fence: Fence) -> Callable[[], None]:
        """A sign of life at most once a second, for what can no longer be canceled."""
        due = self.clock() + BEAT_EVERY_S

        def beat() -> None:
            nonlocal due
            if self.clock() >= due:
                due = self.clock() + BEAT_EVERY_S
                self.ledger.beat(fence, self._progress)

        return beat

    def _still_wanted(self, fence: Fence) -> Callable[[], None]:
        """A check for long preparations: a sign of life at most once a second; raises when the job is to end."""
        due = self.clock() + BEAT_EVERY_S

        def check() -> None:
            nonlocal due
            if self.clock() >= due:
                due = self.clock() + BEAT_EVERY_S
                progress = self._progress.model_copy(update={"waiting_for": self._room.sentence})
                if self.ledger.beat(fence, progress).cancel_requested:
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


def _progress_of(tally: Tally) -> Progress:
    return Progress(
        mini_batches=tally.mini_batches,
        mini_batches_done=tally.mini_batches,
        items=tally.items,
        items_succeeded=tally.succeeded,
        items_failed=tally.failed_items,
        rows=tally.rows,
    )
