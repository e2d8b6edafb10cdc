"""The columns of CSV from many mini-batches: each begins with a header of its own, and the output has one for all.

Where headers differ, the output has every column, in the order in which they first appear; a row has nothing in the
columns that its mini-batch does not have.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from batchpoint.engine.publishing.segments import SegmentReader
from batchpoint.store.records import LedgerRow, Part

_HEAD_BYTES = 1 << 12
_FIELD = re.compile(rb'("(?:[^"]|"")*"|[^,\n"]*)([,\n])')


class Headers:
    """The headers of one output's parts."""

    def __init__(self, reader: SegmentReader, rows: Iterable[LedgerRow]) -> None:
        self._reader = reader
        #: Its names by header.
        self._names: dict[bytes, tuple[bytes, ...]] = {}
        for row in rows:
            for part in row.parts:
                if part.length and (header := self._header(part)) not in self._names:
                    self._names[header] = tuple(_fields(header))
        self._all = tuple(dict.fromkeys(name for names in self._names.values() for name in names))
        #: The header of the output; empty where nothing was scored.
        self.line = b",".join(self._all) + b"\n" if self._all else b""

    def rows(self, part: Part) -> Iterator[bytes]:
        """The part's bytes without its header, with the columns of the output."""
        if not part.length:
            return
        header = self._header(part)
        body = _without(self._reader.blocks(part), len(header))
        if self._names.get(header) == self._all:
            yield from body
        else:
            yield from _rearranged(body, self._names.get(header, ()), self._all)

    def _header(self, part: Part) -> bytes:
        """Not checked against the part's checksum: its blocks are, before anything of them is published."""
        count = _HEAD_BYTES
        while True:
            head = self._reader.head(part, min(count, part.length))
            if (end := _end_of_record(head)) or count >= part.length:
                return head[:end] if end else head
            count *= 16


def _end_of_record(text: bytes) -> int:
    """Behind the first line break that is not within quotes; 0 where there is none."""
    end = 0
    while end := text.find(b"\n", end) + 1:
        if text.count(b'"', 0, end) % 2 == 0:
            return end
    return 0


def _fields(record: bytes) -> list[bytes]:
    """The fields as they are written, quotes included."""
    return [match[1] for match in _FIELD.finditer(record)]


def _without(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for block in blocks:
        if count < len(block):
            yield block[count:] if count else block
        count = max(0, count - len(block))


def _rearranged(blocks: Iterator[bytes], names: Sequence[bytes], wanted: Sequence[bytes]) -> Iterator[bytes]:
    places = [names.index(name) if name in names else -1 for name in wanted]
    rest = b""
    for block in blocks:
        rest += block
        end = _end_of_records(rest)
        yield b"".join(_records(rest[:end], len(names), places))
        rest = rest[end:]
    yield b"".join(_records(rest, len(names), places))


def _end_of_records(text: bytes) -> int:
    """Behind the last line break that is not within quotes, where the text begins outside of them."""
    end = text.rfind(b"\n") + 1
    while end and text.count(b'"', 0, end) % 2:
        end = text.rfind(b"\n", 0, end - 1) + 1
    return end


def _records(text: bytes, width: int, places: Sequence[int]) -> Iterator[bytes]:
    record: list[bytes] = []
    for match in _FIELD.finditer(text):
        record.append(match[1])
        if match[2] == b"\n":
            if len(record) == width:
                yield b",".join([record[place] if place >= 0 else b"" for place in places]) + b"\n"
            record = []
