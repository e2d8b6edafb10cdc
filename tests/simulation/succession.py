"""Drivers that die, lose replies or are paused and come back, one after the other on one ledger and one disk.

Driver, GroupCommit and MemoryLedger are the real ones; the ledger is reached through ``Line``, which fails as the dice
say. What must hold whatever happens is asserted where it happens.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from batchpoint.compute.fake import FakePool, Outcome, VirtualClock
from batchpoint.compute.pool import PoolEvent, Said, Slot
from batchpoint.engine import messages
from batchpoint.engine.dispatch import Policy
from batchpoint.engine.driver import Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.preparation.plan import Plan
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.engine.tries import TryRecord
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, JobStatus, Progress
from batchpoint.errors import Fenced, StoreUnavailable
from batchpoint.observability.job_logs import JobLogs
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Fence, LedgerRow, Standing

T = TypeVar("T")

NAME = "j"
MAX_TRIES = 3
#: Drivers that may be lost in one succession; the next one lives.
DEATHS_MAX = 8


class Dead(Exception):
    """The driver process is no more."""


class Succession:
    """One job and all its drivers."""

    def __init__(self, seed: int, folder: Path, plan: Plan) -> None:
        self.dice = random.Random(seed)
        self.folder = JobFolder(folder)
        shutil.rmtree(self.folder.tries, ignore_errors=True)
        self.plan = plan
        settings = JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder="/o")
        self.job = Job(name=NAME, endpoint_name="e", deployment_name="d", settings=settings)
        self.ledger = MemoryLedger([self.job])
        self.seen: Counter[str] = Counter()
        self.lost = 0
        self.depth = 0
        #: Segment → bytes that workers have said they wrote, and bytes that a sync has made durable.
        self.written: Counter[str] = Counter()
        self.durable: Counter[str] = Counter()
        self.segments: set[str] = set()
        #: Requests of drivers that are gone, still on their way to the store.
        self.late: list[Callable[[], object]] = []
        self.rows_at_freeze: list[LedgerRow] | None = None
        #: Failed tries that a driver which held the job has noted, by mini-batch.
        self.failed_tries: Counter[int] = Counter()

    @property
    def status(self) -> JobStatus:
        return self.ledger.job(NAME).status

    def run(self) -> None:
        while not self.status.is_terminal:
            assert self.seen["driver"] <= DEATHS_MAX + 1, "a driver that nobody disturbs ends the job"
            self.drive()
        self.deliver_late()

    def drive(self) -> None:
        """One driver, until it has ended the job, is fenced, or is lost."""
        claimed = self.ledger.claim(NAME, self.ledger.epoch_of(NAME), f"n{self.dice.random()}", "host", 1)
        if claimed is None:
            return
        self.deliver_late()
        self.seen["driver"] += 1
        try:
            Stint(self, claimed.fence).play(claimed.job.status)
        except Dead:
            self.seen["dead"] += 1
        except StoreUnavailable:
            self.seen["store unavailable"] += 1
        except Fenced:
            self.seen["fenced"] += 1

    def deliver_late(self) -> None:
        """What an earlier driver sent arrives now, after somebody else has claimed the job."""
        for request in self.late:
            before = self.ledger.ledger(NAME, 0)
            try:
                request()
            except Fenced:
                self.seen["late request fenced"] += 1
            else:
                raise AssertionError("a request of a driver that lost the job was granted")
            assert self.ledger.ledger(NAME, 0) == before
        self.late = []

    def may_lose_one(self) -> bool:
        return self.lost < DEATHS_MAX and self.depth < 3

    # ---- disk -----------------------------------------------------------------------------------------------------

    def sync(self, path: Path) -> None:
        self.trip("sync")
        self.durable[path.name] = self.written[path.name]
        self.trip("sync")

    def trip(self, where: str) -> None:
        """A driver may die anywhere, or be paused here while others go on."""
        if not self.may_lose_one():
            return
        drawn = self.dice.random()
        if drawn < 0.02:
            self.lost += 1
            self.seen[f"dies at {where}"] += 1
            raise Dead
        if drawn < 0.03:
            self.lost += 1
            self.depth += 1
            self.seen[f"paused at {where}"] += 1
            self.drive()
            self.depth -= 1


class Stint:
    """What one driver does between its claim and its end."""

    def __init__(self, succession: Succession, fence: Fence) -> None:
        self.all = succession
        self.fence = fence
        #: Mini-batches that failed in the hands of earlier drivers.
        self.before = set(succession.failed_tries)
        self.clock = VirtualClock()
        self.line = Line(succession, fence)
        self.pool = WatchedPool(self.clock, self.run)
        self.pool.said = self.note
        folder = succession.folder
        start = WorkerStart(succession.job, folder, "python", "/i", f"0.{fence.epoch}.{fence.nonce}", {})
        self.start = start
        policy = Policy(tuple(Slot(0, n) for n in range(3)), MAX_TRIES, 2.0, 5.0, error_threshold=-1)
        self.driver = Driver(
            self.line,
            fence,
            GroupCommit(self.line, fence, folder.segments, succession.sync),
            self.pool,
            start,
            policy,
            JobLogs(folder),
            self.clock,
            self.clock.sleep,
            lambda progress: None,
            WatchedTries(self),
        )

    def play(self, status: JobStatus) -> None:
        """The order of ``engine.run``."""
        plan, line = self.all.plan, self.line
        if status is not JobStatus.FINALIZING:
            self.driver.begin()
            line.start(self.fence, plan.mini_batches, plan.items)
            end = self.driver.score(plan, line.ledger(NAME, 0))
            assert end.failure is None and not end.canceled
            line.freeze(self.fence)
        self.all.trip("gather")
        rows = line.ledger(NAME, 0)
        assert self.all.rows_at_freeze in (None, rows), "a frozen ledger is constant"
        line.complete(self.fence, "sha", 1, Progress(), (), {})

    def run(self, worker: int, mini_batch: int, attempt: int) -> Outcome:
        self.all.trip("score")
        if self.holds_the_job():
            known = {row.mini_batch for row in self.all.ledger.ledger(NAME, 0)}
            assert mini_batch not in known, "what is committed is not executed again"
            assert self.all.failed_tries[mini_batch] < MAX_TRIES, "tries are counted across drivers"
            self.all.seen["tried again by another driver"] += mini_batch in self.before
        happening = self.all.dice.choices(["scores", "raises", "exits", "is_killed", "hangs"], [90, 4, 2, 2, 2])[0]
        return Outcome(happening, self.all.dice.choice([0.001, 0.05, 0.3]))

    def holds_the_job(self) -> bool:
        return self.all.ledger.epoch_of(NAME) == self.fence.epoch

    def note(self, event: Said) -> None:
        said = messages.parse(event.worker, event.line)
        if isinstance(said, messages.Scored):
            segment = self.start.segment(event.worker)
            self.all.segments.add(segment)
            self.all.written[segment] = max(self.all.written[segment], said.offset + said.length)


class WatchedTries(TryRecord):
    """A TryRecord whose notes are counted by the test as well."""

    def __init__(self, stint: Stint) -> None:
        super().__init__(stint.all.folder.tries, stint.fence.revision, stint.fence.epoch)
        self.stint = stint

    def note(self, piece: Piece | None, tries: int, failure: messages.Failure) -> None:
        super().note(piece, tries, failure)
        if piece is not None and self.stint.holds_the_job():
            self.stint.all.failed_tries[piece.mini_batch] += 1


class WatchedPool(FakePool):
    """A FakePool whose lines are seen by the disk as well."""

    said: Callable[[Said], None]

    def __init__(self, clock: VirtualClock, run: Callable[[int, int, int], Outcome]) -> None:
        super().__init__(clock, run=run)

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        events = super().receive(timeout_s)
        for event in events:
            if isinstance(event, Said):
                self.said(event)
        return events


class Line(MemoryLedger):
    """The way from one driver to the store: requests and replies get lost on it, and some arrive late."""

    def __init__(self, succession: Succession, fence: Fence) -> None:
        self.all = succession
        self.fence = fence
        self.store = succession.ledger

    def start(self, fence: Fence, mini_batches: int, items: int) -> None:
        self._ask("start", lambda: self.store.start(fence, mini_batches, items))

    def beat(self, fence: Fence, progress: Progress) -> Standing:
        return self._ask("beat", lambda: self.store.beat(fence, progress))

    def commit(self, fence: Fence, rows: Sequence[LedgerRow], progress: Progress) -> set[tuple[int, int]]:
        rows = list(rows)
        for part in (part for row in rows for part in row.parts):
            assert part.offset + part.length <= self.all.durable[part.segment], "bytes first, then the row"
        return self._ask("commit", lambda: self.store.commit(fence, rows, progress))

    def ledger(self, job: str, revision: int) -> list[LedgerRow]:
        return self._ask("ledger", lambda: self.store.ledger(job, revision), writes=False)

    def freeze(self, fence: Fence) -> None:
        def request() -> None:
            self.store.freeze(fence)
            if self.all.rows_at_freeze is None:
                self.all.rows_at_freeze = self.store.ledger(NAME, 0)

        self._ask("freeze", request)

    def complete(self, fence: Fence, *rest: object) -> None:
        self._ask("complete", lambda: self.store.complete(fence, *rest))  # type: ignore[arg-type]

    def _ask(self, what: str, request: Callable[[], T], writes: bool = True) -> T:
        self.all.trip(what)
        fate = self.all.dice.random() if self.all.may_lose_one() else 1.0
        if fate < 0.01:
            self._lose("request lost")
        if fate < 0.02 and writes:
            # It arrives once somebody else holds the job.
            self.all.late.append(request)
            self._lose("request late")
        answer = request()
        if fate < 0.04:
            self._lose(f"reply lost: {what}")
        self.all.trip(what)
        return answer

    def _lose(self, how: str) -> None:
        self.all.lost += 1
        self.all.seen[how] += 1
        raise StoreUnavailable(how)
