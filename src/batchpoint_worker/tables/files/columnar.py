"""Reads tables that know their types: Parquet, Feather, and Arrow's files and streams.

``reading`` calls it. Only the columns that are wanted are read.
"""

from batchpoint_worker.tables.files.text import is_passing
from batchpoint_worker.tables.fitting import fitted_arrow
from batchpoint_worker.tables.parquet_rows import Unreadable, rows_of
from batchpoint_worker.tables.parts import whole_of
from batchpoint_worker.tables.signature import rejected
from batchpoint_worker.tables.values import Unfit
from batchpoint_worker.tables.wanted import Columns

try:
    import pyarrow
except ImportError:
    pyarrow = None

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

    from batchpoint_worker.tables.parts import Part
    from batchpoint_worker.tables.wanted import Wanted

_FILE_MAGIC = b"ARROW1"
_FEATHER_1 = b"FEA1"
_open = open


def read_parquet(path: str, part: "Part | None", where: str, wanted: "Wanted") -> Columns:
    """The wanted columns of a Parquet file, or of some of its rows; raises Refused for a file that does not fit."""
    _demand_arrow(where, "Parquet")
    alone = whole_of(path, part) if part else ""
    with _open_parquet(alone or path, where) as file:
        return _columns(where, file.schema_arrow, lambda names: _parquet_table(file, path, names, part), part, wanted)


def _open_parquet(path: str, where: str) -> "Any":
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(where, "Parquet", error)


def _parquet_table(file: "Any", path: str, names: "list[str] | None", part: "Part | None") -> "Any":
    # Parts of one file come one after the other, and reading goes on where it stopped.
    return file.read(columns=names, use_threads=False) if part is None else rows_of(path, part, names)


def read_arrow(path: str, where: str, wanted: "Wanted") -> Columns:
    """The wanted columns of an Arrow file or stream; Feather is one of them."""
    _demand_arrow(where, "Arrow")
    try:
        table = _arrow_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(where, "Arrow", error)
    return _columns(where, table.schema, lambda names: table if names is None else table.select(names), None, wanted)


def _arrow_table(path: str) -> "Any":
    with _open(path, "rb") as source:
        magic = source.read(len(_FILE_MAGIC))
    if magic.startswith(_FEATHER_1):
        from pyarrow.feather import read_table

        return read_table(path)
    with pyarrow.memory_map(path) as source:
        opened = pyarrow.ipc.open_file(source) if magic == _FILE_MAGIC else pyarrow.ipc.open_stream(source)
        return opened.read_all()


def _demand_arrow(where: str, what: str) -> None:
    if pyarrow is None:
        raise rejected(
            "%s: the model's environment has no pyarrow, which reads %s files; add pyarrow to it, or give CSV files"
            % (where, what)
        )


def _unreadable(where: str, what: str, error: Exception) -> Exception:
    if is_passing(error):
        return error
    words = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return rejected("%s cannot be read as %s: %s; write the file again" % (where, what, words))


def _columns(
    where: str, schema: "Any", table_of: "Callable[[list[str] | None], Any]", part: "Part | None", wanted: "Wanted"
) -> Columns:
    try:
        header = list(schema.names)
    except UnicodeDecodeError as error:
        raise _unreadable(where, "a table", error)
    reading = None if wanted.is_unchecked else wanted.of(where, header, lambda: _numeric(schema))
    try:
        table = table_of(None if reading is None else list(reading.kinds))
    except (OSError, pyarrow.ArrowException, Unreadable) as error:
        raise _unreadable(where, "a table", error)
    columns = Columns(where, table.num_rows, part.first_row if part else 0)
    if reading is None:
        columns.whole = table.to_pandas()
        columns.passed = [(name, table.column(name)) for name in wanted.passed(where, header)]
        return columns
    values = {name: _fit(where, name, table.column(name), kind, part) for name, kind in reading.kinds.items()}
    columns.inputs = {name: values[name] for name in reading.inputs}
    columns.passed = [(name, values[name]) for name in reading.passed]
    return columns


def _numeric(schema: "Any") -> "set[str]":
    types = pyarrow.types
    return {field.name for field in schema if types.is_integer(field.type) or types.is_floating(field.type)}


def _fit(where: str, name: str, column: "Any", kind: str, part: "Part | None") -> "Any":
    try:
        return fitted_arrow(column, kind)
    except Unfit as error:
        row = error.index + 1 + (part.first_row if part else 0)
        raise rejected("%s, column %r, row %d: %s" % (where, name, row, error))
