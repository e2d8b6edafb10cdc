"""Workers that score at once what takes them virtual time, and append real bytes to real segments.

A row says which item it is of, so that an output can be checked without knowing who wrote it. Workers outlive a driver
that is killed for a moment, and go on writing.
"""

import json
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerSpec

if TYPE_CHECKING:
    from tests.simulation.world.world import DriverProcess

#: Seconds that a worker may live on without its driver.
LINGERS_S = 1.0


def row_of(job: str, item: int) -> bytes:
    """What a script makes of an item."""
    return f"{job} item {item} {'x' * (item % 7)}\n".encode()


@dataclass
class SimulatedWorker:
    number: int
    segment: Path = Path()
    ready: bool = False
    busy: bool = False
    gone: bool = False
    queue: deque[list[int]] = field(default_factory=deque)
    written: int = 0


class SimulatedPool:
    """The WorkerPool of one driver."""

    def __init__(self, driver: "DriverProcess") -> None:
        self._driver = driver
        self._world = driver.world
        self._workers: dict[int, SimulatedWorker] = {}
        self._inbox: list[PoolEvent] = []
        self.closed = False
        #: Until when its workers may go on; set when the driver is killed.
        self.until = float("inf")

    def start(self, worker: int, spec: WorkerSpec) -> None:
        self._workers[worker] = SimulatedWorker(worker)

    def send(self, worker: int, line: bytes) -> None:
        found = self._workers.get(worker)
        if found is None or found.gone:
            return
        said = json.loads(line)
        if said["t"] == "Start":
            found.segment = Path(said["segment"])
            happening, seconds = self._world.temper.init(self._world)
            self._later(seconds, lambda: self._come_up(found, happening))
        elif said["t"] == "Score":
            found.queue.extend(said["work"])
            self._go_on(found)
        else:
            self._later(0.01, lambda: self._leave(found, 0, None))

    def kill(self, worker: int) -> None:
        if worker in self._workers:
            self._workers.pop(worker).gone = True

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        if not self._inbox:
            self._driver.wait(timeout_s, listens=True)
        events, self._inbox = self._inbox, []
        return events

    def close(self) -> None:
        if self._driver.process.killed:
            return
        self.closed = True
        for worker in list(self._workers):
            self.kill(worker)

    def orphan(self, lingers_s: float) -> None:
        """The driver is dead: workers notice when they look at their pipe."""
        self.until = min(self.until, self._world.clockwork.now + lingers_s)

    # ---- what workers do ------------------------------------------------------------------------------------------

    def _later(self, seconds: float, event: "object") -> None:
        clockwork = self._world.clockwork

        def happen() -> None:
            if clockwork.now <= self.until:
                event()  # type: ignore[operator]

        clockwork.at(clockwork.now + seconds, happen)

    def _come_up(self, worker: SimulatedWorker, happening: str) -> None:
        if worker.gone:
            return
        if happening == "scores":
            worker.ready = True
            self._say(worker, {"t": "Ready", "python": "3.6.15", "pid": 1, "host": "", "init_s": 0.1})
            self._go_on(worker)
        elif happening == "raises":
            message = {"code": "InitFailed", "message": "ValueError: no model", "traceback": "ValueError: no model"}
            self._say(worker, {"t": "InitFailed", **message})
        else:
            self._leave(worker, None, 9)

    def _go_on(self, worker: SimulatedWorker) -> None:
        if worker.busy or worker.gone or not worker.ready or not worker.queue:
            return
        worker.busy = True
        mini_batch, attempt, first, items, _, _ = worker.queue[0]
        happening, seconds = self._world.temper.run(self._world)
        self._driver.executes(mini_batch, range(first, first + items))
        if happening != "hangs":
            self._later(seconds, lambda: self._answer(worker, mini_batch, attempt, first, items, happening, seconds))

    def _answer(
        self,
        worker: SimulatedWorker,
        mini_batch: int,
        attempt: int,
        first: int,
        items: int,
        happening: str,
        seconds: float,
    ) -> None:
        if worker.gone:
            return
        world, job = self._world, self._driver.job
        world.seen[f"worker {happening}"] += 1
        if happening in ("exits", "is killed"):
            self._leave(worker, *((3, None) if happening == "exits" else (None, 9)))
            return
        worker.queue.popleft()
        worker.busy = False
        answer = {"m": mini_batch, "a": attempt, "s": seconds, "r": seconds}
        bad = job.is_bad(range(first, first + items))
        if happening == "raises" or bad:
            world.seen["a bad item"] += bad
            failure = {"code": "ScriptRaised", "message": "ValueError: bad", "traceback": "ValueError: bad"}
            if bad and min(job.bad) % 2:
                # A model without a script: the worker finds that a file does not fit.
                world.seen["a rejected item"] += 1
                failure = {"code": "ItemRejected", "message": "a.csv: bad", "traceback": ""}
            self._say(worker, {"t": "Failed", **failure, **answer})
        elif happening == "disk is full":
            failure = {"code": "SegmentUnwritable", "message": "No space left on device", "traceback": ""}
            self._say(worker, {"t": "Failed", **failure, **answer})
        else:
            results = items - 1 if happening == "scores too few" and items > 1 else items
            data = b"".join(row_of(job.name, item) for item in range(first, first + results))
            offset = worker.written
            with worker.segment.open("ab") as file:
                file.write(data)
            worker.written += len(data)
            scored = {"n": results, "rows": results, "off": offset, "len": len(data), "crc": zlib.crc32(data)}
            self._say(worker, {"t": "Scored", **scored, **answer})
        self._go_on(worker)

    def _say(self, worker: SimulatedWorker, message: dict[str, object]) -> None:
        self._enter(Said(worker.number, json.dumps(message).encode()))

    def _leave(self, worker: SimulatedWorker, status: int | None, signal: int | None) -> None:
        if not worker.gone:
            worker.gone = True
            self._workers.pop(worker.number, None)
            self._enter(Exited(worker.number, status, signal))

    def _enter(self, event: PoolEvent) -> None:
        self._inbox.append(event)
        self._world.clockwork.wake(self._driver.process)
