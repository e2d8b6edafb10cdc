"""A pool without processes: workers that answer as a script of outcomes says, on a clock that only ``receive`` moves.

Shipped beside the real one so that the driver's loop can be driven, unmodified, through thousands of schedules.
"""

import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerSpec

Happening = Literal["scores", "raises", "exits", "is_killed", "hangs"]


@dataclass(frozen=True)
class Outcome:
    """What one execution of a mini-batch comes to, or one init() when ``happening`` is ``scores`` or ``raises``."""

    happening: Happening = "scores"
    seconds: float = 0.01


class VirtualClock:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class FakePool:
    """A WorkerPool whose workers are entries in a calendar."""

    def __init__(
        self,
        clock: VirtualClock,
        init: Callable[[int], Outcome] = lambda worker: Outcome(),
        run: Callable[[int, int, int], Outcome] = lambda worker, mini_batch, attempt: Outcome(),
        spoilt: Callable[[range], Outcome | None] = lambda items: None,
    ) -> None:
        self._clock = clock
        self._init = init
        #: (worker, mini-batch, attempt) → outcome
        self._run = run
        #: Indices of the items of an execution → outcome, where they and nothing else decide it.
        self._spoilt = spoilt
        self._calendar: list[tuple[float, int, PoolEvent]] = []
        self._serial = 0
        #: When each living worker has answered everything that it was sent.
        self._free_at: dict[int, float] = {}
        self._written: dict[int, int] = {}
        #: Every (mini-batch, attempt) that was begun, in order.
        self.executions: list[tuple[int, int]] = []
        #: The items of each of them.
        self.executed: list[range] = []

    @property
    def living(self) -> set[int]:
        """Workers that are there."""
        return set(self._free_at)

    def start(self, worker: int, spec: WorkerSpec) -> None:
        """Seat a worker; it answers once its Start line comes."""
        self._free_at[worker] = self._clock.now
        self._written[worker] = 0

    def send(self, worker: int, line: bytes) -> None:
        """Take a line and enter in the calendar what follows from it."""
        if worker not in self._free_at:
            return
        said = json.loads(line)
        if said["t"] == "Start":
            self._begin(worker, self._init(worker))
        elif said["t"] == "Score":
            for mini_batch, attempt, first, items, _offset, _length in said["work"]:
                self._execute(worker, mini_batch, attempt, range(first, first + items))
        else:
            self._enter(worker, Exited(worker, 0, None))

    def kill(self, worker: int) -> None:
        """Forget a worker and whatever it was about to say."""
        self._free_at.pop(worker, None)
        self._calendar = [entry for entry in self._calendar if entry[2].worker != worker]
        heapq.heapify(self._calendar)

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        """The next entry of the calendar, if it lies within ``timeout_s``; the clock moves to it."""
        until = self._clock.now + timeout_s
        if not self._calendar or self._calendar[0][0] > until:
            self._clock.now = until
            return []
        at, _, event = heapq.heappop(self._calendar)
        self._clock.now = max(self._clock.now, at)
        if isinstance(event, Exited):
            self._free_at.pop(event.worker, None)
        return [event]

    def close(self) -> None:
        """Forget everything."""
        self._free_at.clear()
        self._calendar.clear()

    def _begin(self, worker: int, outcome: Outcome) -> None:
        self._free_at[worker] += outcome.seconds
        failed = {"t": "InitFailed", "code": "InitFailed", "message": "ValueError: no", "traceback": "ValueError: no"}
        ready = {"t": "Ready", "python": "3.6.15", "pid": 0, "host": "", "init_s": outcome.seconds}
        self._happen(worker, outcome.happening, ready, failed)

    def _execute(self, worker: int, mini_batch: int, attempt: int, items: range) -> None:
        outcome = self._spoilt(items) or self._run(worker, mini_batch, attempt)
        self._free_at[worker] = max(self._free_at[worker], self._clock.now) + outcome.seconds
        self.executions.append((mini_batch, attempt))
        self.executed.append(items)
        count = len(items)
        length, offset = 10 * count, self._written[worker]
        self._written[worker] += length
        answer: dict[str, object] = {"m": mini_batch, "a": attempt, "s": outcome.seconds, "r": outcome.seconds}
        scored: dict[str, object] = {
            "t": "Scored",
            "n": count,
            "rows": count,
            "off": offset,
            "len": length,
            "crc": 0,
        }
        failure = {"t": "Failed", "code": "ScriptRaised", "message": "ValueError: bad", "traceback": "ValueError: bad"}
        self._happen(worker, outcome.happening, scored | answer, failure | answer)

    def _happen(self, worker: int, happening: Happening, good: Mapping[str, object], bad: Mapping[str, object]) -> None:
        if happening == "hangs":
            self._free_at[worker] = float("inf")
        elif happening == "exits":
            self._enter(worker, Exited(worker, 3, None))
        elif happening == "is_killed":
            self._enter(worker, Exited(worker, None, 9))
        else:
            self._enter(worker, Said(worker, json.dumps(good if happening == "scores" else bad).encode()))

    def _enter(self, worker: int, event: PoolEvent) -> None:
        at = max(self._free_at[worker], self._clock.now)
        if at == float("inf"):
            return
        self._serial += 1
        heapq.heappush(self._calendar, (at, self._serial, event))
        if isinstance(event, Exited):
            self._free_at[worker] = float("inf")
