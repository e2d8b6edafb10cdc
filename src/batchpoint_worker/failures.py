"""Turns what user code raised into a code, one sentence and a traceback that shows the user's frames alone.

Used by the session. Exceptions are hostile: their ``__str__`` may raise, recurse or return a gigabyte.
"""

import contextlib
import os
import sys

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from types import TracebackType

#: Longer exception texts lose the rest of their first line.
TEXT_LIMIT = 2000
#: Frames shown of a deep recursion, the innermost ones.
FRAME_LIMIT = 500

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_IMPORT_MACHINERY = "<frozen importlib"


class Failure:
    """Why a script or a mini-batch failed."""

    __slots__ = ("code", "message", "traceback")

    def __init__(self, code: str, message: str, traceback: str = "") -> None:
        #: ScriptUnusable, InitFailed, ScriptRaised, InvalidResult, RowEncodingError, ResultTooLarge or
        #: SegmentUnwritable.
        self.code = code
        #: One line: ``ValueError: bad header (score.py:31)``.
        self.message = message
        #: As Python prints it, without our frames; empty when no user code was running.
        self.traceback = traceback


class Refused(Exception):
    """The script or what it returned breaks the contract; carries the failure to report."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def describe(error: BaseException, code: str, code_path: str, doing: str) -> Failure:
    """The failure that ``error``, raised by the function ``doing`` of the script, stands for."""
    if isinstance(error, Refused):
        return Failure(error.code, error.message)
    message = ": ".join(filter(None, (type(error).__name__, _said(error))))
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        message += " (%s must return, not exit)" % doing
    told = ""
    try:
        where = _where(error, code_path)
        message += " (%s)" % where if where else ""
        told = _traceback(error)
    except BaseException:
        # An exception that cannot be looked at any closer is still reported.
        return Failure(code, message, told)
    return Failure(code, message, told)


def _said(error: BaseException) -> str:
    """The first line of the exception's text."""
    if isinstance(error, SyntaxError) and error.filename:
        return str(error.msg)
    try:
        # A gigabyte of text is not split into lines.
        lines = str(error)[: 10 * TEXT_LIMIT].strip().splitlines()
    except BaseException:
        return "<unprintable>"
    first = lines[0] if lines else ""
    return first if len(first) <= TEXT_LIMIT else first[:TEXT_LIMIT] + " ..."


def _where(error: BaseException, code_path: str) -> str:
    """``file.py:line`` of the innermost frame within the code folder, empty if there is none."""
    root = os.path.join(os.path.realpath(code_path), "")
    found = [place for place in _places(error.__traceback__) if _is_in(place[0], root)]
    if isinstance(error, SyntaxError) and error.filename and _is_in(error.filename, root):
        found.append((error.filename, error.lineno or 0))
    if not found:
        return ""
    name, line = found[-1]
    return "%s:%d" % (os.path.realpath(name)[len(root) :], line)


def _is_in(filename: str, root: str) -> bool:
    """Whether a frame's file is the user's, and not one of an environment that stands in the code folder."""
    # A name such as <frozen codecs> is no file; as a path it would lie in the working directory.
    if filename.startswith("<"):
        return False
    file, environment = os.path.realpath(filename), os.path.join(os.path.realpath(sys.prefix), "")
    return file.startswith(root) and not (environment.startswith(root) and file.startswith(environment))


def _places(traceback: "TracebackType | None") -> "Iterator[tuple[str, int]]":
    last = None
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        place = (name, traceback.tb_lineno or 0)
        # A recursion repeats one place a thousand times.
        if place != last and not _is_ours(name):
            yield place
        last = place
        traceback = traceback.tb_next


def _is_ours(filename: str) -> bool:
    return filename.startswith((_OURS, _IMPORT_MACHINERY))


def _traceback(error: BaseException) -> str:
    # Imported here: costs a healthy worker 4 ms.
    import traceback

    told = traceback.TracebackException(type(error), error, error.__traceback__, limit=-FRAME_LIMIT)
    _keep_user_frames(told, set())
    return "".join(told.format())


def _keep_user_frames(told: object, seen: "set[int]") -> None:
    """Drops our frames from an exception, its causes and the members of a group."""
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    stack = getattr(told, "stack", None)
    if stack is not None:
        stack[:] = [frame for frame in stack if not _is_ours(frame.filename)]
    _keep_user_frames(getattr(told, "__cause__", None), seen)
    _keep_user_frames(getattr(told, "__context__", None), seen)
    for member in getattr(told, "exceptions", None) or ():
        _keep_user_frames(member, seen)


def report(error: BaseException, doing: str) -> None:
    """Prints an exception that is nobody's answer to the captured standard error."""
    with contextlib.suppress(BaseException):
        sys.stderr.write("%s raised:\n%s" % (doing, _traceback(error)))
        sys.stderr.flush()
