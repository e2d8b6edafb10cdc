"""Items that are parts of a file: their spelling in the plan.

The engine makes them, and whoever has to know which file an item is of asks here. The worker, which cannot import this
package, reads the same text in ``batchpoint_worker/tables/parts.py``, where it is explained.
"""

import os
import re
from typing import NamedTuple

#: Between the path of a file and which part of it is meant; no path that was listed has two slashes in a row.
_MARK = b"//"
_PART = re.compile(rb"rows=(\d+)-(\d+)(?:;bytes=(\d+)-(\d+)(?:;head=0-(\d+))?)?")


class Part(NamedTuple):
    """A range of the rows of one file."""

    #: Index in the file of its first row, and how many rows it has.
    first_row: int
    rows: int
    #: Offsets of its first byte, and of the one after its last; None for a Parquet file.
    begin: int | None = None
    end: int | None = None
    #: Bytes at the beginning of the file that belong in front of it.
    head: int = 0


def item_of(file: bytes, part: Part) -> bytes:
    """The item of the plan that means this part of ``file``."""
    text = b"%s%srows=%d-%d" % (file, _MARK, part.first_row, part.first_row + part.rows - 1)
    if part.begin is not None and part.end is not None:
        text += b";bytes=%d-%d" % (part.begin, part.end - 1)
        text += b";head=0-%d" % (part.head - 1) if part.head else b""
    return text


def split_item(item: bytes) -> tuple[bytes, Part | None]:
    """The file that an item is of, and the part of it; None: all of it."""
    file, mark, text = item.rpartition(_MARK)
    found = _PART.fullmatch(text) if mark else None
    if found is None:
        return item, None
    first, last = int(found[1]), int(found[2])
    begin = None if found[3] is None else int(found[3])
    end = None if found[4] is None else int(found[4]) + 1
    return file, Part(first, last - first + 1, begin, end, 0 if found[5] is None else int(found[5]) + 1)


def shown(item: bytes) -> str:
    """An item for people: bytes that are no text are written out."""
    return os.fsdecode(item).encode("utf-8", "backslashreplace").decode()


def file_of(item: bytes) -> bytes:
    """The file that an item is, or is a part of."""
    return split_item(item)[0] if _MARK in item else item
