"""The store of a world, with a ghost beside it that remembers what must hold whatever is asked of it.

Every request that arrives, early or late, goes through ``deliver``. ``Line`` is the way of one driver to it, on which
requests and replies get lost and late.
"""

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchpoint.entities.job import FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import BatchpointError, Fenced, StoreUnavailable
from batchpoint.store import lifecycle
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Claimed, Fence, Heartbeat, JobLedger, LedgerRow, Standing, Tally
from batchpoint.store.store import Store

if TYPE_CHECKING:
    from tests.simulation.world.world import DriverProcess, World

T = TypeVar("T")

W = "w"


class Records(JobLedger, Protocol):
    """What a world asks of its store besides the ledger."""

    def create(self, job: Job) -> None: ...

    def job(self, name: str) -> Job: ...

    def cancel(self, name: str) -> None: ...

    def next_revision(self, name: str, settings: JobSettings) -> None: ...

    def placed_jobs(self) -> list[Job]: ...

    def heartbeats(self) -> dict[str, Heartbeat]: ...


class MemoryRecords(MemoryLedger):
    """The ledger without a file."""

    def create(self, job: Job) -> None:
        self.add(job)

    def cancel(self, name: str) -> None:
        self.request_cancel(name)

    def next_revision(self, name: str, settings: JobSettings) -> None:
        self.reopen(name, settings)

    def placed_jobs(self) -> list[Job]:
        return [record.job for record in self._records.values() if not record.status.is_terminal]

    def heartbeats(self) -> dict[str, Heartbeat]:
        return {name: self.heartbeat(name) for name, record in self._records.items() if not record.status.is_terminal}


class SqlRecords(Store):
    """The real store, on a disk in memory."""

    def create(self, job: Job) -> None:
        self.create_job(W, job)

    def job(self, name: str) -> Job:
        found = self.find_job(name)
        assert found is not None
        return found

    def cancel(self, name: str) -> None:
        self.request_cancel(W, name)

    def next_revision(self, name: str, settings: JobSettings) -> None:
        self.reopen_job(W, name, settings, {})


