"""One instance of a job, as the bridge sees it: an actor that is asked for, supplied, spoken to and given up.

Two threads: one sends (parcels, input, lines), one waits for what comes back. The bridge gives it orders and is told
what happened; whatever goes wrong with the actor ends the instance, and the bridge asks for another one.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint.compute.ray.arrivals import Arrivals
from batchpoint.compute.ray.cluster import Cluster
from batchpoint.compute.ray.frames import PIECE, Header, frame, frames, only_header
from batchpoint.compute.ray.freight import Input, Parcel
from batchpoint.compute.ray.node.surroundings import sight
from batchpoint.compute.ray.supplies import Supplies
from batchpoint.errors import ComputeUnavailable, JobFailed

log = logging.getLogger(__name__)

#: Messages on their way to a node before the next one is read from disk.
WINDOW = 4
#: Seconds between two looks at whether the instance is still wanted, and between two questions about a parcel.
LOOK_EVERY_S = 0.5
#: Seconds that a node gets to end its workers before the actor is killed.
GOODBYE_S = 3.0

Tell = Callable[[Header, bytes], None]


@dataclass(frozen=True)
class Errand:
    """What all instances of a job share."""

    name: str
    job_folder: Path
    cluster: Cluster
    supplies: Supplies
    #: Set when the cluster was joined.
    joined: threading.Event
    #: Seconds without an answer after which an instance counts as lost.
    silence_s: float
    tell: Tell
    #: Bring input also to a node that could read it where it is.
    always_ship: bool = False


class Instance:
    """An actor and the workers on it."""

    def __init__(self, number: int, generation: int, errand: Errand) -> None:
        self.number = number
        self.settled = threading.Event()
        self.ended = threading.Event()
        self._errand = errand
        self._cluster = errand.cluster
        self._name = f"{errand.name}.{number}.{generation}"
        self._actor: Any = None
        self._orders: queue.SimpleQueue[tuple[Header, bytes] | None] = queue.SimpleQueue()
        self._workers: set[int] = set()
        self._inputs: dict[int, Input] = {}
        self._guard = threading.Lock()
        self._pushed = 0
        self._window: deque[tuple[bytes, Any]] = deque()
        #: When an answer last came.
        self._heard = 0.0
        #: Whether its node sees the driver's files, so that input need not be brought.
        self._reads_in_place = False
        self._arrivals = Arrivals(errand.job_folder)
        threading.Thread(target=self._run, args=(self._send,), daemon=True, name=f"to {self._name}").start()

    def order(self, header: Header, raw: bytes = b"") -> bool:
        """Take an order for one of the workers; False when the instance is gone."""
        with self._guard:
            if self.ended.is_set():
                return False
            if header["t"] == "start":
                self._workers.add(header["worker"])
            elif header["t"] == "kill":
                self._workers.discard(header["worker"])
            self._orders.put((header, raw))
            return True

    def say_goodbye(self) -> None:
        """End the workers, then the actor."""
        with self._guard:
            was_ended = self.ended.is_set()
            self.ended.set()
        if self._actor is None or was_ended:
            return
        try:
            call = self._cluster.call(self._actor, "ask", frame({"t": "close"}))
            self._cluster.result(call, GOODBYE_S)
        except OSError as error:
            log.info("%s did not say goodbye: %s", self._name, error)
        self._cluster.end(self._actor)

    # ---- the threads ----------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except JobFailed as error:
            self._errand.tell({"t": "failed", "code": error.code, "message": error.message}, b"")
        except Exception as error:  # the thread's top: its instance is lost, and nothing else
            if not isinstance(error, OSError):
                log.exception("%s failed", self._name)
            self._lose(str(error) or type(error).__name__)

    def _lose(self, reason: str) -> None:
        with self._guard:
            if self.ended.is_set():
                return
            self.ended.set()
        log.warning("instance %s is lost: %s", self._name, reason)
        self._errand.tell({"t": "lost", "instance": self.number, "reason": reason}, b"")
        for worker in sorted(self._workers):
            self._errand.tell({"t": "exited", "worker": worker, "status": None, "signal": 9}, b"")
        if self._actor is not None:
            self._cluster.end(self._actor)

    def _send(self) -> None:
        while not self._errand.joined.wait(LOOK_EVERY_S):
            if self.ended.is_set():
                return
        self._actor = self._cluster.place(self._name)
        self._settle()
        threading.Thread(target=self._run, args=(self._receive,), daemon=True, name=f"from {self._name}").start()
        while True:
            order = self._next_order()
            if order is None:
                return
            self._push(self._batched(order))
            if self._orders.empty():
                self._await_window(0)

    def _next_order(self) -> tuple[Header, bytes] | None:
        while not self.ended.is_set():
            try:
                return self._orders.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                continue
        return None

    def _settle(self) -> None:
        """Wait until the actor is there, bring it what it needs, and have it make ready."""
        self._heard = float("inf")  # it may take long to be placed, and only the bridge knows how long is too long
        hello = self._ask({"t": "hello"})
        self._heard = time.monotonic()
        supplies = self._errand.supplies
        python = supplies.python(self._ask, hello["node"])
        for parcel, venv in supplies.parcels(python):
            self._bring(parcel, venv)
        self._reads_in_place = not self._errand.always_ship and hello["sight"] == sight() != ""
        self._ask(supplies.ready(python, reads_in_place=self._reads_in_place))
        log.info("instance %s is on %s, Python %s", self._name, hello["node"], hello["python"])
        self.settled.set()

    def _bring(self, parcel: Parcel, venv: Header | None) -> None:
        while (answer := self._ask({"t": "want", "parcel": parcel.digest})["answer"]) != "have":
            if answer == "send":
                seal = frame({"t": "sealed", "parcel": parcel.digest, "venv": venv})
                self._push(f for frames_ in (parcel.frames(), [seal]) for f in frames_)
                self._await_window(0)
                return
            if self.ended.wait(LOOK_EVERY_S):
                raise ConnectionResetError("it is no longer wanted")

    def _ask(self, question: Header) -> Header:
        return only_header(self._answer("ask", frame(question)))

    def _answer(self, method: str, message: bytes, call: Any = None) -> bytes:
        """Call until there is an answer. Every call may safely come twice."""
        while True:
            try:
                call = call or self._cluster.call(self._actor, method, message)
                answer = self._cluster.result(call, LOOK_EVERY_S)
            except ConnectionResetError:
                raise
            except ConnectionError:
                call, answer = None, None
                self.ended.wait(LOOK_EVERY_S)
            if answer is not None:
                self._heard = max(self._heard, time.monotonic()) if self._heard != float("inf") else self._heard
                return answer
            self._check()

    def _check(self) -> None:
        if self.ended.is_set():
            raise ConnectionResetError("it is no longer wanted")
        if time.monotonic() - self._heard > self._errand.silence_s:
            raise ConnectionResetError(f"nothing was heard of it for {self._errand.silence_s:g} s")

    # ---- sending --------------------------------------------------------------------------------------------------

    def _batched(self, order: tuple[Header, bytes]) -> Iterator[bytes]:
        """The frames of an order, and of those that wait behind it."""
        yield from self._loaded(*order)
        while not self._orders.empty():
            following = self._orders.get()
            if following is not None:
                yield from self._loaded(*following)

    def _loaded(self, header: Header, raw: bytes) -> Iterator[bytes]:
        """An order, and before it the input that it speaks of."""
        if header["t"] == "line" and not self._reads_in_place:
            worker = header["worker"]
            yield from self._inputs.setdefault(worker, Input()).frames(worker, raw)
        elif header["t"] == "kill":
            self._inputs.pop(header["worker"], None)
        yield frame(header, raw)

    def _push(self, parts: Iterable[bytes]) -> None:
        """Send frames in messages of about one piece each."""
        message: list[bytes] = []
        size = 0
        for part in parts:
            message.append(part)
            size += len(part)
            if size >= PIECE:
                self._push_one(message)
                message, size = [], 0
        if message:
            self._push_one(message)

    def _push_one(self, parts: list[bytes]) -> None:
        self._await_window(WINDOW - 1)
        self._pushed += 1
        message = frame({"seq": self._pushed}) + b"".join(parts)
        try:
            call = self._cluster.call(self._actor, "push", message)
        except ConnectionResetError:
            raise
        except ConnectionError:
            call = None
        self._window.append((message, call))

    def _await_window(self, left: int) -> None:
        while len(self._window) > left:
            message, call = self._window.popleft()
            self._answer("push", message, call)

    # ---- receiving ------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        number = 0
        while not self.ended.is_set():
            (head, _), *content = frames(self._answer("pull", frame({"seq": number})))
            number = head["seq"]
            for header, raw in content:
                self._take(header, raw)

    def _take(self, header: Header, raw: bytes) -> None:
        if header["t"] not in ("said", "exited"):
            try:
                self._arrivals.take(header, raw)
            except OSError as error:
                message = f"What the workers wrote cannot be kept: {error}. Make room there and invoke again."
                raise ComputeUnavailable(message) from error
            return
        if header["t"] == "exited":
            with self._guard:
                self._workers.discard(header["worker"])
        self._errand.tell(header, raw)
