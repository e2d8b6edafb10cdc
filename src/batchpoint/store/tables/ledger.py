"""The fenced primitives of ``JobLedger`` on the database; each loads the job's record, applies a rule and saves.

``Store`` is made of it; ``lifecycle`` holds the rules, ``jobs`` the job's row.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Text, delete, func, select, tuple_, type_coerce

from batchpoint.entities.job import FailureReason, JobError, Progress
from batchpoint.errors import CancelRequested
from batchpoint.store import lifecycle
from batchpoint.store.database import Database
from batchpoint.store.lifecycle import JobRecord
from batchpoint.store.records import Claimed, Fence, Heartbeat, JobLedger, LedgerRow, Part, Standing, Tally
from batchpoint.store.schema import jobs, ledger, waiting
from batchpoint.store.tables.jobs import ENDED, locked, record_of, save

#: Keys in one query; databases limit the number of parameters.
_KEYS_AT_ONCE = 500
#: Rows in one query: while one lasts, nobody can commit.
_ROWS_AT_ONCE = 5000
#: ``ledger.c.items`` is a method of the collection.
_ITEMS = ledger.c["items"]
#: The fields of LedgerRow, in its order.
_FIELDS = (
    ledger.c.mini_batch,
    ledger.c.first_item,
    _ITEMS,
    ledger.c.succeeded,
    ledger.c.failed_items,
    ledger.c.output_rows,
    ledger.c.attempt,
    type_coerce(ledger.c.parts, Text),
    ledger.c.reason_code,
    ledger.c.reason,
    ledger.c.error_type,
    ledger.c.fingerprint,
)


class LedgerTable(JobLedger):
    """``JobLedger`` for any number of drivers in any number of processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def epoch_of(self, job: str) -> int:
        return self.heartbeat(job).epoch

    def heartbeat(self, job: str) -> Heartbeat:
        with self._database.reading() as connection:
            record = record_of(connection, job)
        return Heartbeat(epoch=record.epoch, beat=record.beat, host=record.host, pid=record.pid)

    def heartbeats(self) -> dict[str, Heartbeat]:
        """Of every job that has not ended and waits for no instances, by name: those that wait have no driver."""
        query = select(jobs.c.name, jobs.c.epoch, jobs.c.beat, jobs.c.host, jobs.c.pid)
        query = query.outerjoin(waiting, waiting.c.job == jobs.c.name).where(waiting.c.job.is_(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.where(jobs.c.status.not_in(ENDED))).all()
        return {row.name: Heartbeat(epoch=row.epoch, beat=row.beat, host=row.host, pid=row.pid) for row in rows}

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        with self._database.writing() as connection:
            record = locked(connection, job)
            after = lifecycle.claim(record, observed_epoch, nonce, host, pid)
            if after is None:
                return None
            save(connection, record, after)
        return lifecycle.granted(after)

    def start(self, fence: Fence, mini_batches: int, items: int) -> None:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            save(connection, record, lifecycle.start(record, fence, mini_batches, items, _now()))

    def beat(self, fence: Fence, progress: Progress) -> Standing:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            after = lifecycle.beat(record, fence, progress)
            save(connection, record, after)
        return lifecycle.standing(after)

    def commit(self, fence: Fence, rows: Sequence[LedgerRow], progress: Progress) -> set[tuple[int, int]]:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            try:
                after = lifecycle.commit(record, fence, progress)
            except CancelRequested:
                return set()
            save(connection, record, after)
            if not rows:
                return set()
            inserted = self._database.insert_new(connection, ledger, [_columns(fence, row) for row in rows])
            if inserted == len(rows):
                return {row.key for row in rows}
            return _standing_keys(connection, fence, rows)

    def void(self, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        key = tuple_(ledger.c.mini_batch, ledger.c.first_item)
        keys = [row.key for row in rows]
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            save(connection, record, lifecycle.void(record, fence))
            for start in range(0, len(keys), _KEYS_AT_ONCE // 2):
                some = keys[start : start + _KEYS_AT_ONCE // 2]
                connection.execute(delete(ledger).where(of_revision(fence.job, fence.revision), key.in_(some)))

    def rows(self, job: str, revision: int, failed_only: bool = False) -> Iterator[LedgerRow]:
        key = ledger.c.mini_batch, ledger.c.first_item
        query = select(*_FIELDS).where(of_revision(job, revision)).order_by(*key).limit(_ROWS_AT_ONCE)
        if failed_only:
            query = query.where(ledger.c.failed_items > 0)
        after = (-1, -1)
        with self._database.reading() as connection:
            record_of(connection, job)
        while True:
            with self._database.reading() as connection:
                found = [_row(*row) for row in connection.execute(query.where(tuple_(*key) > after)).all()]
            yield from found
            if len(found) < _ROWS_AT_ONCE:
                return
            after = found[-1].key

    def tally(self, job: str, revision: int) -> Tally:
        with self._database.reading() as connection:
            record_of(connection, job)
            return tally_of(connection, job, revision)

    def freeze(self, fence: Fence) -> None:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            after = lifecycle.freeze(record, fence)
            if after is not record:
                _check_coverage(connection, record)
            save(connection, record, after)

    def complete(
        self,
        fence: Fence,
        sha256: str,
        length: int,
        progress: Progress,
        failures: Sequence[FailureReason],
        properties: Mapping[str, str],
    ) -> None:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            after = lifecycle.complete(record, fence, sha256, length, progress, failures, properties, _now())
            save(connection, record, after)

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: Sequence[FailureReason]) -> None:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            save(connection, record, lifecycle.fail(record, fence, error, progress, failures, _now()))

    def canceled(self, fence: Fence, progress: Progress) -> None:
        with self._database.writing() as connection:
            record = locked(connection, fence.job)
            save(connection, record, lifecycle.canceled(record, fence, progress, _now()))

    def output_of(self, job: str) -> tuple[str, int] | None:
        with self._database.reading() as connection:
            record = record_of(connection, job)
        return (record.output_sha256, record.output_length) if record.output_sha256 else None


def _now() -> datetime:
    return datetime.now(UTC)


def of_revision(job: str, revision: int) -> ColumnElement[bool]:
    """Condition: the ledger rows of one revision of a job."""
    return (ledger.c.job == job) & (ledger.c.revision == revision)


def tally_of(connection: Connection, job: str, revision: int) -> Tally:
    """Sums over the rows of a revision."""
    summed = (_ITEMS, ledger.c.succeeded, ledger.c.failed_items, ledger.c.output_rows)
    query = select(
        func.count(ledger.c.mini_batch.distinct()), *(func.coalesce(func.sum(column), 0) for column in summed)
    )
    return Tally(*(int(value) for value in connection.execute(query.where(of_revision(job, revision))).one()))


def _columns(fence: Fence, row: LedgerRow) -> dict[str, object]:
    return {
        "job": fence.job,
        "revision": fence.revision,
        "mini_batch": row.mini_batch,
        "first_item": row.first_item,
        "items": row.items,
        "succeeded": row.succeeded,
        "failed_items": row.failed_items,
        "output_rows": row.rows,
        "attempt": row.attempt,
        "epoch": fence.epoch,
        "parts": [[part.segment, part.offset, part.length, part.crc] for part in row.parts],
        "reason_code": row.reason_code,
        "reason": row.reason,
        "error_type": row.error_type,
        "fingerprint": row.fingerprint,
    }


def _row(
    mini_batch: int,
    first_item: int,
    items: int,
    succeeded: int,
    failed_items: int,
    rows: int,
    attempt: int,
    parts: str,
    *reason: str,
) -> LedgerRow:
    """A row from what ``_FIELDS`` selects; there may be a million of them, so nothing is looked up by name."""
    whole = tuple([Part(*part) for part in json.loads(parts)])
    return LedgerRow(mini_batch, first_item, items, succeeded, failed_items, rows, attempt, whole, *reason)


def _standing_keys(connection: Connection, fence: Fence, rows: Sequence[LedgerRow]) -> set[tuple[int, int]]:
    """Keys under which the ledger holds these very rows, entered by this claim: now, or by a call that is repeated."""
    stored: dict[tuple[int, int], tuple[int, LedgerRow]] = {}
    for mini_batches in _chunks(sorted({row.mini_batch for row in rows})):
        query = select(ledger.c.epoch, *_FIELDS).where(of_revision(fence.job, fence.revision))
        for epoch, *found in connection.execute(query.where(ledger.c.mini_batch.in_(mini_batches))):
            row = _row(*found)
            stored[row.key] = epoch, row
    return {row.key for row in rows if stored.get(row.key) == (fence.epoch, row)}


def _chunks(numbers: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), _KEYS_AT_ONCE):
        yield numbers[start : start + _KEYS_AT_ONCE]


def _check_coverage(connection: Connection, record: JobRecord) -> None:
    of_job = of_revision(record.job.name, record.job.revision)
    covered = connection.scalar(select(func.coalesce(func.sum(_ITEMS), 0)).where(of_job))
    end = ledger.c.first_item + _ITEMS
    previous_end = func.lag(end).over(partition_by=ledger.c.mini_batch, order_by=ledger.c.first_item)
    neighbours = select(ledger.c.first_item, previous_end.label("previous_end")).where(of_job).subquery()
    overlapping = (
        select(func.count()).select_from(neighbours).where(neighbours.c.first_item < neighbours.c.previous_end)
    )
    lifecycle.require_coverage(record, int(covered or 0), connection.scalar(overlapping) or 0)