class Registry:
    """The store and its ghost."""

    def __init__(self, world: "World", records: Records) -> None:
        self.world = world
        self.records = records
        #: Job → the latest claim that was granted.
        self.holder: dict[str, Fence] = {}
        #: Job → who made that claim, None for a supervisor; and the latest beat, with when it was counted.
        self.claimant: dict[str, DriverProcess | None] = {}
        self.signed: dict[str, tuple[Heartbeat, float]] = {}
        #: (job, revision) → rows when it was frozen.
        self.frozen: dict[tuple[str, int], list[LedgerRow]] = {}
        self.checked: dict[tuple[str, int], set[tuple[int, int]]] = {}

    def deliver(self, what: str, fence: Fence, request: Callable[[Records], T]) -> T:
        """Let a write arrive; what it does is compared with what it may."""
        violated = self.world.clockwork.violated
        before = self.records.job(fence.job)
        answer = request(self.records)
        after = self.records.job(fence.job)
        if self.holder.get(fence.job) != fence:
            violated(f"I2: {what} of claim {fence.epoch} was granted; {self.holder.get(fence.job)} holds {fence.job}")
        if before.status.is_terminal and (before.status, before.revision) != (after.status, after.revision):
            violated(f"I10: {what} brought {fence.job} from {before.status} to {after.status}")
        if after.status is not before.status:
            self.world.note(f"{fence.job} is {after.status}")
            self._turned(after)
        self._note_sign(fence.job)
        key = fence.job, fence.revision
        if what == "commit" and answer and before.status is not JobStatus.RUNNING:
            violated(f"I4: {fence.job} took rows while it was {before.status}")
        if what == "commit" and isinstance(answer, set):
            self._check_bytes(key, answer)
        if key in self.frozen and what in ("commit", "complete") and self.frozen[key] != self._rows(*key):
            violated(f"I4: the ledger of {fence.job} changed after it was frozen")
        return answer

    def holds(self, driver: "DriverProcess") -> bool:
        """Whether the latest claim of its job is this driver's."""
        return self.claimant.get(driver.job.name) is driver

    def covers(self, job: str, items: range) -> bool:
        """Whether the ledger has any of these items."""
        rows = self._rows(job, self.records.job(job).revision)
        return any(row.first_item < items.stop and items.start < row.first_item + row.items for row in rows)

    def claim(
        self, job: str, observed: int, nonce: str, host: str, pid: int, claimant: "DriverProcess | None"
    ) -> Claimed | None:
        """Let a claim arrive."""
        claimed = self.records.claim(job, observed, nonce, host, pid)
        if claimed is None:
            self.world.seen["claim refused"] += 1
            return None
        before, fence = self.holder.get(job), claimed.fence
        if before is not None and before != fence and fence.epoch <= before.epoch:
            self.world.clockwork.violated(f"I2: claim {fence.epoch} of {job} was granted after claim {before.epoch}")
        if before is not None and before != fence and observed != before.epoch:
            self.world.clockwork.violated(f"I2: {job} was claimed from {before.epoch} by one who had seen {observed}")
        if before != fence:
            self._check_lease(job, before)
            self.claimant[job] = claimant
        self.holder[job] = fence
        self._note_sign(job)
        self.world.note(f"{job}: claim {fence.epoch} granted to {host}/{pid}")
        return claimed

    def _note_sign(self, job: str) -> None:
        """A write that was only repeated is no new sign of life."""
        beat = self.records.heartbeat(job)
        if job not in self.signed or self.signed[job][0] != beat:
            self.signed[job] = beat, self.world.clockwork.now

    def _check_lease(self, job: str, before: Fence | None) -> None:
        """Nobody takes a job from a driver that lives and has said so within its lease."""
        driver = self.claimant.get(job)
        is_alive = before is not None and driver is not None and not (driver.process.done or driver.process.killed)
        if is_alive and self.world.clockwork.now - self.signed[job][1] < self.world.lease_s:
            self.world.clockwork.violated(f"I14: {job} was taken from a driver that had just given a sign of life")

    def reopened(self, job: str) -> None:
        """A new revision has begun; its rows were checked with the one before it."""
        self.holder.pop(job, None)
        self.claimant.pop(job, None)
        revision = self.records.job(job).revision
        self.checked[job, revision] = {row.key for row in self._rows(job, revision)}

    def _rows(self, job: str, revision: int) -> list[LedgerRow]:
        return self.records.ledger(job, revision)

    def _turned(self, job: Job) -> None:
        """Whatever a job comes to, its parts must agree."""
        violated = self.world.clockwork.violated
        rows = self._rows(job.name, job.revision)
        if lifecycle.overlaps(rows):
            violated(f"I1: rows of {job.name} overlap")
        if job.status is JobStatus.FINALIZING:
            self.frozen[job.name, job.revision] = rows
        if job.status.is_terminal:
            counts = job.progress.items_succeeded, job.progress.items_failed
            summed = sum(row.succeeded for row in rows), sum(row.failed_items for row in rows)
            if counts != summed:
                violated(f"I8: {job.name} is {job.status} with counts {counts}, its ledger has {summed}")
        self.world.jobs[job.name].turned(job, rows)

    def _check_bytes(self, key: tuple[str, int], answer: set[tuple[int, int]]) -> None:
        """Rows that are new point to bytes that are durable, and are those that were scored."""
        known = self.checked.setdefault(key, set())
        if answer <= known:
            return
        job = self.world.jobs[key[0]]
        for row in self._rows(*key):
            if row.key in known or row.key not in answer:
                continue
            for part in row.parts:
                path = job.folder.segments / part.segment
                end = part.offset + part.length
                if not self.world.disk.holds(path, end):
                    self.world.clockwork.violated(f"I3: {path.name} is not durable up to {end}, and has a row")
                if _crc(path, part.offset, part.length) != part.crc:
                    self.world.clockwork.violated(f"I3: {path.name} at {part.offset} does not hold what was scored")
        known |= answer


def _crc(path: "os.PathLike[str]", offset: int, length: int) -> int:
    with open(path, "rb") as file:
        return zlib.crc32(os.pread(file.fileno(), length, offset))


