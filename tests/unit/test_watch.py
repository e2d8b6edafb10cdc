"""A supervisor's decisions on a clock of its own: who is taken for dead, who is left alone, and when it is enough."""

from dataclasses import dataclass, field

import pytest

from batchpoint.compute.fake import VirtualClock
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, JobStatus, Progress
from batchpoint.errors import StoreUnavailable
from batchpoint.server.supervision.watch import Patience, Watch
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Claimed, Fence, Heartbeat

LEASE_S, DEATHS_MAX = 30.0, 4
#: Longer than any pause after a driver's death.
LONG_S = 31


class WatchedMemory(MemoryLedger):
    """A ledger in memory that also answers what a supervisor asks."""

    unavailable = False

    def placed_jobs(self) -> list[Job]:
        return [job for job in [self.job("j")] if not job.status.is_terminal]

    def heartbeats(self) -> dict[str, Heartbeat]:
        return {"j": self.heartbeat("j")}

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        if self.unavailable:
            raise StoreUnavailable("full")
        return super().claim(job, observed_epoch, nonce, host, pid)


@dataclass
class Machine:
    """The drivers of a machine, as entries in a list."""

    host: str = "here"
    started: list[int] = field(default_factory=list)
    kills: list[Heartbeat] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    status: int | None = None
    held: bool = False

    def start(self, job: str, observed_epoch: int) -> None:
        self.started.append(observed_epoch)
        self.status = None

    def poll(self, job: str) -> int | None:
        return self.status

    def is_held(self, job: str) -> bool:
        return self.held

    def kill(self, job: str, beat: Heartbeat) -> None:
        self.kills.append(beat)
        self.status, self.held = -9, False

    def close(self, job: str, sentence: str) -> None:
        self.told.append(sentence)


class Stage:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        settings = JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder="/o")
        self.store = WatchedMemory([Job(name="j", endpoint_name="e", deployment_name="d", settings=settings)])
        self.machine = Machine()
        self.nonces = 0
        self.watch = self.watch_on(self.machine)

    def watch_on(self, machine: Machine) -> Watch:
        return Watch(self.store, machine, Patience(LEASE_S, DEATHS_MAX), self.clock, self.nonce)

    def nonce(self) -> str:
        self.nonces += 1
        return f"supervisor-{self.nonces}"

    def claim(self, host: str = "here") -> Fence:
        claimed = self.store.claim("j", self.store.epoch_of("j"), f"driver-{self.clock.now}", host, 7)
        assert claimed is not None
        return claimed.fence

    def look(self, seconds: float = 0.0, every: float = 1.0) -> None:
        """Look again and again for so long, and once at least."""
        self.watch.look()
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.sleep(every)
            self.watch.look()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_new_job_gets_a_driver_and_one_only(stage: Stage) -> None:
    stage.look(20)
    assert stage.machine.started == [0]


def test_a_driver_that_was_stopped_is_fenced_killed_and_replaced(stage: Stage) -> None:
    stage.look()
    fence = stage.claim()
    stage.look(LEASE_S - 2)
    assert not stage.machine.kills
    stage.look(10)
    assert stage.store.epoch_of("j") == fence.epoch + 1
    assert [beat.pid for beat in stage.machine.kills] == [7]
    assert stage.machine.started == [0, fence.epoch + 1]


def test_a_driver_that_beats_is_left_alone_however_long_it_takes(stage: Stage) -> None:
    stage.look()
    fence = stage.claim()
    for _ in range(30):
        stage.look(LEASE_S / 2)
        stage.store.beat(fence, Progress())
    assert (stage.machine.started, stage.machine.kills) == ([0], [])


def test_a_driver_that_dies_right_after_its_claim_is_found_by_an_observer_elsewhere(stage: Stage) -> None:
    fence = stage.claim(host="elsewhere")
    stage.look(LEASE_S - 2)
    assert not stage.machine.started
    stage.look(10)
    assert stage.machine.started == [fence.epoch + 1]


