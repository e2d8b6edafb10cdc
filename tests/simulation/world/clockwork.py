"""Virtual time, and processes that run one at a time in it.

A process is a thread that keeps the baton until it waits; whoever waits looks in the calendar who is next. So code that
blocks runs unmodified, and one seed is one order of events.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

threading.stack_size(512 * 1024)


class Killed(BaseException):
    """The process is no more; nothing of ours may catch it."""


class Broken(BaseException):
    """An invariant does not hold; see ``Clockwork.broken``."""


@dataclass(eq=False)
class Process:
    """Something that runs until it ends or is killed."""

    name: str
    body: Callable[[], None]
    #: The entry of the calendar that wakes it; others are stale.
    token: int = 0
    stopped_until: float = 0.0
    killed: bool = False
    done: bool = False
    #: It waits for something that may come sooner than its time is up.
    listens: bool = False
    baton: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.baton.acquire()


class Clockwork:
    """The calendar and the clock that goes with it."""

    def __init__(self) -> None:
        self.now = 0.0
        #: The process whose code runs; None: an event that belongs to none.
        self.current: Process | None = None
        self.over = False
        self.broken: BaseException | None = None
        self._calendar: list[tuple[float, int, Process | Callable[[], None], int]] = []
        self._serial = 0
        self._main = threading.Lock()
        self._main.acquire()
        #: The run is over, and one process after the other is being ended.
        self._ending = False
        self._processes: list[Process] = []

    # ---- what the world calls -------------------------------------------------------------------------------------

    def at(self, when: float, event: Callable[[], None]) -> None:
        """Enter an event, which must not wait."""
        self._push(when, event, 0)

    def start(self, process: Process, delay: float = 0.0) -> None:
        """Let a process begin."""
        self._processes.append(process)
        self._wake(process, self.now + delay)

    def wake(self, process: Process) -> None:
        """What a listening process waits for is there."""
        if process.listens and not process.done:
            process.listens = False
            self._wake(process, self.now)

    def stop(self, process: Process, seconds: float) -> None:
        """The process does nothing for so long (SIGSTOP, SIGCONT)."""
        process.stopped_until = max(process.stopped_until, self.now + seconds)

    def kill(self, process: Process) -> None:
        """The process is no more, at once; raises Killed if it is the one that runs."""
        if process.done or process.killed:
            return
        process.killed = True
        if process is self.current:
            raise Killed
        self._wake(process, self.now)

    def wait(self, seconds: float, listens: bool = False) -> None:
        """Time passes for the process that runs; others take their turns."""
        process = self.current
        assert process is not None
        if process.killed:
            raise Killed
        process.listens = listens
        self._wake(process, self.now + max(0.0, seconds))
        if self._turn(process) is not process:
            process.baton.acquire()
        process.listens = False
        if process.killed:
            raise Killed

    def violated(self, what: str) -> NoReturn:
        """Something does not hold: the run ends here."""
        self._break(AssertionError(what))
        raise Broken

    def run(self) -> None:
        """Play until ``over`` or nothing is left; then every process is ended."""
        while not self.over and self._calendar:
            if self._turn(None) is not None:
                self._main.acquire()
        self.over = self._ending = True
        for process in self._processes:
            if process.thread is not None and not process.done:
                process.killed = True
                self.current = process
                process.baton.release()
                process.thread.join()
        if self.broken is not None:
            raise self.broken

    # ---- turns ----------------------------------------------------------------------------------------------------

    def _push(self, when: float, item: Process | Callable[[], None], token: int) -> None:
        self._serial += 1
        heapq.heappush(self._calendar, (when, self._serial, item, token))

    def _wake(self, process: Process, when: float) -> None:
        process.token += 1
        self._push(when, process, process.token)

    def _turn(self, runner: Process | None) -> Process | None:
        """Play events until a process is next, and hand over to it; answers which, or None when all is over."""
        while self._calendar and not self.over:
            when, _, item, token = heapq.heappop(self._calendar)
            if not isinstance(item, Process):
                self.now = max(self.now, when)
                self.current = None
                self._play(item)
                continue
            if item.done or token != item.token:
                continue
            self.now = max(self.now, when)
            if item.stopped_until > self.now and not item.killed:
                self._push(item.stopped_until, item, token)
                continue
            self.current = item
            if item is not runner:
                self._hand_over(item)
            return item
        self.over = True
        if runner is not None:
            self._main.release()
        return None

    def _play(self, event: Callable[[], None]) -> None:
        try:
            event()
        except Broken:
            self.over = True
        except BaseException as error:
            self._break(error)

    def _hand_over(self, process: Process) -> None:
        if process.thread is None:
            process.thread = threading.Thread(target=self._live, args=(process,), daemon=True)
            process.thread.start()
        else:
            process.baton.release()

    def _live(self, process: Process) -> None:
        try:
            if not process.killed:
                process.body()
        except (Killed, Broken):
            pass
        except BaseException as error:
            self._break(error)
        process.done = True
        if self.over and not self._ending:
            self._main.release()
        elif not self.over:
            self.current = None
            self._turn(process)

    def _break(self, error: BaseException) -> None:
        if self.broken is None:
            self.broken = error
        self.over = True
