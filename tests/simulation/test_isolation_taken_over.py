"""Drivers die in the middle of isolations: guilty items alone are lost, and what is known to fail is not repeated."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.compute.fake import FakePool, Outcome, VirtualClock
from batchpoint.compute.pool import Slot
from batchpoint.engine.dispatch import Policy
from batchpoint.engine.driver import Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.messages import EndJob, Failure
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.preparation.plan import Plan, write_plan
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.engine.tries import TryRecord
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, Progress
from batchpoint.observability.job_logs import JobLogs
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.memory import MemoryLedger

SEEDS = 120
MAX_TRIES = 2
DEATHS_MAX = 6


class Dead(Exception):
    """The driver process is no more."""


class NotedTries(TryRecord):
    """A TryRecord that lets the test count."""

    noted: Counter[Piece]

    def note(self, piece: Piece | None, tries: int, failure: Failure) -> None:
        super().note(piece, tries, failure)
        if piece is not None:
            self.noted[piece] += 1


class Line:
    """A job, its guilty items, and one driver after the other."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = dice = random.Random(seed)
        self.folder = JobFolder(folder)
        self.size = dice.choice([2, 7, 16, 33])
        self.items = dice.randint(1, 4) * self.size - dice.randrange(self.size)
        share = dice.choice([0.02, 0.1, 0.5])
        ways = ["raises", "exits", "hangs"]
        self.guilty = {item: dice.choice(ways) for item in range(self.items) if dice.random() < share}
        folder.mkdir()
        self.plan: Plan = write_plan(
            self.folder.plan_items, self.folder.plan_header, "/i", [b"%d" % n for n in range(self.items)], self.size
        )
        settings = JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder="/o")
        self.job = Job(name="j", endpoint_name="e", deployment_name="d", settings=settings)
        self.ledger = MemoryLedger([self.job])
        self.noted: Counter[Piece] = Counter()
        self.deaths = 0

    def spoilt(self, items: range) -> Outcome | None:
        if self.deaths < DEATHS_MAX and self.dice.random() < 0.03:
            self.deaths += 1
            raise Dead
        for item in items:
            if item in self.guilty:
                return Outcome(self.guilty[item], 0.05)  # type: ignore[arg-type]
        return None

    def drive(self) -> EndJob:
        """One driver, until it has ended the job or dies."""
        clock = VirtualClock()
        claimed = self.ledger.claim("j", self.ledger.epoch_of("j"), "n", "host", 1)
        assert claimed is not None
        fence = claimed.fence
        tries = NotedTries(self.folder.tries, 0, fence.epoch)
        tries.noted = self.noted
        slots = tuple(Slot(0, number) for number in range(2))
        driver = Driver(
            self.ledger,
            fence,
            GroupCommit(self.ledger, fence, self.folder.segments, lambda path: None),
            FakePool(clock, spoilt=self.spoilt),
            WorkerStart(self.job, self.folder, "python", "/i", f"0.{fence.epoch}.n", {}),
            Policy(slots, MAX_TRIES, 2.0, 5.0, error_threshold=-1, isolate=True),
            JobLogs(self.folder),
            clock,
            clock.sleep,
            lambda progress: None,
            tries,
        )
        self.ledger.start(fence, self.plan.mini_batches, self.plan.items)
        driver.begin()
        end = driver.score(self.plan, self.ledger.rows("j", 0))
        self.progress: Progress = driver.progress()
        return end

    def drivers(self) -> Iterator[EndJob | None]:
        while True:
            try:
                yield self.drive()
                return
            except Dead:
                yield None


@pytest.mark.parametrize("share", range(4))
def test_only_the_guilty_items_are_lost_whoever_drives(share: int, tmp_path: Path) -> None:
    deaths = 0
    for seed in range(share, SEEDS, 4):
        line = Line(seed, tmp_path / str(seed))
        *_, end = line.drivers()
        deaths += line.deaths
        check(line, end)
    assert deaths > SEEDS // 8, "hardly a driver died"


def check(line: Line, end: EndJob | None) -> None:
    assert end is not None
    rows = line.ledger.ledger("j", 0)
    covered = [item for row in rows for item in range(row.first_item, row.first_item + row.items)]
    assert covered == list(range(line.items)), "each item once, in order"
    lost = {row.first_item for row in rows if row.failed_items}
    assert lost == set(line.guilty) and all(row.items == 1 for row in rows if row.failed_items)
    levels = math.ceil(math.log2(line.size))
    assert all(row.attempt <= MAX_TRIES + levels for row in rows)
    for piece, failures in line.noted.items():
        is_whole = piece.items == line.plan.size(piece.mini_batch)
        assert failures <= (MAX_TRIES if is_whole else 1), f"{piece} was known to fail"
    assert line.progress.failed_attempts == sum(line.noted.values())
    assert line.progress.mini_batches_done == line.plan.mini_batches