def test_a_driver_of_an_earlier_supervisor_that_hangs_is_replaced_as_well(stage: Stage) -> None:
    stage.machine.held = True
    stage.claim()
    stage.look(LEASE_S + 5)
    assert len(stage.machine.kills) == 1
    assert stage.machine.started == [2]


def test_a_driver_that_never_gets_to_its_claim_is_replaced(stage: Stage) -> None:
    stage.look(LEASE_S + 5)
    assert stage.machine.started == [0, 1]


def test_two_observers_of_one_silence_start_one_driver(stage: Stage) -> None:
    stage.claim(host="elsewhere")
    third = Machine("third")
    other = stage.watch_on(third)
    for _ in range(int(LEASE_S) + 2):
        stage.look()
        other.look()
        stage.clock.sleep(1)
    assert (stage.machine.started, third.started) == ([2], [])


def test_a_supervisor_that_was_stopped_itself_takes_nobody_for_dead_when_it_wakes(stage: Stage) -> None:
    stage.look()
    fence = stage.claim()
    stage.look(1)
    stage.clock.sleep(100 * LEASE_S)
    stage.look()
    stage.store.beat(fence, Progress())
    stage.look(2)
    assert not stage.machine.kills


def test_a_driver_that_cannot_reach_the_store_is_not_killed_for_that(stage: Stage) -> None:
    stage.look()
    stage.claim()
    stage.store.unavailable = True
    stage.look(5 * LEASE_S)
    assert not stage.machine.kills


def test_drivers_that_die_without_getting_further_end_the_job_with_a_reason(stage: Stage) -> None:
    for _ in range(DEATHS_MAX + 1):
        stage.look(LONG_S - 2)
        stage.machine.status = -11
    job = stage.store.job("j")
    assert (job.status, job.error.code if job.error else "") == (JobStatus.FAILED, "DriverKeepsDying")
    assert job.error is not None
    assert "driver.log" in job.error.message
    assert len(stage.machine.started) == DEATHS_MAX
    assert stage.machine.told[0].startswith("Failed (DriverKeepsDying): 4 drivers of job j died")


def test_drivers_that_die_while_the_job_gets_further_do_not_end_it(stage: Stage) -> None:
    for scored in range(3 * DEATHS_MAX):
        stage.look(LONG_S)
        fence = stage.claim()
        stage.store.beat(fence, Progress(items_succeeded=scored + 1))
        stage.look()
        stage.machine.status = -9
    assert stage.store.job("j").status is JobStatus.PREPARING
    assert len(stage.machine.started) == 3 * DEATHS_MAX


def test_drivers_that_could_not_reach_the_store_are_no_deaths(stage: Stage) -> None:
    for _ in range(3 * DEATHS_MAX):
        stage.look(LONG_S)
        stage.machine.status = 75
    assert stage.store.job("j").status is JobStatus.PREPARING


def test_a_driver_that_claims_and_ends_between_two_looks_is_counted_once(stage: Stage) -> None:
    class Hasty(Machine):
        def poll(self, job: str) -> int | None:
            # After the signs of life were read: the look does not know of the claim yet.
            stage.claim()
            return 75

    stage.watch = stage.watch_on(Hasty())
    stage.look(20 * LONG_S)
    assert stage.store.job("j").status is JobStatus.PREPARING


def test_a_cancel_comes_to_its_end_although_every_driver_hangs(stage: Stage) -> None:
    stage.look()
    stage.store.beat(stage.claim(), Progress(waiting_for="Waiting for space."))
    stage.store.request_cancel("j")
    stage.look(30)
    assert stage.store.job("j").status is JobStatus.CANCELED
    assert len(stage.machine.kills) == 3
    assert stage.machine.told == ["Canceled."]
    assert not stage.store.job("j").progress.waiting_for, "it waits no more"
