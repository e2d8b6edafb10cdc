"""One preflight: ``python -m batchpoint.engine.preflight`` with a line of JSON on stdin, lines of JSON on stdout.

In: ``{"settings": {…}, "folder": path, "has_input": true, "arm_id": "…", "limit_s": 1800}``. Out: ``check``, ``log``,
``finding`` and ``estimate`` lines, then ``end`` with counts; exit status 1 when there is an error among the findings.

It ends, with all that it has started, when stdin is closed: whoever asked is gone. It leaves nothing in ``folder``.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pydantic import ValidationError

from batchpoint.compute import orphans, strays
from batchpoint.engine.preflight.checks import Preflight, Wish
from batchpoint.engine.preflight.estimate.estimating import Estimate
from batchpoint.engine.preflight.report import Report, error
from batchpoint.entities.job import JobSettings
from batchpoint.errors import InternalError
from batchpoint.settings import Settings

FOUND, USAGE, STOPPED = 1, 2, 3


class _OutOfTime(BaseException):
    """The preflight has taken as long as one may; no ``except`` on the way is meant for it."""


def main() -> int:
    """Read what is wanted, and check it."""
    signal.signal(signal.SIGTERM, _stop)
    line = sys.stdin.buffer.readline()
    try:
        asked = json.loads(line)
        wish = _wish(asked)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as failed:
        print(f"The document on stdin cannot be read: {failed}", file=sys.stderr)
        return USAGE
    _end_with_stdin()
    # Monitors of containers go to the init of the machine: their runtime waits until somebody reaps them.
    if wish.settings.place.isolation != "container":
        orphans.adopt()
    report = Report(_write)
    with _tidied(wish.folder), _limited(float(asked.get("limit_s", 0))):
        _check(wish, report, asked)
    report.end()
    return FOUND if report.has_errors else 0


def _check(wish: Wish, report: Report, asked: dict[str, Any]) -> None:
    kind = Estimate if asked.get("estimate") else Preflight
    try:
        kind(wish, Settings.load(), report).run()
    except _OutOfTime:
        fix = "Raise the setting preflight_limit_s, or have the environment built by a first job."
        report.find(error("PreflightTooLong", f"The preflight took longer than {asked['limit_s']:g} s.", fix))
    except Exception as failed:  # the top of the process: whoever waits for findings is told of a fault of ours
        said = f"A fault inside the preflight: {type(failed).__name__}: {failed}."
        report.find(error(InternalError.code, said, "Report it; a job may run all the same."))


def _wish(asked: dict[str, Any]) -> Wish:
    settings = JobSettings.model_validate(asked["settings"])
    return Wish(
        settings,
        Path(asked["folder"]),
        has_input=bool(asked.get("has_input", True)),
        has_own_output=bool(asked.get("has_own_output")),
        arm_id=str(asked.get("arm_id", "")),
        max_instances=int(asked.get("max_instances", 1)),
    )


def _write(line: str) -> None:
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.exit(STOPPED)


@contextlib.contextmanager
def _tidied(folder: Path) -> Iterator[None]:
    """Leave neither files nor processes, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for place in folder.iterdir():
            strays.end_strays(strays.mark(place))
            strays.end_strays(strays.mark(place / "job"))
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def late(_: int, __: FrameType | None) -> NoReturn:
        raise _OutOfTime

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(0.0, seconds))
    yield


def _end_with_stdin() -> None:
    """Whoever asked holds the other end of stdin; the system tells when that is closed, in the middle of anything."""
    if sys.stdin.isatty():
        return
    signal.signal(signal.SIGIO, _stop_if_closed)
    descriptor = sys.stdin.fileno()
    with contextlib.suppress(OSError):  # a file has no other end
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
        _stop_if_closed(signal.SIGIO, None)


def _stop_if_closed(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(BlockingIOError):
        if not os.read(sys.stdin.fileno(), 1):
            _stop(number, frame)


def _stop(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
