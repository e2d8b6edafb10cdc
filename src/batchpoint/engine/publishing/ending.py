"""``LastSteps``: how one job ends. It is published, or fails, or is canceled; counted, proved and tidied up after.

``engine.run`` calls it when nothing is left to score, or when the job cannot go on. Here is the order of the steps;
what each of them writes is decided in the modules beside.
"""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from batchpoint.engine.dispatch import reasons
from batchpoint.engine.messages import Failure
from batchpoint.engine.patience.hold import Hold
from batchpoint.engine.preparation.plan import Plan, read_plan
from batchpoint.engine.publishing.output import Published
from batchpoint.engine.publishing.places import OutputPlace, output_folder, output_place
from batchpoint.engine.publishing.proof import Proof
from batchpoint.entities.job import PUBLISHED, FailureReason, JobError, JobStatus, Progress
from batchpoint.errors import BatchpointError, JobFailed
from batchpoint.failpoints import reach
from batchpoint.observability.job_logs import JobLogs
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import LedgerRow, Tally

log = logging.getLogger(__name__)


@dataclass
class LastSteps:
    """Of the job that ``hold`` holds. Every step raises Fenced when another driver has taken it."""

    hold: Hold
    folder: JobFolder
    settings: Settings
    logs: JobLogs
    #: When this driver began, by the clock of ``hold`` and by the wall.
    began: float
    began_at: datetime

    def __post_init__(self) -> None:
        #: What a job says that fails although its output is published; "" before that.
        self._stands = ""

    def refuse_now(self) -> None:
        """Raise what is sure to keep the output from being published in the end."""
        self._place().refuse_now(self.hold.still_wanted())

    def take_stock(self, plan: Plan, failed_attempts: int) -> None:
        """Everything is scored, or nothing more will be: count what the ledger has."""
        # A canceled job takes no rows any more: what its workers answered since is not counted.
        totals = {"mini_batches": plan.mini_batches, "items": plan.items}
        counted = self._tallied()
        self.hold.progress = counted.model_copy(update=totals | {"failed_attempts": failed_attempts})

    # ---- published ------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Gather and publish the frozen ledger; no worker is left. A fault of ours in it does not undo what stands.

        Also what a driver began that died after the freeze: the same rows give the same bytes.
        """
        try:
            self._publish_once()
        except BatchpointError:
            raise
        except Exception:  # the same ledger gives the same bytes: what was unforeseen is tried once more
            log.exception("publishing failed, trying again")
            self._publish_once()

    def _publish_once(self) -> None:
        reach("D13")
        hold, job = self.hold, self.hold.job
        where = output_folder(job, self.folder)
        published = hold.patiently(lambda: self._place().publish(_FrozenRows(hold), hold.alive()), where, "the output")
        shown = job.settings.output_uri or job.settings.output_folder
        self._stands = f" The output stands, complete, in {shown}; what belongs beside it may not."
        # Halves have the tries of their mini-batch in common: no sum over rows knows how many there were.
        progress = self._tallied().model_copy(update={"failed_attempts": hold.progress.failed_attempts})
        beside = hold.patiently(lambda: self._proof().complete(self._place(), progress, published), where, "the output")
        reach("D17")
        self._completed(published, progress, {PUBLISHED: str(job.revision), **beside})

    def _completed(self, published: Published, progress: Progress, properties: dict[str, str]) -> None:
        hold, failures = self.hold, self._reasons(progress)
        hold.ledger.complete(hold.fence, published.sha256, published.length, progress, failures, properties)
        self.tidy()
        self.logs.overview(progress, hold.clock() - self.began)
        self.logs.result(f"Completed: {progress.items_succeeded:,} of {progress.items:,} items scored.")

    # ---- broken off -----------------------------------------------------------------------------------------------

    def fail(self, failure: Failure) -> None:
        """Failed, and why: the user's own traceback first."""
        traceback = failure.traceback.rstrip()
        message = (f"{traceback}\n\n{failure.message}" if traceback else failure.message) + self._stands
        counted = self._break_off(JobStatus.FAILED)
        error = JobError(code=failure.code, message=message)
        failures: tuple[FailureReason, ...] = ()
        # Nothing on a damaged disk keeps a job from its end.
        with contextlib.suppress(JobFailed, OSError):
            failures = self._reasons(counted)
        self.hold.ledger.fail(self.hold.fence, error, counted, failures)
        self.tidy()
        self.logs.failed(failure.code, failure.message, traceback)

    def cancel(self) -> None:
        """Canceled, because somebody asked for it."""
        self.hold.ledger.canceled(self.hold.fence, self._break_off(JobStatus.CANCELED))
        self.tidy()
        self.logs.result("Canceled.")

    def _break_off(self, status: JobStatus) -> Progress:
        """Leave what proves how far the job came; answers that."""
        # The counts of the ledger: what was seen last may be older, or never have been committed.
        seen = self.hold.progress
        totals = {"mini_batches": seen.mini_batches, "items": seen.items, "failed_attempts": seen.failed_attempts}
        counted = self._tallied().model_copy(update=totals)
        self._proof().break_off(status, counted)
        return counted

    # ---- of every end ---------------------------------------------------------------------------------------------

    def _place(self) -> OutputPlace:
        return output_place(self.hold.job, self.folder, self.settings, self.hold.replaces)

    def _proof(self) -> Proof:
        return Proof(self.hold, self.folder, self.settings.home, self.began_at)

    def _reasons(self, counted: Progress) -> tuple[FailureReason, ...]:
        # A plan of a million items is not read for nothing.
        plan = read_plan(self.folder.plan_items, self.folder.plan_header) if counted.items_failed else None
        if plan is None:
            return ()
        return reasons.group(self.hold.rows(failed_only=True), lambda _, item: plan.path(item))

    def _tallied(self) -> Progress:
        return _progress_of(self.hold.ledger.tally(self.hold.job.name, self.hold.fence.revision))

    def tidy(self) -> None:
        """Remove what only a running job needs."""
        folder = self.folder
        reach("D19")
        for path in (folder.scratch, folder.worker_package, folder.model, folder.tries, folder.input, folder.gathered):
            shutil.rmtree(path, ignore_errors=True)
            reach("D20")


@dataclass(frozen=True)
class _FrozenRows:
    """What is published, as often as it is read; the sign of life at its end keeps a driver that has lost the job from
    publishing.

    Whoever takes the job over sweeps away what this one has assembled, or this one sees it here.
    """

    hold: Hold

    def __iter__(self) -> Iterator[LedgerRow]:
        yield from self.hold.rows()
        self.hold.ledger.beat(self.hold.fence, self.hold.progress)


def _progress_of(tally: Tally) -> Progress:
    return Progress(
        mini_batches=tally.mini_batches,
        mini_batches_done=tally.mini_batches,
        items=tally.items,
        items_succeeded=tally.succeeded,
        items_failed=tally.failed_items,
        rows=tally.rows,
    )
