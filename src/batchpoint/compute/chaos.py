"""Does harm to a job on purpose, so that its user can see on their own data that it changes nothing.

``engine.preparation.pools`` puts a ``ChaosPool`` around the pool of a job whose settings ask for it. It kills and stops
from outside, as the world would, and tells nobody; what it did stands in a record that outlives the driver.
"""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerPool, WorkerSpec
from batchpoint.entities.data import KILL, SEED, SLOW

#: Harm to one mini-batch at most, in all drivers together: below what a mini-batch is given back for free, so that the
#: experiment alone never costs an item.
PER_MINI_BATCH_MAX = 3
#: Drivers that are killed at most.
DRIVERS_MAX = 3
#: Seconds of scoring, about one group commit, between two throws of the dice for the driver; it gets this many times
#: the chance of a worker, because there are so few of its moments.
DRIVER_EVERY_S = 0.25
DRIVER_SHARE = 10.0
#: A worker is stopped for so many seconds at most, and never so long that run() could come near its time-out.
STOP_S = 1.0
TIMEOUT_SHARE = 0.5
#: Words of the record, beside the kinds of harm: a driver was killed, and what its workers were at.
DRIVER = "driver"
LOST = "lost"
HEADER = "harm,mini_batch,seconds\n"


@dataclass(frozen=True)
class ChaosTerms:
    """What may be done to a job."""

    #: By kind, from 0 to 1, and the seed.
    chances: Mapping[str, float]
    #: File that says what was done; it is read again by the next driver.
    record: Path
    #: Seconds that one run() may take.
    timeout_s: float
    #: The process of the driver belongs to somebody who wants to go on using it.
    spares_driver: bool


@dataclass(slots=True)
class _Target:
    """A living worker."""

    pid: int = 0
    #: Mini-batches that it has not answered.
    work: deque[int] = field(default_factory=deque)
    #: The harm that it is to suffer, and when.
    kind: str = ""
    due: float = 0.0
    #: When it may go on.
    resumes: float | None = None
    #: It was killed, and its pool has not said so yet.
    dying: bool = False


