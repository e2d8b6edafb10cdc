"""The life of a worker: start, init(), one mini-batch after the other, shutdown().

Called by ``__main__``; the one place that knows script, files and protocol, and the one with a broad ``except``:
whatever user code raises becomes an answer.
"""

import atexit
import contextlib
import os
import sys
import time

from batchpoint_worker import surroundings
from batchpoint_worker.failures import Failure, Refused, describe, report
from batchpoint_worker.files import Descriptor, PlanFile, Segment, SegmentUnwritable, is_full
from batchpoint_worker.formats.choice import encoder_of
from batchpoint_worker.protocol import PROTOCOL, Answers, Commands, Start
from batchpoint_worker.provenance import Origin
from batchpoint_worker.script import script_of
from batchpoint_worker.tables.small_files import SmallFiles

MYPY = False
if MYPY:
    from typing import NoReturn

_exit, _getpid, _clock = os._exit, os.getpid, time.perf_counter
_HOST = os.uname().nodename

#: What a worker does before it comes to the script.
STARTING = "the start of the worker"


def serve(read_fd: int, write_fd: int) -> int:
    """Serves one driver to the end; the exit status."""
    commands = Commands(Descriptor(read_fd, "the command channel"))
    answers = Answers(Descriptor(write_fd, "the answer channel"))
    commands.listen()
    session = Session(Start(commands.next()), answers)
    session.make_ready()
    while True:
        command = commands.next()
        if command["t"] == "Score":
            for work in command["work"]:
                session.score(*work)
        elif command["t"] == "Shutdown":
            session.shut_down()
            if session.has_no_script:
                _leave_without_ado()
            return 0


class Session:
    """One script, scored with by one process."""

    def __init__(self, start: Start, answers: Answers) -> None:
        self._start = start
        self._answers = answers
        self._pid = _getpid()
        self._plan = PlanFile(start.plan_items, start.input_root)
        self._small_files = SmallFiles(start.scratch)
        self.has_no_script = start.no_code is not None

    def make_ready(self) -> None:
        """Loads the script and calls its init(); ends the process if that fails."""
        start, began = self._start, _clock()
        doing, code = STARTING, "InitFailed"
        try:
            if start.protocol != PROTOCOL:
                raise Refused("InitFailed", "the driver speaks protocol %d, the worker %d" % (start.protocol, PROTOCOL))
            surroundings.prepare(start)
            self._segment = Segment(start.segment) if start.writes_rows else None
            self._encoder = encoder_of(start)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget_descriptors)
            doing, code = "importing %s" % start.scoring_script, "ScriptUnusable"
            self._script = script_of(start)
            doing, code = "init()", "InitFailed"
            self._script.init()
        except BaseException as error:
            self._leave_if_forked(error)
            if doing == STARTING and is_full(error):
                self._answers.init_failed(Failure("NoSpaceLeft", str(error)))
            else:
                self._answers.init_failed(describe(error, code, start.code_path, doing))
            _flush_prints()
            # Threads that the script has started must not keep a useless process alive.
            _exit(1)
        self._leave_if_forked(None)
        self._answers.ready("%d.%d.%d" % sys.version_info[:3], _HOST, _clock() - began)

    def score(self, mini_batch: int, attempt: int, first_item: int, items: int, offset: int, length: int) -> None:
        """Runs one mini-batch and answers."""
        began = _clock()
        paths = self._plan.paths(offset, length, items)
        work = (mini_batch, attempt)
        run_began, run_ended = _clock(), 0.0
        try:
            if self._start.no_code is None:
                paths = self._small_files.of(paths)
                run_began = _clock()
            result = self._script.run(paths, mini_batch)
            run_ended = _clock()
            if _getpid() != self._pid:
                self._leave_if_forked(None)
            if self._segment is None:
                results, lines, part = self._encoder.count(result), 0, (0, 0, 0)
            else:
                results, pieces = self._encoder.encode(result, self._origin(mini_batch, offset, length))
                lines, part = results, self._segment.append(pieces)
        except BaseException as error:
            self._leave_if_forked(error)
            now = _clock()
            self._answers.failed(work, self._failure(error), (now - began, (run_ended or now) - run_began))
            _flush_prints()
        else:
            # A table is all that there is of its files, however many rows each has.
            results = results if self._start.no_code is None else items
            self._answers.scored(work, results, lines, part, (_clock() - began, run_ended - run_began))
        finally:
            self._small_files.remove()

    def _origin(self, mini_batch: int, offset: int, length: int) -> "Origin | None":
        return Origin(self._plan.names(offset, length), mini_batch) if self._start.provenance else None

    def _failure(self, error: BaseException) -> Failure:
        if isinstance(error, SegmentUnwritable):
            return Failure("NoSpaceLeft" if is_full(error) else "SegmentUnwritable", str(error))
        failure, file = describe(error, "ScriptRaised", self._start.code_path, "run()"), self._script.file()
        if file:
            failure.message += ", while %s was scored" % file
        return failure

    def shut_down(self) -> None:
        """Calls the script's shutdown(), whose troubles no longer change any result."""
        try:
            self._script.shutdown()
        except BaseException as error:
            self._leave_if_forked(error)
            report(error, "shutdown()")
        self._leave_if_forked(None)
        _flush_prints()
        self._answers.bye()

    def _forget_descriptors(self) -> None:
        """A child that outlives the worker must not hold the channels open."""
        self._answers.close()
        if self._segment is not None:
            self._segment.descriptor.close()

    def _leave_if_forked(self, error: "BaseException | None") -> None:
        """A child that the script forked and that came back here has nothing to say to the driver."""
        if _getpid() == self._pid:
            return
        if isinstance(error, SystemExit):
            _leave(error.code if isinstance(error.code, int) else int(error.code is not None))
        if error is not None:
            report(error, "a process forked by the scoring script")
        _leave(int(error is not None))


def _leave_without_ado() -> "NoReturn":
    # Taking a model's libraries down takes half a second; objects of a script may need that, those of a model do not.
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    _leave(0)


def _leave(status: int) -> "NoReturn":
    _flush_prints()
    _exit(status & 0xFF)


def _flush_prints() -> None:
    for stream in (sys.stdout, sys.stderr):
        # The script may have closed it or put anything in its place.
        with contextlib.suppress(Exception):
            stream.flush()
