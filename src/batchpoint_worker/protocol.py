"""The lines between driver and worker: commands in, answers out, one JSON object each, at most 64 KiB.

Used by the session; knows nothing of scripts. A thread reads the commands, so that the worker notices within any
``run()`` that its driver died, and then takes its whole process group with it.
"""

import _thread
import json
import os
import signal
import time
from collections import deque

from batchpoint_worker.files import CANNOT_GO_ON, CHANNEL_CLOSED, CLOSED_BY_SCRIPT, Descriptor, die, was_closed
from batchpoint_worker.rows import Limits

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.failures import Failure

PROTOCOL = 1
LINE_LIMIT = 64 * 1024
#: How long shutdown() may go on after the driver hung up.
SHUTDOWN_GRACE_S = 60.0

_read, _getpid, _getpgrp, _killpg, _exit, _sleep = os.read, os.getpid, os.getpgrp, os.killpg, os._exit, time.sleep
_encode_text = json.encoder.encode_basestring_ascii
# The C scanner itself: patches of json.loads and of its classes do not reach it.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def driver_is_gone() -> None:
    """Nobody waits for answers: ends the worker and everything that it started."""
    if _getpgrp() == _getpid():
        _killpg(0, signal.SIGKILL)
    _exit(CANNOT_GO_ON)


class Start:
    """The first command: everything a worker needs to know about its job."""

    def __init__(self, command: "dict[str, Any]") -> None:
        self.protocol = int(command["protocol"])
        self.code_path = os.path.abspath(command["code_path"])
        self.scoring_script = str(command["scoring_script"])
        #: Empty when the plan holds absolute paths.
        self.input_root = os.path.abspath(command["input_root"]) if command["input_root"] else ""
        self.plan_items = os.path.abspath(command["plan_items"])
        self.segment = os.path.abspath(command["segment"])
        self.writes_rows = command["output_action"] != "summary_only"
        self.provenance = bool(command["provenance"])
        self.output_format = str(command["output_format"])
        #: For a model without a script: ``model`` (its folder), ``passthrough_columns``, ``prediction_columns``.
        self.no_code = command["no_code"]  # type: dict[str, Any] | None
        self.argv = [str(word) for word in command["argv"]]
        self.working_dir = os.path.abspath(command["working_dir"])
        self.scratch = os.path.abspath(command["scratch"])
        self.entry_log = os.path.abspath(command["entry_log"])
        self.agent = str(command["agent"])
        self.logging_level = str(command["logging_level"])
        self.limits = Limits(int(command["row_limit"]), int(command["result_limit"]))


class Commands:
    """What the driver wants, in order."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._waiting = deque()  # type: deque[dict[str, Any]]
        # Released when something was put into the queue; the queue module would cost 3 ms of start-up.
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._shutting_down = False

    def listen(self) -> None:
        """Starts the thread that reads; it never keeps the process alive."""
        _thread.start_new_thread(self._listen, ())

    def next(self) -> "dict[str, Any]":
        """The next command; waits for it."""
        while True:
            try:
                return self._waiting.popleft()
            except IndexError:
                self._bell.acquire()

    def _listen(self) -> None:
        pending = b""
        while True:
            chunk = self._read_some()
            if not chunk:
                break
            lines = (pending + chunk).split(b"\n")
            pending = lines.pop()
            for line in lines:
                self._deliver(line)
        if self._shutting_down:
            _sleep(SHUTDOWN_GRACE_S)
        driver_is_gone()

    def _read_some(self) -> bytes:
        number = self._descriptor.demand()
        try:
            return _read(number, LINE_LIMIT)
        except OSError as error:
            if was_closed(error):
                die(CHANNEL_CLOSED, CLOSED_BY_SCRIPT % "the command channel")
            return b""

    def _deliver(self, line: bytes) -> None:
        try:
            command, _ = _scan(line.decode("utf-8"), 0)
            self._shutting_down = self._shutting_down or command["t"] == "Shutdown"
        except (ValueError, StopIteration, KeyError, TypeError):
            die(CANNOT_GO_ON, "the driver sent a line that is no command: %r" % line[:200])
        self._waiting.append(command)
        if self._bell.locked():
            self._bell.release()


class Answers:
    """What the driver hears; each answer is one write."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor

    def ready(self, python: str, host: str, init_s: float) -> None:
        told = (_getpid(), _quoted(python), _quoted(host), init_s)
        self._send(b'{"t":"Ready","pid":%d,"python":%s,"host":%s,"init_s":%.6f}\n' % told)

    def init_failed(self, failure: "Failure") -> None:
        self._send_failure(b'{"t":"InitFailed",', b"}\n", failure)

    def scored(
        self,
        work: "tuple[int, int]",
        results: int,
        rows: int,
        part: "tuple[int, int, int]",
        seconds: "tuple[float, float]",
    ) -> None:
        """``seconds``: of the whole mini-batch, and of ``run()`` alone."""
        self._send(
            b'{"t":"Scored","m":%d,"a":%d,"n":%d,"rows":%d,"off":%d,"len":%d,"crc":%d,"s":%.6f,"r":%.6f}\n'
            % (work + (results, rows) + part + seconds)
        )

    def failed(self, work: "tuple[int, int]", failure: "Failure", seconds: "tuple[float, float]") -> None:
        self._send_failure(b'{"t":"Failed","m":%d,"a":%d,' % work, b',"s":%.6f,"r":%.6f}\n' % seconds, failure)

    def bye(self) -> None:
        self._send(b'{"t":"Bye"}\n')

    def close(self) -> None:
        self._descriptor.close()

    def _send_failure(self, head: bytes, tail: bytes, failure: "Failure") -> None:
        head += b'"code":%s,"message":%s,"traceback":' % (_quoted(failure.code), _fitting(failure.message, 8 * 1024))
        room = LINE_LIMIT - len(head) - len(tail)
        self._send(head + _fitting(failure.traceback, room) + tail)

    def _send(self, line: bytes) -> None:
        try:
            self._descriptor.write(line)
        except OSError as error:
            if was_closed(error):
                die(CHANNEL_CLOSED, CLOSED_BY_SCRIPT % "the answer channel")
            driver_is_gone()


def _quoted(text: str) -> bytes:
    return _encode_text(text).encode("ascii")


def _fitting(text: str, room: int) -> bytes:
    """The text as JSON of at most ``room`` bytes; what is too long loses its middle."""
    keep = room
    quoted = _quoted(cut_in_the_middle(text, keep))
    while len(quoted) > room:
        keep = min(keep * 9 // 10, keep * room // len(quoted))
        quoted = _quoted(cut_in_the_middle(text, keep))
    return quoted


def cut_in_the_middle(text: str, limit: int) -> str:
    """The text itself, or its beginning and end with a note of what is missing between them."""
    if len(text) <= limit:
        return text
    note = "\n... %d characters left out ...\n" % (len(text) - limit)
    half = max(0, limit - len(note)) // 2
    return text[:half] + note + text[len(text) - half :]
