"""The agent of one instance: it runs worker processes on its node and passes files and lines between them and a driver.

It lives in the actor's process; Ray's threads call ``ask``, ``push`` and ``pull``, its own thread owns the workers.
Everything it knows of the job is in the messages; a message that comes twice is taken once.
"""

import contextlib
import fcntl
import logging
import os
import platform
import shutil
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from batchpoint.compute import strays
from batchpoint.compute.local import LocalPool
from batchpoint.compute.pool import Exited, PoolEvent, Said
from batchpoint.compute.ray.frames import Header, frame, frames, only_header
from batchpoint.compute.ray.node import interpreters
from batchpoint.compute.ray.node.inbox import Inbox, memory_folder
from batchpoint.compute.ray.node.parcels import Parcels
from batchpoint.compute.ray.node.returns import Returns
from batchpoint.compute.ray.node.seats import Seats
from batchpoint.compute.ray.node.surroundings import sight

log = logging.getLogger(__name__)

#: Seconds that a call waits for something to happen.
PULL_S = 1.0
#: Seconds to let answers gather while every worker has work ahead: a call costs as much as scoring many small files.
LINGER_S = 0.080
#: Seconds without a word from the driver after which the workers are ended: the node is cut off.
LOST_S = 120.0
#: Bytes of files in one answer, and of lines.
ANSWER_BYTES = 1 << 23
ANSWER_LINES = 1 << 22


class Agent:
    """One instance on this node."""

    def __init__(self, root: Path | str, name: str, log_limit_bytes: int) -> None:
        self._folder = Path(root, "jobs", name)
        self._lock = _claim(Path(root, "jobs"), self._folder)
        self._parcels = Parcels(Path(root, "parcels"))
        self._pool = LocalPool(self._folder / "job", log_limit_bytes)
        self._memory = memory_folder(Path(root), name, self._folder / "in")
        self._inbox = Inbox(self._memory, self._folder / "in", self._folder / "job" / "plan.items")
        self._seats = Seats(self._folder / "job", self._pool, self._parcels, self._inbox)
        self._returns = Returns(self._folder / "job")
        self._orders: deque[tuple[Header, bytes]] = deque()
        self._events: deque[PoolEvent] = deque()
        self._happened = threading.Condition()
        self._taking = threading.Lock()
        self._giving = threading.Lock()
        self._ahead: dict[int, list[tuple[Header, bytes]]] = {}
        self._taken = 0
        self._round: Iterator[bytes] | None = None
        self._due: list[PoolEvent] = []
        self._answered = (0, b"")
        self._heard = time.monotonic()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="workers", daemon=True).start()

    # ---- called by Ray's threads ----------------------------------------------------------------------------------

    def ask(self, message: bytes) -> bytes:
        """The answer to a question: who are you, have you this parcel, have you this Python, get ready, end."""
        self._heard = time.monotonic()
        asked = only_header(message)
        answer: Header = {}
        if asked["t"] == "hello":
            answer = {"node": socket.gethostname(), "python": platform.python_version(), "sight": sight()}
        elif asked["t"] == "want":
            answer = {"answer": self._parcels.want(asked["parcel"])}
        elif asked["t"] == "python":
            answer = _python(asked)
        elif asked["t"] == "ready":
            self._seats.prepare(asked)
        elif asked["t"] == "close":
            self._close()
        return frame(answer)

    def push(self, message: bytes) -> bytes:
        """Take commands, in the order of their numbers whatever order they come in."""
        self._heard = time.monotonic()
        (head, _), *content = frames(message)
        with self._taking:
            if head["seq"] > self._taken:
                self._ahead[head["seq"]] = content
            while (following := self._ahead.pop(self._taken + 1, None)) is not None:
                self._taken += 1
                for header, raw in following:
                    self._take(header, raw)
        return b""

    def _take(self, header: Header, raw: bytes) -> None:
        kind = header["t"]
        if kind == "piece":
            self._parcels.take(header, raw)
        elif kind == "sealed":
            self._parcels.seal(header["parcel"], header["venv"])
        elif kind in ("plan", "files", "item"):
            self._inbox.take(header, raw)
        else:
            self._orders.append((header, raw))
            self._pool.wake()

    def pull(self, message: bytes) -> bytes:
        """The next answer; the last one again if it did not arrive."""
        self._heard = time.monotonic()
        with self._giving:
            number, answer = self._answered
            if only_header(message)["seq"] != number:
                return answer
            if self._round is None:
                self._await_events()
            answer = frame({"seq": number + 1}) + b"".join(self._pieces())
            self._answered = number + 1, answer
            return answer

    def _await_events(self) -> None:
        """Return soon after something happened: at once when a worker waits for work, else a moment later."""
        with self._happened:
            if not self._events:
                self._happened.wait(PULL_S)
            deadline = time.monotonic() + LINGER_S
            while self._events and self._seats.all_busy and (left := deadline - time.monotonic()) > 0:
                self._happened.wait(left)

    def _pieces(self) -> Iterator[bytes]:
        if self._round is None:
            self._due = self._taken_events()
            self._round = self._returns.round(rewritten=bool(self._due))
        size = 0
        for piece in self._round:
            size += len(piece)
            yield piece
            if size >= ANSWER_BYTES:
                return
        self._round = None
        yield from map(_told, self._due)
        self._due = []

    def _taken_events(self) -> list[PoolEvent]:
        taken: list[PoolEvent] = []
        size = 0
        while self._events and size < ANSWER_LINES:
            event = self._events.popleft()
            taken.append(event)
            size += len(event.line) if isinstance(event, Said) else 1
        return taken

    # ---- the thread of the workers --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException:  # the thread's top: an actor without it would look healthy for ever
            log.exception("the agent failed")
            os._exit(1)

    def _serve(self) -> None:
        while not self._closed.is_set():
            while self._orders:
                self._obey(*self._orders.popleft())
            for event in self._pool.receive(PULL_S):
                self._note(event)
            if time.monotonic() - self._heard > LOST_S:
                log.warning("nothing was heard of the driver for %g s: the workers are ended", LOST_S)
                self._end()
                os._exit(1)
        self._end()

    def _obey(self, order: Header, raw: bytes) -> None:
        kind = order["t"]
        if kind == "start":
            try:
                self._seats.start(order)
            except OSError as error:
                log.warning("no worker can be started: %s", error)
                self._note(Exited(order["worker"], 127, None))
        elif kind == "line":
            self._seats.send(order["worker"], raw)
        elif kind == "kill":
            self._pool.kill(order["worker"])
            self._returns.leave_out()
            self._seats.leave(order["worker"])

    def _note(self, event: PoolEvent) -> None:
        if isinstance(event, Said):
            self._seats.heard(event)
        else:
            self._seats.leave(event.worker)
        with self._happened:
            self._events.append(event)
            self._happened.notify_all()

    def _close(self) -> None:
        self._closed.set()
        self._pool.wake()
        deadline = time.monotonic() + 4.0
        while self._folder.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _end(self) -> None:
        self._pool.close()
        self._parcels.close()
        _remove(self._folder)
        os.close(self._lock)


