"""The driver's own loop, unmodified, on a virtual clock: whatever workers do, each mini-batch is settled once."""

import errno
import random
from collections import Counter
from pathlib import Path

import pytest

from batchpoint.compute.fake import FakePool, Outcome, VirtualClock
from batchpoint.compute.pool import Slot, WorkerSpec
from batchpoint.engine.dispatch import Policy
from batchpoint.engine.driver import Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.messages import EndJob
from batchpoint.engine.preparation.plan import Plan, write_plan
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings
from batchpoint.errors import Fenced
from batchpoint.observability.job_logs import JobLogs
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Fence, LedgerRow

MAX_TRIES = 3
TIMEOUT_S = 2.0


class Stage:
    """A job of ``mini_batches`` and its driver on a fake pool."""

    def __init__(self, folder: Path, pool: FakePool, clock: VirtualClock, mini_batches: int, workers: int) -> None:
        settings = JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder="/o")
        self.ledger = MemoryLedger([Job(name="j", endpoint_name="e", deployment_name="d", settings=settings)])
        claimed = self.ledger.claim("j", 0, "n", "host", 1)
        assert claimed is not None
        self.fence: Fence = claimed.fence
        self.synced: list[str] = []
        job_folder = JobFolder(folder)
        start = WorkerStart(claimed.job, job_folder, "python", "/i", "0.1.n", {})
        policy = Policy(
            tuple(Slot(0, number) for number in range(workers)), MAX_TRIES, TIMEOUT_S, 5.0, error_threshold=-1
        )
        commits = GroupCommit(self.ledger, self.fence, folder, lambda path: self.synced.append(path.name))
        self.driver = Driver(
            self.ledger, self.fence, commits, pool, start, policy, JobLogs(job_folder), clock, clock.sleep, print
        )
        paths = [b"%d" % number for number in range(2 * mini_batches)]
        self.plan: Plan = write_plan(job_folder.plan_items, job_folder.plan_header, "/i", paths, 2)

    def play(self) -> EndJob:
        self.ledger.start(self.fence, self.plan.mini_batches, self.plan.items)
        self.driver.begin()
        return self.driver.score(self.plan, [])

    def rows(self) -> list[LedgerRow]:
        return self.ledger.ledger("j", 0)


@pytest.mark.parametrize("seed", range(60))
def test_every_mini_batch_is_settled_exactly_once(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)

    def run(worker: int, mini_batch: int, attempt: int) -> Outcome:
        happening = dice.choices(["scores", "raises", "exits", "is_killed", "hangs"], [80, 8, 4, 4, 4])[0]
        return Outcome(happening, dice.choice([0.0001, 0.01, 0.2, 1.9]))

    clock = VirtualClock()
    pool = FakePool(clock, run=run)
    stage = Stage(tmp_path, pool, clock, mini_batches=40, workers=dice.randint(1, 4))
    end = stage.play()
    assert end.failure is None
    rows = stage.rows()
    assert [row.mini_batch for row in rows] == list(range(40))
    assert stage.driver.progress().items_succeeded == sum(row.succeeded for row in rows)
    assert stage.driver.progress().items_failed == sum(row.failed_items for row in rows)
    assert all(part.segment in stage.synced for row in rows for part in row.parts)
    assert max(row.attempt for row in rows) <= MAX_TRIES


def test_a_kill_from_outside_costs_no_try(tmp_path: Path) -> None:
    clock = VirtualClock()
    pool = FakePool(clock, run=lambda worker, m, attempt: Outcome("is_killed" if m == 3 and attempt < 5 else "scores"))
    stage = Stage(tmp_path, pool, clock, mini_batches=6, workers=2)
    assert stage.play().failure is None
    assert [(row.failed_items, row.attempt) for row in stage.rows()] == [(0, 1)] * 6
    assert Counter(mini_batch for mini_batch, _ in pool.executions)[3] == 5


def test_a_hang_costs_its_time_out_and_its_mini_batch_only(tmp_path: Path) -> None:
    clock = VirtualClock()
    pool = FakePool(clock, run=lambda worker, m, attempt: Outcome("hangs" if m == 0 else "scores", 0.001))
    stage = Stage(tmp_path, pool, clock, mini_batches=50, workers=2)
    assert stage.play().failure is None
    failed = [row for row in stage.rows() if row.failed_items]
    assert [(row.mini_batch, row.attempt, row.reason_code) for row in failed] == [(0, MAX_TRIES, "MiniBatchTimeout")]
    assert clock.now < MAX_TRIES * TIMEOUT_S + 1


def test_a_driver_that_was_stopped_blames_nobody_for_what_it_slept_through(tmp_path: Path) -> None:
    def run(worker: int, mini_batch: int, attempt: int) -> Outcome:
        if mini_batch < 3:
            return Outcome("scores")
        stage.ledger.claim("j", 1, "other", "elsewhere", 2)
        clock.now += 60
        return Outcome("raises")

    clock = VirtualClock()
    stage = Stage(tmp_path, FakePool(clock, run=run), clock, mini_batches=6, workers=1)
    with pytest.raises(Fenced):
        stage.play()
    assert not (tmp_path / "logs" / "user" / "error.txt").exists()


def test_an_init_that_fails_everywhere_ends_the_job_at_once(tmp_path: Path) -> None:
    clock = VirtualClock()
    pool = FakePool(clock, init=lambda worker: Outcome("raises"))
    stage = Stage(tmp_path, pool, clock, mini_batches=6, workers=3)
    end = stage.play()
    assert end.failure is not None
    assert (end.failure.code, end.failure.traceback) == ("InitFailed", "ValueError: no")
    assert not pool.executions


class CrowdedPool(FakePool):
    """Of a machine with room for so many workers and no more."""

    def __init__(self, clock: VirtualClock, places: int) -> None:
        super().__init__(clock, run=lambda worker, *_: Outcome("exits") if worker == 0 else Outcome())
        self.places = places

    def start(self, worker: int, spec: WorkerSpec) -> None:
        if len(self.living) >= self.places:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        super().start(worker, spec)


def test_a_machine_without_room_for_every_worker_scores_with_those_that_it_takes(tmp_path: Path) -> None:
    clock = VirtualClock()
    stage = Stage(tmp_path, CrowdedPool(clock, places=2), clock, mini_batches=20, workers=4)
    assert stage.play().failure is None
    assert stage.driver.progress().items_succeeded == 40


def test_a_machine_without_room_for_any_worker_ends_the_job_and_says_so(tmp_path: Path) -> None:
    clock = VirtualClock()
    end = Stage(tmp_path, CrowdedPool(clock, places=0), clock, mini_batches=2, workers=3).play()
    assert end.failure is not None and end.failure.code == "WorkersKeepDying"
    assert "no process left for a worker: Resource temporarily unavailable" in end.failure.message