class ChaosPool:
    """A WorkerPool that hands everything on to another one and does harm meanwhile; see ``compute.pool``."""

    def __init__(self, pool: WorkerPool, terms: ChaosTerms, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._terms = terms
        self._clock = clock
        self._targets: dict[int, _Target] = {}
        self._harmed: Counter[int] = Counter()
        self._drivers_killed = 0
        self._recall()
        # Each driver throws anew, or each would be killed at the same point.
        self._dice = random.Random(f"{terms.chances.get(SEED, 0.0):.0f}/{self._drivers_killed}")
        #: Mean and longest seconds of a mini-batch so far.
        self._mean_s = 0.0
        self._longest_s = 0.0
        self._answered = 0
        self._answered_before = 0
        self._next_throw = clock() + DRIVER_EVERY_S

    # ---- the contract ---------------------------------------------------------------------------------------------

    def start(self, worker: int, spec: WorkerSpec) -> None:
        self._pool.start(worker, spec)
        self._targets[worker] = _Target()

    def send(self, worker: int, line: bytes) -> None:
        self._pool.send(worker, line)
        target = self._targets.get(worker)
        said = _read(line)
        if target is not None and said.get("t") == "Score":
            self._plan(target, [int(entry[0]) for entry in said["work"]])

    def kill(self, worker: int) -> None:
        self._targets.pop(worker, None)
        self._pool.kill(worker)

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        now = self._clock()
        events = self._pool.receive(max(0.0, min([timeout_s, *(due - now for due in self._dues())])))
        self._learn(events)
        self._strike(self._clock())
        return events

    def close(self) -> None:
        self._targets.clear()
        self._pool.close()

    # ---- what is going on -----------------------------------------------------------------------------------------

    def _learn(self, events: Sequence[PoolEvent]) -> None:
        for event in events:
            target = self._targets.get(event.worker)
            if target is None:
                continue
            if isinstance(event, Exited):
                if target.dying:
                    self._note(KILL, target.work[0] if target.work else None)
                del self._targets[event.worker]
            elif isinstance(event, Said):
                self._hear(target, _read(event.line))

    def _hear(self, target: _Target, said: Mapping[str, Any]) -> None:
        if said.get("t") == "Ready" and isinstance(said.get("pid"), int):
            target.pid = said["pid"]
        elif said.get("t") in ("Scored", "Failed") and target.work:
            target.work.popleft()
            self._answered += 1
            with contextlib.suppress(KeyError, TypeError, ValueError):
                seconds = float(str(said["s"]))
                self._mean_s += (seconds - self._mean_s) / min(self._answered, 20)
                self._longest_s = max(self._longest_s, seconds)

    # ---- harm -----------------------------------------------------------------------------------------------------

    def _plan(self, target: _Target, work: list[int]) -> None:
        """Throw the dice for each mini-batch of a message; the first that is hit decides."""
        ahead, now = len(target.work), self._clock()
        target.work.extend(work)
        if target.kind:
            return  # it is still to suffer what its last message called for
        for position, _ in enumerate(work):
            throw, moment = self._dice.random(), self._dice.random()
            kind = self._kind(throw)
            if kind:
                target.kind, target.due = kind, now + (ahead + position + moment) * self._mean_s
                return

    def _kind(self, throw: float) -> str:
        kill = self._terms.chances.get(KILL, 0.0)
        if throw < kill:
            return KILL
        return SLOW if throw < kill + self._terms.chances.get(SLOW, 0.0) else ""

    def _dues(self) -> list[float]:
        dues = [target.due for target in self._targets.values() if target.kind and target.work and not target.dying]
        return [*dues, *(target.resumes for target in self._targets.values() if target.resumes is not None)]

    def _strike(self, now: float) -> None:
        for target in self._targets.values():
            if target.resumes is not None and target.resumes <= now:
                target.resumes = None
                _signal(target.pid, signal.SIGCONT)
            is_idle = not target.kind or not target.work or target.dying or target.resumes is not None
            if not is_idle and target.due <= now:
                self._harm(target, now)
        if not self._terms.spares_driver and self._next_throw <= now:
            self._next_throw = now + DRIVER_EVERY_S
            self._threaten_driver()

    def _harm(self, target: _Target, now: float) -> None:
        kind, target.kind = target.kind, ""
        victim = target.work[0]
        if not target.pid or self._harmed[victim] >= PER_MINI_BATCH_MAX:
            return
        if kind == KILL:
            # What was hit is known when it is gone: what it has answered by then, it has done.
            target.dying = True
            _signal(target.pid, signal.SIGKILL)
            return
        seconds = self._dice.uniform(0.05, STOP_S)
        if self._longest_s + seconds < TIMEOUT_SHARE * self._terms.timeout_s:
            self._note(SLOW, victim, seconds)
            target.resumes = now + seconds
            _signal(target.pid, signal.SIGSTOP)

    def _threaten_driver(self) -> None:
        """A chance to die for the driver that got anything done since the last one, at a moment of no one's choice."""
        chance = min(0.5, DRIVER_SHARE * self._terms.chances.get(KILL, 0.0))
        got_further, self._answered_before = self._answered > self._answered_before, self._answered
        if not got_further or self._drivers_killed >= DRIVERS_MAX or self._dice.random() >= chance:
            return
        self._drivers_killed = DRIVERS_MAX  # this process dies once
        timer = threading.Timer(self._dice.uniform(0.0, DRIVER_EVERY_S), self._kill_driver)
        timer.daemon = True
        timer.start()

    def _kill_driver(self) -> None:
        try:
            for target in list(self._targets.values()):
                if target.work:
                    self._note(LOST, target.work[0])
            self._note(DRIVER, None)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    # ---- the record -----------------------------------------------------------------------------------------------

    def _note(self, kind: str, mini_batch: int | None, seconds: float = 0.0) -> None:
        """One line in one write: whoever is killed right after it has told."""
        if mini_batch is not None:
            self._harmed[mini_batch] += 1
        entry = f"{kind},{'' if mini_batch is None else mini_batch},{seconds:.3f}\n"
        with contextlib.suppress(OSError), self._terms.record.open("ab", buffering=0) as file:
            file.write(entry.encode())

    def _recall(self) -> None:
        record = self._terms.record
        with contextlib.suppress(OSError):
            if not record.exists():
                record.parent.mkdir(parents=True, exist_ok=True)
                record.write_text(HEADER, encoding="ascii")
            for line in record.read_text(encoding="ascii").splitlines():
                kind, mini_batch, _ = line.split(",")
                self._drivers_killed += kind == DRIVER
                if kind in (KILL, SLOW):
                    self._harmed[int(mini_batch)] += 1


def _read(line: bytes) -> dict[str, Any]:
    """A line of the workers' protocol; nothing where it is none."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _signal(pid: int, number: int) -> None:
    # The worker leads a session of its own: what it started is stopped and goes on with it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
