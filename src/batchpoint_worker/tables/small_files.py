"""Makes a file of each part of a mini-batch for a script, which is to know nothing of parts, and removes it again.

The session calls it around ``run()``. A file has the name of the one that it is a part of, in a folder of its own.
"""

import os

from batchpoint_worker.failures import Refused
from batchpoint_worker.files import SegmentUnwritable, is_full
from batchpoint_worker.tables.parts import FileChanged, open_part, split_path

MYPY = False
if MYPY:
    from batchpoint_worker.tables.parts import Part

FOLDER = ".parts"
#: As what the libraries raise errors of their own about a file.
_WRONG = (OSError, ValueError, TypeError, LookupError, RuntimeError)
_NO_LIBRARY = (
    "%s is to be cut, and this Python has no library that reads Parquet: add pyarrow to the environment of the "
    "deployment, or invoke without split"
)


class SmallFiles:
    """The files that stand in for the parts of one mini-batch at a time."""

    def __init__(self, scratch: str) -> None:
        self._folder = os.path.join(scratch, FOLDER)
        self._is_there = False
        #: Files made so far: no path comes twice, for scripts that remember what they made of one.
        self._made = 0

    def of(self, items: "list[str]") -> "list[str]":
        """Paths for the script: of each part a file that was just made, and every whole file itself.

        Raises Refused for what cannot be read, and SegmentUnwritable where there is no room.
        """
        if "//" not in "\n".join(items):
            return items
        return list(map(self._path, items))

    def remove(self) -> None:
        """The mini-batch is scored, or has failed."""
        if self._is_there:
            # Imported here: costs workers that need it not 5 ms.
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)
            self._is_there = False

    def _path(self, item: str) -> str:
        file, part = split_path(item)
        if part is None:
            return item
        self._is_there = True
        self._made += 1
        target = os.path.join(self._folder, str(self._made), os.path.basename(file))
        if part.begin is None:
            _make_parquet(file, part, target)
        else:
            _write(target, _bytes(file, part))
        return target


def _bytes(file: str, part: "Part") -> bytes:
    try:
        return open_part(file, part)
    except (OSError, FileChanged) as error:
        raise _unreadable(file, part, error)


def _write(target: str, data: bytes) -> None:
    try:
        os.makedirs(os.path.dirname(target))
        with open(target, "wb") as out:
            out.write(data)
    except OSError as error:
        raise _unwritable(target, error) from error


def _make_parquet(file: str, part: "Part", target: str) -> None:
    from batchpoint_worker.tables import parquet_rows

    _write(target, b"")
    try:
        parquet_rows.write_part(file, part, target)
    except parquet_rows.NoLibrary:
        raise Refused("ItemRejected", _NO_LIBRARY % file)
    except _WRONG + (parquet_rows.Unreadable,) as error:
        if is_full(error):
            raise _unwritable(target, error) from error
        raise _unreadable(file, part, error)


def _unreadable(file: str, part: "Part", error: Exception) -> Exception:
    """What to raise: the error itself where another try may help."""
    from batchpoint_worker.tables.files.text import is_passing

    if is_passing(error):
        return error
    why = getattr(error, "strerror", None) or (str(error).strip().splitlines() or [type(error).__name__])[0]
    rows = "rows %d-%d" % (part.first_row, part.first_row + part.rows - 1)
    return Refused(
        "ItemRejected",
        "%s, %s: the part cannot be read: %s; leave the input as it is while a job scores it" % (file, rows, why),
    )


def _unwritable(target: str, error: Exception) -> SegmentUnwritable:
    return SegmentUnwritable("%s: %s" % (target, getattr(error, "strerror", None) or error))