class Line(JobLedger):
    """The way from one driver to the store."""

    def __init__(self, driver: "DriverProcess") -> None:
        self._driver = driver
        self._world = driver.world
        self._registry = driver.world.registry

    def epoch_of(self, job: str) -> int:
        return self._read(lambda: self._registry.records.epoch_of(job))

    def heartbeat(self, job: str) -> Heartbeat:
        return self._read(lambda: self._registry.records.heartbeat(job))

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        return self._ask("claim", lambda: self._registry.claim(job, observed_epoch, nonce, host, pid, self._driver))

    def start(self, fence: Fence, mini_batches: int, items: int) -> None:
        self._write("start", fence, lambda records: records.start(fence, mini_batches, items))

    def beat(self, fence: Fence, progress: Progress) -> Standing:
        return self._write("beat", fence, lambda records: records.beat(fence, progress))

    def commit(self, fence: Fence, rows: Sequence[LedgerRow], progress: Progress) -> set[tuple[int, int]]:
        sent = list(rows)
        return self._write("commit", fence, lambda records: records.commit(fence, sent, progress))

    def void(self, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        sent = list(rows)
        self._write("void", fence, lambda records: records.void(fence, sent))

    def rows(self, job: str, revision: int, failed_only: bool = False) -> Iterator[LedgerRow]:
        return iter(self._read(lambda: list(self._registry.records.rows(job, revision, failed_only))))

    def tally(self, job: str, revision: int) -> Tally:
        return self._read(lambda: self._registry.records.tally(job, revision))

    def freeze(self, fence: Fence) -> None:
        self._write("freeze", fence, lambda records: records.freeze(fence))

    def complete(
        self,
        fence: Fence,
        sha256: str,
        length: int,
        progress: Progress,
        failures: Sequence[FailureReason],
        properties: Mapping[str, str],
    ) -> None:
        sent = fence, sha256, length, progress, tuple(failures), dict(properties)
        self._write("complete", fence, lambda records: records.complete(*sent))

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: Sequence[FailureReason]) -> None:
        sent = fence, error, progress, tuple(failures)
        self._write("fail", fence, lambda records: records.fail(*sent))

    def canceled(self, fence: Fence, progress: Progress) -> None:
        self._write("canceled", fence, lambda records: records.canceled(fence, progress))

    def published_outputs(self) -> list[tuple[str, str]]:
        return []

    def output_of(self, job: str) -> tuple[str, int] | None:
        return self._read(lambda: self._registry.records.output_of(job))

    # ---- the way --------------------------------------------------------------------------------------------------

    def _write(self, what: str, fence: Fence, request: Callable[[Records], T]) -> T:
        return self._ask(what, lambda: self._registry.deliver(what, fence, request))

    def _read(self, request: Callable[[], T]) -> T:
        return self._ask("read", request)

    def _ask(self, what: str, request: Callable[[], T]) -> T:
        world = self._world
        world.trip(f"before {what}")
        fate = world.fate_of_request()
        if fate == "store down" or fate == "request lost":
            self._lose(fate)
        if fate == "request late" and what != "read":
            delay = world.dice.uniform(0, 3 * world.lease_s)
            world.clockwork.at(world.clockwork.now + delay, lambda: self._arrive(what, request))
            self._lose(fate)
        try:
            answer = request()
        except Fenced:
            world.seen[f"fenced: {what}"] += 1
            raise
        if fate == "reply lost":
            world.seen[f"reply lost: {what}"] += 1
            self._lose(fate)
        world.trip(f"after {what}")
        return answer

    def _arrive(self, what: str, request: Callable[[], object]) -> None:
        """A request that its sender has given up arrives after all."""
        try:
            request()
            self._world.seen[f"late {what} granted"] += 1
        except StoreUnavailable:
            raise
        except BatchpointError:
            self._world.seen["late request refused"] += 1
            self._world.seen[f"late {what} refused"] += 1

    def _lose(self, how: str) -> None:
        self._world.seen[how] += 1
        self._driver.wait(self._world.dice.choice([0.05, 1.0]))
        raise StoreUnavailable(how)