def _told(event: PoolEvent) -> bytes:
    if isinstance(event, Said):
        return frame({"t": "said", "worker": event.worker}, event.line)
    return frame(
        {
            "t": "exited",
            "worker": event.worker,
            "status": event.status,
            "signal": event.signal,
            "out_of_memory": event.out_of_memory,
            "peak_bytes": event.peak_bytes,
            "limit_bytes": event.limit_bytes,
        }
    )


def _python(asked: Header) -> Header:
    """The interpreter that is to be used: our own, one at a given path, or the base of a copied environment."""
    if asked["kind"] == "own":
        return {"path": sys.executable}
    if asked["kind"] == "path":
        found = asked["path"] if interpreters.version_of(asked["path"]) == asked["minor"] else None
    else:
        found = interpreters.find(asked["minor"], asked["path"])
    return {"path": found, "node": socket.gethostname()}


def _claim(jobs: Path, folder: Path) -> int:
    """Lock the folder of this instance, and remove what instances left here that were killed."""
    jobs.mkdir(parents=True, exist_ok=True)
    with (jobs.parent / "jobs.lock").open("ab") as entrance:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        for left in jobs.iterdir():
            _clear(left)
        folder.mkdir()
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _clear(left: Path) -> None:
    try:
        lock = os.open(left / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # it was killed as it came or went
        _remove(left)
        return
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        strays.end_strays(strays.mark(left / "job"))
        _remove(left)
    os.close(lock)


def _remove(left: Path) -> None:
    memory = memory_folder(left.parents[1], left.name, left)
    if memory != left:
        shutil.rmtree(memory, ignore_errors=True)
        with contextlib.suppress(OSError):  # others may have theirs beside it
            memory.parent.rmdir()
    shutil.rmtree(left, ignore_errors=True)
