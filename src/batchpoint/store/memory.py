"""``MemoryLedger``: the ledger of jobs that live no longer than their process, unless somebody keeps its lines.

``batchpoint score`` and simulations use it; it must not import SQLAlchemy.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from batchpoint.entities.job import FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import CancelRequested, ResourceConflict, ResourceNotFound
from batchpoint.store import lifecycle
from batchpoint.store.lifecycle import JobRecord
from batchpoint.store.records import Claimed, Fence, Heartbeat, JobLedger, LedgerRow, Part, Standing, Tally

_NAMES = [field.name for field in fields(LedgerRow)]
_VALUES = attrgetter(*_NAMES)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryLedger(JobLedger):
    """A ``JobLedger`` over plain dictionaries; for one thread."""

    def __init__(self, jobs: Iterable[Job] = (), now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._records: dict[str, JobRecord] = {}
        #: (job, revision) → key → (epoch that entered it, row)
        self._rows: dict[tuple[str, int], dict[tuple[int, int], tuple[int, LedgerRow]]] = {}
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
        kept = {row.key: (after.epoch, row) for row in self.rows(name, before.job.revision) if not row.failed_items}
        self._rows[name, after.job.revision] = kept
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
        first, *rest = (json.loads(line) for line in lines)
        job = Job.model_validate(first.pop("job"))
        if not job.status.is_terminal:
            job = job.model_copy(update={"status": JobStatus.CANCELED})
        self.add(job)
        self._keep(replace(self._record(job.name), **first))
        rows = (_row_of(values) for values in rest)
        self._rows[job.name, job.revision] = {row.key: (first["epoch"], row) for row in rows}
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
        stored = self._rows.setdefault((fence.job, fence.revision), {})
        for row in rows:
            stored.setdefault(row.key, (fence.epoch, row))
        return {row.key for row in rows if stored[row.key] == (fence.epoch, row)}

    def void(self, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        self._keep(lifecycle.void(self._record(fence.job), fence))
        stored = self._rows.get((fence.job, fence.revision), {})
        for row in rows:
            stored.pop(row.key, None)

    def rows(self, job: str, revision: int, failed_only: bool = False) -> Iterator[LedgerRow]:
        self._record(job)
        for _, (_, row) in sorted(self._rows.get((job, revision), {}).items()):
            if row.failed_items or not failed_only:
                yield row

    def tally(self, job: str, revision: int) -> Tally:
        rows = self.ledger(job, revision)
        return Tally(
            mini_batches=len({row.mini_batch for row in rows}),
            items=sum(row.items for row in rows),
            succeeded=sum(row.succeeded for row in rows),
            failed_items=sum(row.failed_items for row in rows),
            rows=sum(row.rows for row in rows),
        )

    def freeze(self, fence: Fence) -> None:
        record = self._record(fence.job)
        frozen = lifecycle.freeze(record, fence)
        if frozen is not record:
            rows = self.ledger(fence.job, fence.revision)
            lifecycle.require_coverage(record, sum(row.items for row in rows), lifecycle.overlaps(rows))
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


def _told(row: LedgerRow) -> list[Any]:
    """The fields of a row, in their order."""
    told = list(_VALUES(row))
    told[_NAMES.index("parts")] = [[part.segment, part.offset, part.length, part.crc] for part in row.parts]
    return told


def _row_of(values: list[Any]) -> LedgerRow:
    named = dict(zip(_NAMES, values, strict=True))
    return LedgerRow(**{**named, "parts": tuple(Part(*part) for part in named["parts"])})
