"""Rows that keep their types on the way to the driver, which makes one Parquet file of those of all workers.

Tables travel as a stream of pyarrow's; where there is no pyarrow, and for lists, lines of JSON with the kinds of the
columns in the first one. ``encoders`` chooses it.
"""

import json

from batchpoint_worker import rows
from batchpoint_worker.formats.encoders import AT_ONCE, Encoder
from batchpoint_worker.formats.kinds import kind_of, typed
from batchpoint_worker.formats.results import Results, arrow
from batchpoint_worker.formats.values import plain

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import Any

#: What the driver finds at a column of a stream whose values are lines of JSON, and their kind.
KIND = b"batchpoint.kind"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Typed(Encoder):
    """See the module."""

    def pieces(self, results: Results) -> "Iterator[bytes]":
        names, columns = results.table()
        if all(isinstance(column, list) for column in columns):
            return self._lines(names, columns, results.length)
        return self._stream(names, columns, results.length)

    def _lines(self, names: "list[str]", columns: "list[list[Any]]", length: int) -> "Iterator[bytes]":
        columns = [list(map(plain, column)) for column in columns]
        kinds = list(map(kind_of, columns))
        yield rows.utf8(_encode({"names": names, "kinds": kinds}) + "\n", None, 0)
        for start in range(0, length, rows.AT_ONCE):
            some = zip(*(column[start : start + rows.AT_ONCE] for column in columns))
            made = [_encode([typed(value, kind) for value, kind in zip(row, kinds)]) for row in some]
            for piece in rows.list_pieces(made, self.limits.row, start):
                yield piece

    def _stream(self, names: "list[str]", columns: "list[Any]", length: int) -> "Iterator[bytes]":
        pa = arrow()
        travelling = [_travelling(name, column) for name, column in zip(names, columns)]
        table = pa.table([column for _, column in travelling], pa.schema([field for field, _ in travelling]))
        sink = _Sink()
        writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema)
        for start in range(0, length, AT_ONCE):
            some = table.slice(start, AT_ONCE)
            if some.nbytes > self.limits.row:
                _refuse_large_rows(some, start, self.limits.row)
            for batch in some.combine_chunks().to_batches():
                writer.write_batch(batch)
            yield sink.taken()
        writer.close()
        yield sink.taken()


def _travelling(name: str, column: "Any") -> "tuple[Any, Any]":
    """A column as field and array; values that have no type of pyarrow's as lines of JSON."""
    pa = arrow()
    if not isinstance(column, list):
        return pa.field(name, column.type), column
    values = list(map(plain, column))
    kind = kind_of(values)
    texts = [None if value is None else _encode(typed(value, kind)) for value in values]
    for start in range(0, len(texts), rows.AT_ONCE):
        some = [text or "" for text in texts[start : start + rows.AT_ONCE]]
        rows.utf8("".join(some), some, start)
    field = pa.field(name, pa.large_string(), metadata={KIND: _encode(kind).encode("utf-8")})
    return field, pa.array(texts, pa.large_string())


def _refuse_large_rows(table: "Any", start: int, limit: int) -> None:
    """Raises Refused if one of the rows, and not only all together, is too large."""
    if table.nbytes <= limit:
        return
    if table.num_rows == 1:
        raise rows.too_large("row %d" % start, table.nbytes, limit)
    middle = table.num_rows // 2
    _refuse_large_rows(table.slice(0, middle), start, limit)
    _refuse_large_rows(table.slice(middle), start + middle, limit)


class _Sink:
    """A file that keeps what is written until somebody takes it."""

    closed = False

    def __init__(self) -> None:
        self._pieces = []  # type: list[bytes]

    def write(self, data: "Any") -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def flush(self) -> None:
        return

    def close(self) -> None:
        return
