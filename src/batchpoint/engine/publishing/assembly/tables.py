"""The rows of a mini-batch as tables: read from a stream or lines of a worker, in the types of the output."""

import base64
import datetime
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import pyarrow as pa

from batchpoint.engine.publishing.assembly.kinds import KIND, Column, column_of, type_of, values_of
from batchpoint.engine.publishing.segments import BLOCK_BYTES, SegmentReader
from batchpoint.errors import SegmentCorrupt
from batchpoint.store.records import Part

#: How lines of JSON begin, and no stream does.
_LINES = b"{"
_LINES_AT_ONCE = 4096
_CONTINUATION = 8


def columns_of(reader: SegmentReader, part: Part) -> tuple[bytes, Iterator[Column]]:
    """What stands at the part's beginning, and the columns that it speaks of: the same bytes, the same columns.

    Raises SegmentCorrupt, also when what stands there is not what a worker wrote.
    """
    head = _head(reader, part)

    def columns() -> Iterator[Column]:
        try:
            yield from _described(head)
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            for _ in reader.blocks(part):
                continue
            message = f"{part.segment}, byte {part.offset:,}: no rows of a worker begin there ({error})."
            raise SegmentCorrupt(message) from error

    return head, columns()


def _head(reader: SegmentReader, part: Part) -> bytes:
    count = 1 << 10
    while True:
        head = reader.head(part, min(count, part.length))
        if head.startswith(_LINES):
            end = head.find(b"\n") + 1
        else:
            end = _CONTINUATION + int.from_bytes(head[4:_CONTINUATION], "little")
        if 0 < end <= len(head) or count >= part.length:
            return head[: end or None]
        count *= 16


def _described(head: bytes) -> Iterator[Column]:
    if head.startswith(_LINES):
        told = json.loads(head)
        for name, kind in zip(told["names"], told["kinds"], strict=True):
            yield Column(name, type_of(kind))
        return
    for field in pa.ipc.read_schema(pa.py_buffer(head)):
        yield column_of(field)


def tables_of(reader: SegmentReader, part: Part, columns: Sequence[Column]) -> Iterator[pa.Table]:
    """The part's rows, some at a time, in the columns of the output. Raises SegmentCorrupt before it gives any."""
    schema = pa.schema([column.field() for column in columns])
    for batch in _batches(reader, part):
        length = len(next(iter(batch.values())).array) if batch else 0
        yield pa.table([_fitting(batch.get(column.name), column, length) for column in columns], schema=schema)


@dataclass(frozen=True)
class _Values:
    """Of one column."""

    array: pa.Array
    #: Whether each is written as its JSON already.
    is_json: bool


def _batches(reader: SegmentReader, part: Part) -> Iterator[dict[str, _Values]]:
    source = _source(reader, part)
    if source.read(1) == _LINES:
        source.seek(0)
        yield from _of_lines(source)
        return
    source.seek(0)
    with pa.ipc.open_stream(source) as stream:
        for batch in stream:
            columns = zip(batch.columns, batch.schema, strict=True)
            yield {field.name: _own_kind(array, field) for array, field in columns}


def _source(reader: SegmentReader, part: Part) -> Any:
    """The part as a file, which holds what was scored."""
    if part.length <= BLOCK_BYTES:
        return pa.BufferReader(b"".join(reader.blocks(part)))
    # What is damaged is not given to a decoder; what is large is not held in memory for that.
    for _ in reader.blocks(part):
        continue
    return pa.PythonFile(_PartFile(reader, part), mode="r")


class _PartFile:
    """A part of a segment as a file that can be read."""

    closed = False

    def __init__(self, reader: SegmentReader, part: Part) -> None:
        self._reader = reader
        self._part = part
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        wanted = self._part.length - self._at if count < 0 else min(count, self._part.length - self._at)
        found = self._reader.some(self._part, self._at, wanted) if wanted else b""
        self._at += len(found)
        return found

    def seek(self, place: int, whence: int = 0) -> int:
        self._at = place + (0, self._at, self._part.length)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        """The segment belongs to its reader."""

    def flush(self) -> None:
        """Nothing is written."""


def _of_lines(source: Any) -> Iterator[dict[str, _Values]]:
    lines = _lines(source)
    told = json.loads(next(lines))
    names, kinds = told["names"], told["kinds"]
    while some := [json.loads(line) for line in islice(lines, _LINES_AT_ONCE)]:
        columns = zip(names, kinds, zip(*some, strict=True), strict=True)
        yield {name: _Values(values_of(column, kind), kind == "json") for name, kind, column in columns}


def _lines(source: Any) -> Iterator[bytes]:
    rest = b""
    while block := source.read(BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole


def _own_kind(array: pa.Array, field: pa.Field) -> _Values:
    told = (field.metadata or {}).get(KIND)
    if not told:
        return _Values(array, is_json=False)
    kind = json.loads(told)
    values = (None if text is None else json.loads(text) for text in array.to_pylist())
    return _Values(values_of(values, kind), kind == "json")


# ---- one type for all ------------------------------------------------------------------------------------------------


def _fitting(values: _Values | None, column: Column, length: int) -> pa.Array:
    wanted = column.field().type
    if values is None or pa.types.is_null(values.array.type):
        return pa.nulls(length, wanted)
    array = values.array
    if column.type is not None or values.is_json:
        return array if array.type == wanted else array.cast(wanted, safe=False)
    return pa.array(_mixed(array), wanted)


def _mixed(array: pa.Array) -> Iterable[str | None]:
    """Values of a column without a type of its own, each as its JSON."""
    return (None if value is None else _json(value) for value in array.to_pylist())


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value if isinstance(value, (str, bool, int, float)) or value is None else str(value)
