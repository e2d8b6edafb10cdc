"""The rules by which a job's record changes: one pure function for each primitive of ``JobLedger``, and for cancel.

Both ledgers load a record, apply a rule and save the result, so they cannot disagree. Knows no storage and no clock.
A rule answers the very record it was given when nothing is to be saved.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from batchpoint.entities.job import FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import CancelRequested, Fenced, InternalError, ResourceConflict
from batchpoint.store.records import Claimed, Fence, LedgerRow, Standing

_NOT_STARTED = (JobStatus.PREPARING, JobStatus.QUEUED)


@dataclass(frozen=True)
class JobRecord:
    """A job with what only drivers and their observers care about."""

    job: Job
    epoch: int = 0
    #: Nonce of the latest claim; empty while no driver has claimed the job.
    nonce: str = ""
    #: Counts every sign of life.
    beat: int = 0
    host: str = ""
    pid: int = 0
    driver_deaths: int = 0
    #: Items of the plan; what the ledger must cover before it is frozen.
    planned_items: int = 0
    #: sha256 of the published output; empty before that.
    output_sha256: str = ""
    output_length: int = 0

    @property
    def status(self) -> JobStatus:
        return self.job.status


def claim(record: JobRecord, observed_epoch: int, nonce: str, host: str, pid: int) -> JobRecord | None:
    """The record with a new holder; None if the claim is refused."""
    if record.status.is_terminal:
        return None
    if record.nonce == nonce:
        return record
    if record.epoch != observed_epoch:
        return None
    return replace(
        record,
        epoch=record.epoch + 1,
        nonce=nonce,
        beat=record.beat + 1,
        host=host,
        pid=pid,
        driver_deaths=record.driver_deaths + bool(record.nonce),
    )


def granted(record: JobRecord) -> Claimed:
    """The answer to a successful claim."""
    fence = Fence(job=record.job.name, revision=record.job.revision, epoch=record.epoch, nonce=record.nonce)
    return Claimed(fence=fence, job=record.job, driver_deaths=record.driver_deaths, replaces=record.output_sha256)


def placed(record: JobRecord, instances: Sequence[int], gpus: Sequence[int], now: datetime) -> JobRecord:
    """The job has the instances that it waited for, and may be given a driver: Preparing."""
    changes = {"instances": tuple(instances), "gpus": tuple(gpus), "placed_at": now, "waiting_for": ""}
    return replace(record, job=record.job.model_copy(update={**changes, "status": JobStatus.PREPARING}))


def fail_waiting(record: JobRecord, error: JobError, now: datetime) -> JobRecord:
    """A job without a driver, which will never get its instances → Failed."""
    changes = {"status": JobStatus.FAILED, "error": error, "ended_at": _end(record, now), "waiting_for": ""}
    return replace(record, job=record.job.model_copy(update=changes))


def reopened(
    record: JobRecord, settings: JobSettings, properties: Mapping[str, str], compute: str | None = None
) -> JobRecord:
    """The next revision of a job that has ended: Preparing, without a driver. The published output stays for now."""
    if not record.status.is_terminal:
        raise ResourceConflict(
            f"Job {record.job.name} is {record.status}; only a job that has ended can be scored again. "
            f"Wait for it, or cancel it: job cancel --name {record.job.name}",
            target=record.job.name,
        )
    changes = {
        "settings": settings,
        "compute": record.job.compute if compute is None else compute,
        "properties": {**record.job.properties, **properties},
        "status": JobStatus.PREPARING,
        "revision": record.job.revision + 1,
        "failures": (),
        "error": None,
        "instances": (),
        "gpus": None,
        "placed_at": None,
        "ended_at": None,
        "archived": False,
    }
    job = record.job.model_copy(update=changes)
    return replace(record, job=job, nonce="", beat=record.beat + 1, host="", pid=0, driver_deaths=0)


def start(record: JobRecord, fence: Fence, mini_batches: int, items: int, now: datetime) -> JobRecord:
    """Preparing or Queued → Running."""
    _require_holder(record, fence)
    if record.status.is_terminal:
        raise _ended(record)
    if record.status not in _NOT_STARTED:
        return record
    progress = record.job.progress.model_copy(update={"mini_batches": mini_batches, "items": items})
    started_at = record.job.started_at or now
    job = record.job.model_copy(update={"status": JobStatus.RUNNING, "progress": progress, "started_at": started_at})
    return replace(record, job=job, beat=record.beat + 1, planned_items=items)


def beat(record: JobRecord, fence: Fence, progress: Progress) -> JobRecord:
    """One sign of life more; a job that has ended stays as it is."""
    _require_holder(record, fence)
    if record.status.is_terminal:
        return record
    return replace(record, job=record.job.model_copy(update={"progress": progress}), beat=record.beat + 1)


def standing(record: JobRecord) -> Standing:
    """The answer to a beat."""
    return Standing(status=record.status, cancel_requested=record.status is JobStatus.CANCEL_REQUESTED)


def commit(record: JobRecord, fence: Fence, progress: Progress) -> JobRecord:
    """The record with which rows may be entered; raises CancelRequested or Fenced when they may not."""
    _require_holder(record, fence)
    _require_running(record, "takes no rows")
    return replace(record, job=record.job.model_copy(update={"progress": progress}), beat=record.beat + 1)


def void(record: JobRecord, fence: Fence) -> JobRecord:
    """The record whose carried rows may be taken out: its revision has not been started."""
    _require_holder(record, fence)
    if record.status not in _NOT_STARTED:
        raise Fenced(f"Job {record.job.name} is {record.status}; rows of its ledger stay.", target=record.job.name)
    return replace(record, beat=record.beat + 1)


def freeze(record: JobRecord, fence: Fence) -> JobRecord:
    """Running → Finalizing; whoever calls it checks the coverage of a record that changed."""
    _require_holder(record, fence)
    if record.status is JobStatus.FINALIZING:
        return record
    _require_running(record, "cannot be finished")
    return replace(record, job=record.job.model_copy(update={"status": JobStatus.FINALIZING}), beat=record.beat + 1)


def require_coverage(record: JobRecord, covered_items: int, overlapping_rows: int) -> None:
    """Raises InternalError unless the ledger holds every item of the plan exactly once."""
    if covered_items != record.planned_items or overlapping_rows:
        raise InternalError(
            f"The ledger of job {record.job.name} covers {covered_items} items with {overlapping_rows} overlapping "
            f"rows where the plan has {record.planned_items}; the job cannot be finished from it.",
            target=record.job.name,
        )


def overlaps(rows: Iterable[LedgerRow]) -> int:
    """How many of the rows, given in output order, start before the previous one of their mini-batch ends."""
    count, mini_batch, end = 0, -1, 0
    for row in rows:
        count += row.mini_batch == mini_batch and row.first_item < end
        mini_batch, end = row.mini_batch, row.first_item + row.items
    return count


def complete(
    record: JobRecord,
    fence: Fence,
    sha256: str,
    length: int,
    progress: Progress,
    failures: Sequence[FailureReason],
    properties: Mapping[str, str],
    now: datetime,
) -> JobRecord:
    """Finalizing → Completed."""
    if _already(record, fence, JobStatus.COMPLETED):
        return record
    if record.status is not JobStatus.FINALIZING:
        raise InternalError(
            f"Job {record.job.name} is {record.status}; its ledger must be frozen before it completes.",
            target=record.job.name,
        )
    job = record.job.model_copy(
        update={
            "status": JobStatus.COMPLETED,
            "progress": progress,
            "failures": tuple(failures),
            "properties": {**record.job.properties, **properties},
            "ended_at": _end(record, now),
        }
    )
    return replace(record, job=job, beat=record.beat + 1, output_sha256=sha256, output_length=length)


def fail(
    record: JobRecord,
    fence: Fence,
    error: JobError,
    progress: Progress,
    failures: Sequence[FailureReason],
    now: datetime,
) -> JobRecord:
    """Any status that is not terminal → Failed."""
    if _already(record, fence, JobStatus.FAILED):
        return record
    job = record.job.model_copy(
        update={
            "status": JobStatus.FAILED,
            "error": error,
            "progress": progress,
            "failures": tuple(failures),
            "ended_at": _end(record, now),
        }
    )
    return replace(record, job=job, beat=record.beat + 1)


def canceled(record: JobRecord, fence: Fence, progress: Progress, now: datetime) -> JobRecord:
    """CancelRequested → Canceled."""
    if _already(record, fence, JobStatus.CANCELED):
        return record
    if record.status is not JobStatus.CANCEL_REQUESTED:
        raise InternalError(
            f"Job {record.job.name} is {record.status}; nobody asked to cancel it.", target=record.job.name
        )
    job = record.job.model_copy(
        update={"status": JobStatus.CANCELED, "progress": progress, "ended_at": _end(record, now)}
    )
    return replace(record, job=job, beat=record.beat + 1)


def request_cancel(record: JobRecord, now: datetime) -> JobRecord:
    """CancelRequested, or Canceled at once while the job has no driver."""
    if record.status is JobStatus.CANCEL_REQUESTED:
        return record
    if record.status is JobStatus.FINALIZING:
        raise ResourceConflict(
            f"Job {record.job.name} is Finalizing: every mini-batch is scored and the output is being written. "
            "It is too late to cancel.",
            target=record.job.name,
        )
    if record.status.is_terminal:
        raise ResourceConflict(
            f"Job {record.job.name} is {record.status} already; there is nothing to cancel.", target=record.job.name
        )
    if record.nonce and record.status is not JobStatus.QUEUED:
        return replace(record, job=record.job.model_copy(update={"status": JobStatus.CANCEL_REQUESTED}))
    return replace(
        record, job=record.job.model_copy(update={"status": JobStatus.CANCELED, "ended_at": _end(record, now)})
    )


def edited(record: JobRecord, changes: Mapping[str, object]) -> JobRecord:
    """The record with other values in fields of the job that users may change at any time."""
    return replace(record, job=record.job.model_copy(update=changes))


def archived(record: JobRecord, hidden: bool) -> JobRecord:
    """The record hidden from lists, or shown again."""
    if not record.status.is_terminal:
        raise ResourceConflict(
            f"Job {record.job.name} is {record.status}; only a job that has ended can be archived or restored. "
            f"Cancel it first, or wait: job stream --name {record.job.name}",
            target=record.job.name,
        )
    return edited(record, {"archived": hidden})


def _end(record: JobRecord, now: datetime) -> datetime:
    """The moment of the end: a clock that was put back makes no job shorter than nothing."""
    return max(moment for moment in (record.job.placed_at, record.job.started_at, now) if moment is not None)


def _require_holder(record: JobRecord, fence: Fence) -> None:
    if (record.job.revision, record.epoch, record.nonce) != (fence.revision, fence.epoch, fence.nonce):
        raise Fenced(
            f"Another driver has taken job {fence.job} over (claim {record.epoch} of revision {record.job.revision}; "
            f"this one held claim {fence.epoch} of revision {fence.revision}).",
            target=fence.job,
        )


def _require_running(record: JobRecord, consequence: str) -> None:
    if record.status is JobStatus.CANCEL_REQUESTED:
        raise CancelRequested(f"Somebody asked to cancel job {record.job.name}; it {consequence}.")
    if record.status is not JobStatus.RUNNING:
        raise Fenced(f"Job {record.job.name} is {record.status}; it {consequence}.", target=record.job.name)


def _already(record: JobRecord, fence: Fence, wanted: JobStatus) -> bool:
    """True if the holder's own earlier call has ended the job so; raises Fenced if it ended otherwise."""
    _require_holder(record, fence)
    if record.status.is_terminal and record.status is not wanted:
        raise _ended(record)
    return record.status is wanted


def _ended(record: JobRecord) -> Fenced:
    return Fenced(f"Job {record.job.name} has ended already; it is {record.status}.", target=record.job.name)
