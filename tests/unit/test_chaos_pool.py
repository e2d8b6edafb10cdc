"""Whom a pool under fire harms, how often, and what the next driver knows of it; no process is harmed here."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from batchpoint.compute import chaos
from batchpoint.compute.chaos import PER_MINI_BATCH_MAX, ChaosPool, ChaosTerms
from batchpoint.compute.pool import Exited, PoolEvent, Said, Slot, WorkerSpec

SPEC = WorkerSpec(Slot(0, 0), "python", {}, Path(), Path(), Path())


class Quiet:
    """A pool whose workers say what the test lets them say."""

    def __init__(self) -> None:
        self.events: list[PoolEvent] = []
        self.waits: list[float] = []

    def start(self, worker: int, spec: WorkerSpec) -> None: ...

    def send(self, worker: int, line: bytes) -> None: ...

    def kill(self, worker: int) -> None: ...

    def close(self) -> None: ...

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        self.waits.append(timeout_s)
        events, self.events = self.events, []
        return events


class Scene:
    """One worker under fire after another, on a clock of the test's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **chances: float) -> None:
        self.now = 100.0
        self.signals: list[int] = []
        self.inner = Quiet()
        self.record = folder / "chaos.csv"
        monkeypatch.setattr(chaos, "_signal", lambda pid, number: self.signals.append(number))
        self.terms = ChaosTerms(chances, self.record, timeout_s=30.0, spares_driver=True)
        self.pool = ChaosPool(self.inner, self.terms, lambda: self.now)
        self.worker = -1

    def up(self) -> None:
        self.worker += 1
        self.pool.start(self.worker, SPEC)
        self.say(t="Ready", pid=4242)

    def hand(self, *mini_batches: int) -> None:
        work = [[mini_batch, 1, mini_batch, 1, 0, 1] for mini_batch in mini_batches]
        self.pool.send(self.worker, json.dumps({"t": "Score", "work": work}).encode())

    def say(self, **line: object) -> None:
        self.inner.events.append(Said(self.worker, json.dumps(line).encode()))
        self.pool.receive(0.0)

    def wait(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.pool.receive(1.0)

    def die(self) -> None:
        self.inner.events.append(Exited(self.worker, None, signal.SIGKILL))
        self.pool.receive(0.0)

    def told(self) -> Counter[str]:
        return Counter(",".join(line.split(",")[:2]) for line in self.record.read_text().splitlines()[1:])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_no_mini_batch_is_killed_more_often_than_a_driver_gives_it_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers = 3
    for _ in range(drivers):
        scene = Scene(folder, monkeypatch, kill=0.5)
        for _ in range(20):
            scene.up()
            scene.hand(7)
            scene.wait()
            scene.die()
    assert scene.told() == {"kill,7": PER_MINI_BATCH_MAX}


def test_the_mini_batch_that_was_running_when_the_worker_died_is_the_one_that_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(folder, monkeypatch, kill=0.5, seed=3)
    scene.up()
    scene.hand(*range(20))
    scene.wait()
    assert scene.signals == [signal.SIGKILL]
    # An answer was on its way when the worker was hit.
    scene.say(t="Scored", m=0, s=0.1)
    scene.die()
    assert scene.told() == {"kill,1": 1}


def test_a_worker_without_work_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(folder, monkeypatch, kill=0.5)
    scene.up()
    scene.hand(*range(20))
    for number in range(20):
        scene.say(t="Scored", m=number, s=0.1)
    scene.signals.clear()
    scene.wait()
    assert scene.signals == []


def test_a_stopped_worker_goes_on_within_the_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(folder, monkeypatch, slow=0.5)
    scene.up()
    scene.hand(*range(20))
    scene.wait(0.0)
    scene.wait(0.0)
    assert scene.signals == [signal.SIGSTOP]
    # The pool below is asked to wait no longer than that.
    assert 0.05 <= scene.inner.waits[-1] < chaos.STOP_S
    scene.wait()
    assert scene.signals == [signal.SIGSTOP, signal.SIGCONT]
    assert scene.told() == {"slow,0": 1}


def test_nobody_is_stopped_whose_run_could_come_near_its_time_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(folder, monkeypatch, slow=0.5)
    scene.up()
    scene.hand(0)
    scene.say(t="Scored", m=0, s=14.99)
    scene.signals.clear()
    scene.hand(*range(1, 20))
    scene.now += 100.0
    scene.wait()
    assert scene.signals == []


def test_lines_that_are_none_of_the_protocol_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(folder, monkeypatch, kill=0.5)
    scene.up()
    scene.inner.events.append(Said(0, b"\xff not a line"))
    scene.inner.events.append(Said(0, b"[1]"))
    assert len(scene.pool.receive(0.0)) == 2
