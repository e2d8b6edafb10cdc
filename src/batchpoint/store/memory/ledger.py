"""``MemoryLedger``: the ledger of jobs that live no longer than their process, unless somebody keeps its lines.

``batchpoint score`` and simulations use it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from batchpoint.entities.job import FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import CancelRequested, ResourceConflict, ResourceNotFound
from batchpoint.store import lifecycle
from batchpoint.store.lifecycle import JobRecord
from batchpoint.store.memory.packed import PackedRows
from batchpoint.store.records import Claimed, Fence, Heartbeat, JobLedger, LedgerRow, Part, Standing, Tally

_NAMES = [field.name for field in fields(LedgerRow)]
_VALUES = attrgetter(*_NAMES)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryLedger(JobLedger):
    """A ``JobLedger`` over dictionaries and ``PackedRows``; for one thread."""

    def __init__(self, jobs: Iterable[Job] = (), now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._records: dict[str, JobRecord] = {}
        #: By job and revision.
        self._rows: dict[tuple[str, int], PackedRows] = {}
        for job in jobs:
            self.add(job)

    def add(self, job: Job) -> None:
        """Take in a new job."""
        if job.name in self._records:
            raise ResourceConflict(f"There is a job {job.name} already; choose another name.", target=job.name)
        self._records[job.name] = JobRecord(job)

    def job(self, name: str) -> Job:
        """The job as it stands now."""
        return self._record(name).job

    def request_cancel(self, name: str) -> Job:
        """Ask the job's driver to stop; see ``lifecycle.request_cancel``."""
        return self._keep(lifecycle.request_cancel(self._record(name), self._now())).job

    def reopen(self, name: str, settings: JobSettings) -> Job:
        """Begin the next revision of a job that has ended; see ``lifecycle.reopened``."""
        before = self._record(name)
        after = lifecycle.reopened(before, settings, {})
        kept = (row for row in self.rows(name, before.job.revision) if not row.failed_items)
        self._rows[name, after.job.revision] = _packed(kept, after.epoch)
        return self._keep(after).job

    def lines(self, name: str) -> Iterator[str]:
        """A job and the rows of its latest revision, as text: the record in the first line, then a row in each."""
        record = self._record(name)
        told = {field.name: getattr(record, field.name) for field in fields(record) if field.name != "job"}
        yield json.dumps({"job": record.job.model_dump(mode="json"), **told})
        for row in self.rows(name, record.job.revision):
            yield json.dumps(_told(row))

    def restore(self, lines: Iterable[str]) -> Job:
        """Take in the job whose ``lines`` somebody kept. One that had not ended counts as canceled.

        Raises ValueError for lines of something else.
        """
        told = (json.loads(line) for line in lines)
        try:
            first: dict[str, Any] = next(told, {})
            job = Job.model_validate(first.pop("job"))
            if not job.status.is_terminal:
                job = job.model_copy(update={"status": JobStatus.CANCELED})
            record = JobRecord(job, **first)
            rows = _packed((_row_of(values) for values in told), record.epoch)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"These are not the lines of a job: {error}") from error
        self.add(job)
        self._keep(record)
        self._rows[job.name, job.revision] = rows
        return job

    def epoch_of(self, job: str) -> int:
        return self._record(job).epoch

    def heartbeat(self, job: str) -> Heartbeat:
        record = self._record(job)
        return Heartbeat(epoch=record.epoch, beat=record.beat, host=record.host, pid=record.pid)

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        record = lifecycle.claim(self._record(job), observed_epoch, nonce, host, pid)
        return None if record is None else lifecycle.granted(self._keep(record))

    def start(self, fence: Fence, mini_batches: int, items: int) -> None:
        self._keep(lifecycle.start(self._record(fence.job), fence, mini_batches, items, self._now()))

    def beat(self, fence: Fence, progress: Progress) -> Standing:
        return lifecycle.standing(self._keep(lifecycle.beat(self._record(fence.job), fence, progress)))

    def commit(self, fence: Fence, rows: Sequence[LedgerRow], progress: Progress) -> set[tuple[int, int]]:
        try:
            self._keep(lifecycle.commit(self._record(fence.job), fence, progress))
        except CancelRequested:
            return set()
        stored = self._rows.setdefault((fence.job, fence.revision), PackedRows())
        return {row.key for row in rows if stored.enter(row, fence.epoch)}

    def void(self, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        self._keep(lifecycle.void(self._record(fence.job), fence))
        stored = self._rows.get((fence.job, fence.revision), PackedRows())
        for row in rows:
            stored.remove(row.key)

    def rows(self, job: str, revision: int, failed_only: bool = False) -> Iterator[LedgerRow]:
        self._record(job)
        stored = self._rows.get((job, revision), PackedRows())
        yield from stored.failed() if failed_only else stored

    def tally(self, job: str, revision: int) -> Tally:
        self._record(job)
        return self._rows.get((job, revision), PackedRows()).tally()

    def freeze(self, fence: Fence) -> None:
        record = self._record(fence.job)
        frozen = lifecycle.freeze(record, fence)
        if frozen is not record:
            covered = self.tally(fence.job, fence.revision).items
            lifecycle.require_coverage(record, covered, lifecycle.overlaps(self.rows(fence.job, fence.revision)))
        self._keep(frozen)

    def complete(
        self,
        fence: Fence,
        sha256: str,
        length: int,
        progress: Progress,
        failures: Sequence[FailureReason],
        properties: Mapping[str, str],
    ) -> None:
        record, now = self._record(fence.job), self._now()
        self._keep(lifecycle.complete(record, fence, sha256, length, progress, failures, properties, now))

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: Sequence[FailureReason]) -> None:
        self._keep(lifecycle.fail(self._record(fence.job), fence, error, progress, failures, self._now()))

    def canceled(self, fence: Fence, progress: Progress) -> None:
        self._keep(lifecycle.canceled(self._record(fence.job), fence, progress, self._now()))

    def published_outputs(self) -> list[tuple[str, str]]:
        return []

    def output_of(self, job: str) -> tuple[str, int] | None:
        record = self._record(job)
        return (record.output_sha256, record.output_length) if record.output_sha256 else None

    def _record(self, name: str) -> JobRecord:
        try:
            return self._records[name]
        except KeyError:
            raise ResourceNotFound(f"There is no job {name}.", target=name) from None

    def _keep(self, record: JobRecord) -> JobRecord:
        self._records[record.job.name] = record
        return record


def _packed(rows: Iterable[LedgerRow], epoch: int) -> PackedRows:
    packed = PackedRows()
    for row in rows:
        packed.enter(row, epoch)
    return packed


def _told(row: LedgerRow) -> list[Any]:
    """The fields of a row, in their order."""
    told = list(_VALUES(row))
    told[_NAMES.index("parts")] = [[part.segment, part.offset, part.length, part.crc] for part in row.parts]
    return told


def _row_of(values: list[Any]) -> LedgerRow:
    named = dict(zip(_NAMES, values, strict=True))
    return LedgerRow(**{**named, "parts": tuple(Part(*part) for part in named["parts"])})
