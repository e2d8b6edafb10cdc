"""Where the rows of a text file begin, found block by block, so that no file is ever in memory.

``text`` walks over them. A row begins with the first byte behind a line break that is none itself: lines with nothing
in them are no rows, and belong to what stands before them. What is found does not depend on where blocks end.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from batchpoint.engine.preparation.splitting.quotes import Quotes

BLOCK_BYTES = 1 << 20
#: What is looked at together where there are quotes; so little stays in the cache of a processor.
_QUOTED_BYTES = 1 << 16
#: Line breaks up to which they are gone over one by one.
_FEW = 8

_LF = b"\n"
_LONE_CR = re.compile(rb"\r(?!\n)")
_CR_TO_LF = bytes.maketrans(b"\r", _LF)


@dataclass(frozen=True)
class Kind:
    """How the rows of a text file are told apart."""

    #: Between two fields, which decides where quotes count; empty: quotes hide no line break.
    delimiter: bytes
    #: Bytes that make no row by themselves, and those among them that end a row.
    blanks: bytes
    breaks: bytes
    #: A line break with another blank behind it, and all blanks behind one.
    gap: "re.Pattern[bytes]"
    gaps: "re.Pattern[bytes]"


def delimited(delimiter: bytes) -> Kind:
    """Rows of fields, which may be quoted; they end with LF, CR LF or CR."""
    return Kind(delimiter, b"\r\n", b"\r\n", re.compile(rb"\n[\r\n]"), re.compile(rb"\n{2,}"))


#: A value of JSON in each line. No line break stands inside its quotes, and blanks between values mean nothing.
JSON_LINES = Kind(b"", b" \t\r\n", _LF, re.compile(rb"\n[ \t\r\n]"), re.compile(rb"\n[ \t\r\n]+"))


class _Block(NamedTuple):
    """Some bytes of a file; between ``begin`` and ``end`` a row begins behind each LF of ``marks``."""

    #: Where in the file the first byte of ``marks`` stands.
    offset: int
    marks: bytes
    begin: int
    end: int


class RowStarts:
    """A place in a file, which is moved forward from row to row."""

    def __init__(
        self, file: BinaryIO, kind: Kind, begin: int, still_wanted: Callable[[], None], block_bytes: int = BLOCK_BYTES
    ) -> None:
        #: Index of the row that begins at the place; -1 before the first one.
        self.row = -1
        self._kind = kind
        self._quotes = Quotes(kind.delimiter) if kind.delimiter else None
        self._blocks = self._found(_read(file, begin, still_wanted, block_bytes))
        self._block = _Block(begin, b"", 0, 0)
        self._place = 0
        #: Rows that begin in the block behind the place.
        self._left = 0

    @property
    def ends_in_quotes(self) -> bool:
        """True when a quote is open where the file was last looked at."""
        return self._quotes is not None and self._quotes.is_open

    def forward(self, rows: int) -> int | None:
        """The offset of the row so many rows further on. None: there is none, and the place is the last row."""
        while rows > self._left:
            rows -= self._left
            if not self._next_block():
                return None
        return self._move(rows)

    def forward_to(self, offset: int) -> int | None:
        """The offset of the first row behind the place that begins there or behind it. None as above."""
        while True:
            block = self._block
            # The break may be the byte in front of the row.
            found = block.marks.find(_LF, max(offset - block.offset - 1, self._place), block.end)
            if found >= 0:
                return self._move(block.marks.count(_LF, self._place, found + 1))
            if not self._next_block():
                return None

    def _move(self, rows: int) -> int:
        """To the row so many rows further on in this block, which has it."""
        block = self._block
        self._place = _behind_break(block.marks, rows, self._place, block.end, self._left)
        self.row += rows
        self._left -= rows
        return block.offset + self._place

    def _next_block(self) -> bool:
        self.row += self._left
        self._left = 0
        block = next(self._blocks, None)
        if block is None:
            self._place = self._block.end
            return False
        self._block, self._place = block, block.begin
        self._left = block.marks.count(_LF, block.begin, block.end)
        return True

    # ---- blocks ---------------------------------------------------------------------------------------------------

    def _found(self, blocks: Iterator[tuple[int, bytes]]) -> Iterator[_Block]:
        kind = self._kind
        is_new_line = True
        for offset, block in self._unquoted(blocks):
            begin = len(block) - len(block.lstrip(kind.blanks))
            if begin == len(block):
                is_new_line = is_new_line or _has_any(block, kind.breaks)
                continue
            end = len(block.rstrip(kind.blanks))
            begins_row = is_new_line or _has_any(block[:begin], kind.breaks)
            is_new_line = _has_any(block[end:], kind.breaks)
            marks = self._marked(block, begin, end)
            if begins_row and marks[begin - 1 : begin] == _LF:
                yield _Block(offset, marks, begin - 1, end)
            elif begins_row:
                yield _Block(offset + begin - 1, _LF + marks[begin:end], 0, end - begin + 1)
            else:
                yield _Block(offset, marks, begin, end)

    def _unquoted(self, blocks: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """The blocks with a space for each line break inside quotes."""
        for offset, block in blocks:
            if self._quotes is None:
                yield offset, block
            elif b'"' in block or self._quotes.is_open:
                for at in range(0, len(block), _QUOTED_BYTES):
                    yield offset + at, self._quotes.hidden(block[at : at + _QUOTED_BYTES])
            else:
                yield offset, self._quotes.hidden(block)

    def _marked(self, block: bytes, begin: int, end: int) -> bytes:
        """The block with an LF in front of every row between ``begin`` and ``end``, and no other there."""
        kind = self._kind
        if b"\r" in kind.breaks and b"\r" in block and _LONE_CR.search(block, begin, end):
            block = block.translate(_CR_TO_LF)
        if not kind.gap.search(block, begin, end):
            return block
        if b"\r" in kind.breaks:
            block = block.translate(_CR_TO_LF)
        return kind.gaps.sub(lambda gap: b" " * (len(gap[0]) - 1) + _LF, block)


def _read(
    file: BinaryIO, begin: int, still_wanted: Callable[[], None], block_bytes: int
) -> Iterator[tuple[int, bytes]]:
    file.seek(begin)
    while block := file.read(block_bytes):
        still_wanted()
        yield begin, block
        begin += len(block)


def _has_any(text: bytes, breaks: bytes) -> bool:
    return len(text.translate(None, breaks)) < len(text)


def _behind_break(marks: bytes, wanted: int, begin: int, end: int, there: int) -> int:
    """Where the ``wanted``-th LF behind ``begin`` ends; ``there`` of them stand before ``end``."""
    while wanted > _FEW:
        # Lines are about equally long; a few too short of it is near enough.
        middle = begin + (end - begin) * (wanted - _FEW // 2) // (there + 1)
        before = marks.count(_LF, begin, middle)
        if before < wanted:
            begin, wanted, there = middle, wanted - before, there - before
        else:
            end, there = middle, before
    for _ in range(wanted):
        begin = marks.index(_LF, begin, end) + 1
    return begin
