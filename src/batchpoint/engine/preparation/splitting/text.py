"""Cuts a CSV, TSV or JSON Lines file into parts that begin and end with whole rows.

``cutter`` calls it for each file that may be large enough; one file is read once, from its beginning to its end.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from batchpoint.engine.preparation.splitting.row_starts import BLOCK_BYTES, JSON_LINES, RowStarts, delimited
from batchpoint.entities.tables.parts import Part
from batchpoint.entities.tables.split import Split

#: Read to know what a file is.
_SAMPLE_BYTES = 1 << 16
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", b"PK\x03\x04")
#: What files that end in .csv have between their fields, the likeliest first.
_DELIMITERS = (b",", b";", b"\t", b"|")
_QUOTED = re.compile(rb'"[^"]*"')
_FIRST_LINE = re.compile(rb"[\r\n]*([^\r\n]*)")


def why_whole(file: BinaryIO) -> str:
    """Why an open text file cannot be cut; "" when it can."""
    sample = file.read(_SAMPLE_BYTES)
    if sample.startswith(_COMPRESSED):
        return "its text is compressed"
    if sample.startswith(_WIDE) or b"\0" in sample:
        return "its text is not UTF-8, nor anything like it"
    return ""


def may_have_parts(size: int, split: Split) -> bool:
    """Whether a file of so many bytes can be more than one part."""
    if split.bytes is not None:
        return size > split.bytes
    assert split.rows is not None
    # A row has a byte and, but for the last one, a line break.
    return size > 2 * split.rows


def cut_text(
    file: BinaryIO,
    kind: str,
    split: Split,
    still_wanted: Callable[[], None] = lambda: None,
    never_closed: Callable[[int], None] = lambda row: None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Part]:
    """The parts of an open file, in order; none where it has no rows. ``kind``: csv, tsv or jsonl. Raises OSError.

    All bytes but the head are in one of them: the parts put together are the file. A quote that is never closed leaves
    everything behind it in the last part; ``never_closed`` is told in which row that is.
    """
    file.seek(0)
    sample = file.read(_SAMPLE_BYTES)
    bom = len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0
    is_json = kind == "jsonl"
    rows = JSON_LINES if is_json else delimited(_delimiter(sample[bom:], kind))
    starts = RowStarts(file, rows, bom, still_wanted, block_bytes)
    begin = starts.forward(1 if is_json else 2)
    if begin is None:
        return
    headers = starts.row
    head = bom if is_json else begin
    first, begin = 0, head
    while (end := _next(starts, begin, split)) is not None:
        yield Part(first, starts.row - headers - first, begin, end, head)
        first, begin = starts.row - headers, end
    if starts.ends_in_quotes:
        never_closed(starts.row - headers)
    yield Part(first, starts.row - headers - first + 1, begin, file.tell(), head)


def _next(starts: RowStarts, begin: int, split: Split) -> int | None:
    """Where the part after the one that begins at ``begin``, where ``starts`` is, begins."""
    if split.rows is not None:
        return starts.forward(split.rows)
    assert split.bytes is not None
    return starts.forward_to(begin + split.bytes)


def _delimiter(text: bytes, kind: str) -> bytes:
    """What divides the fields of the header; the comma of many a CSV file is something else."""
    if kind == "tsv":
        return b"\t"
    found = _FIRST_LINE.match(text)
    header = _QUOTED.sub(b"", found[1]) if found else b""
    return max(_DELIMITERS, key=header.count)
