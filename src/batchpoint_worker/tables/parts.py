"""Items of the plan that are parts of a file: what their text says, and their bytes.

The session makes a small file of a part for a script; the reader of a model without a script reads it where it lies.
Knows nothing of either, nor of how files are cut.

An item is the path of a file, or a part of one::

    sales/2024.csv//rows=20000-29999;bytes=1048576-2097151;head=0-57
    sales/2024.parquet//rows=20000-29999

Each range names its first and its last one, counted from 0. ``rows``: rows of data in the file, so the header is none.
``bytes``: where they lie. ``head``: what stands before the first row of the file and belongs in front of every part,
the header and a byte order mark; it is absent where there is nothing. A Parquet file has rows alone. No path that was
listed has ``//`` in it.

Where input is brought to a node, a part comes without the rest of its file: in the place of the file is a folder then,
and in it a file with the part and its head, whose name is the text behind the slashes.
"""

import os
import re

_PART = re.compile(r"rows=(\d+)-(\d+)(?:;bytes=(\d+)-(\d+)(?:;head=0-(\d+))?)?")
_open, _isdir = open, os.path.isdir


class FileChanged(Exception):
    """The file is shorter than it was when it was cut."""


class Part:
    """A range of the rows of one file."""

    __slots__ = ("begin", "end", "first_row", "head", "rows")

    def __init__(
        self, first_row: int, rows: int, begin: "int | None" = None, end: "int | None" = None, head: int = 0
    ) -> None:
        #: Index in the file of its first row, and how many rows it has.
        self.first_row = first_row
        self.rows = rows
        #: Offsets of its first byte, and of the one after its last; None for a Parquet file.
        self.begin = begin
        self.end = end
        #: Bytes at the beginning of the file that belong in front of it.
        self.head = head

    def __str__(self) -> str:
        """As it stands in the plan."""
        text = "rows=%d-%d" % (self.first_row, self.first_row + self.rows - 1)
        if self.begin is not None and self.end is not None:
            text += ";bytes=%d-%d" % (self.begin, self.end - 1)
            text += ";head=0-%d" % (self.head - 1) if self.head else ""
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return "Part(first_row=%r, rows=%r, begin=%r, end=%r, head=%r)" % self._all()

    def _all(self) -> "tuple[int, int, int | None, int | None, int]":
        return self.first_row, self.rows, self.begin, self.end, self.head


def split_path(path: str) -> "tuple[str, Part | None]":
    """The path of the file, and the part of it that is meant; None: all of it."""
    file, slashes, text = path.rpartition("//")
    found = _PART.fullmatch(text) if slashes else None
    if found is None:
        return path, None
    first, last, begin, end, head = [None if number is None else int(number) for number in found.groups()]
    assert first is not None and last is not None
    after = None if end is None else end + 1
    return file, Part(first, last - first + 1, begin, after, 0 if head is None else head + 1)


def whole_of(file: str, part: Part) -> str:
    """The file that has this part and nothing else, where input was brought from elsewhere; "" where it was not."""
    return os.path.join(file, str(part)) if _isdir(file) else ""


def open_part(file: str, part: Part) -> bytes:
    """The bytes of a part of a text file, its head in front, as a file of its own has them.

    Raises OSError, and FileChanged where the file no longer has them all.
    """
    assert part.begin is not None and part.end is not None
    alone = whole_of(file, part)
    with _open(alone or file, "rb") as source:
        if alone:
            found = source.read()
        else:
            head = source.read(part.head)
            source.seek(part.begin)
            found = head + source.read(part.end - part.begin)
    if len(found) < part.head + part.end - part.begin:
        raise FileChanged("it has become shorter since it was cut")
    return found
