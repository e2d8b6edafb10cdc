"""Reads files whose first line names the columns: values between commas or tabs.

``reading`` calls it. All at once first, with pyarrow or with pandas; what they do not take is read row by row, which
either takes it or says where it stands.
"""

import csv
import io
import sys

import pandas

from batchpoint_worker.tables.files import plain_numbers
from batchpoint_worker.tables.files.text import not_utf8
from batchpoint_worker.tables.fitting import ARROW, fitted, with_nulls
from batchpoint_worker.tables.signature import rejected
from batchpoint_worker.tables.values import FALSE, FLOAT32_MAX, NULLS, TRUE, WITHOUT_NULLS, Unfit
from batchpoint_worker.tables.wanted import VERBATIM, Columns

try:
    import pyarrow
    import pyarrow.compute
    import pyarrow.csv
except ImportError:
    pyarrow = None

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import Any

    from batchpoint_worker.tables.files.text import Text
    from batchpoint_worker.tables.wanted import Reading, Wanted

#: Types whose values are cut out as text and converted one by one.
_ONE_BY_ONE = frozenset(("array", "object", "map", "any", "binary"))
#: Types that pandas reads by itself.
_PANDAS = frozenset(("long", "integer", "float", "double"))
#: Beyond this not every whole number is a float.
_EXACT = 1 << 53
#: Before pandas 3 a number could be read as a neighbour of the one that is written.
_NEAREST = "round_trip" if int(pandas.__version__.split(".")[0]) < 3 else None


def read(text: "Text", wanted: "Wanted", separator: str) -> Columns:
    """The wanted columns; raises Refused for a file that does not fit."""
    header = _header(text, separator)
    if wanted.is_unchecked:
        return _as_it_is(text, wanted, header, separator)
    reading = wanted.of(text.where, header, lambda: _numeric(text, header, separator))
    found = _at_once(text, header, reading, separator) if _is_plain(header, reading) else None
    if found is None:
        found = _row_by_row(text, header, reading, separator)
    count, values = found
    columns = Columns(text.where, count, text.first_row)
    columns.inputs = {name: values[name] for name in reading.inputs}
    columns.passed = [(name, values[name]) for name in reading.passed]
    return columns


def _is_plain(header: "list[str]", reading: "Reading") -> bool:
    return bool(reading.kinds) and all(header.count(name) == 1 for name in reading.kinds)


def _header(text: "Text", separator: str) -> "list[str]":
    for _, row in _rows(text, separator):
        return row
    raise rejected(
        "%s is empty: a line that names the columns is expected; remove the file or write it again" % text.where
    )


def _rows(text: "Text", separator: str) -> "Iterator[tuple[int, list[str]]]":
    """Each row that is not blank, with the line of ``data`` on which it begins."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(text.data), "utf-8", newline=""), delimiter=separator)
    begins = 1
    try:
        for row in reader:
            if row:
                yield begins, row
            begins = reader.line_num + 1
    except UnicodeDecodeError:
        raise not_utf8(text) or rejected("%s is not UTF-8; write it as UTF-8" % text.where)
    except csv.Error as error:
        raise rejected("%s, line %d: %s; correct the line" % (text.where, text.line(begins), error))


def _numeric(text: "Text", header: "list[str]", separator: str) -> "set[str]":
    """Columns whose first value is a number."""
    rows = _rows(text, separator)
    next(rows)
    for _, row in rows:
        return {name for name, value in zip(header, row) if _is_number(value)}
    return set(header)


def _is_number(value: str) -> bool:
    try:
        fitted([value], "double", is_text=True)
    except Unfit:
        return False
    return True


# ---- all at once --------------------------------------------------------------------------------------------------


def _at_once(
    text: "Text", header: "list[str]", reading: "Reading", separator: str
) -> "tuple[int, dict[str, Any]] | None":
    """None when a look at each value is needed."""
    try:
        if pyarrow is None:
            return _by_pandas(text, header, reading, separator)
        return plain_numbers.read(text, header, reading, separator) or _by_arrow(text, reading, separator)
    except (Unfit, ValueError, NotImplementedError, OverflowError, KeyError):
        return None


def _by_arrow(text: "Text", reading: "Reading", separator: str) -> "tuple[int, dict[str, Any]] | None":
    types = {name: ARROW["string"] if kind in _ONE_BY_ONE else ARROW[kind] for name, kind in reading.kinds.items()}
    try:
        table = _arrow_table(text, types, separator)
    except pyarrow.ArrowInvalid:
        if not WITHOUT_NULLS.intersection(reading.kinds.values()):
            return None
        # Whole numbers that are written like 1.0.
        double = ARROW["double"]
        whole = (ARROW["long"], ARROW["integer"])
        table = _arrow_table(text, {name: double if one in whole else one for name, one in types.items()}, separator)
    if _has_hexadecimal(text, reading, separator):
        return None
    return table.num_rows, {name: _finished(table.column(name), kind) for name, kind in reading.kinds.items()}


def _has_hexadecimal(text: "Text", reading: "Reading", separator: str) -> bool:
    """Whether Arrow has read a number out of 0x10, which nobody else does; 0xFFFFFFFF it takes for -1."""
    whole = [name for name, kind in reading.kinds.items() if kind in ("long", "integer")]
    if not whole or not (b"0x" in text.data or b"0X" in text.data):
        return False
    table = _arrow_table(text, dict.fromkeys(whole, ARROW["string"]), separator)
    return any(pyarrow.compute.any(_with_x(table.column(name))).as_py() for name in whole)


def _with_x(column: "Any") -> "Any":
    return pyarrow.compute.match_substring(pyarrow.compute.utf8_lower(column), "x")


def _arrow_table(text: "Text", types: "dict[str, Any]", separator: str) -> "Any":
    data = text.data
    return pyarrow.csv.read_csv(
        pyarrow.BufferReader(data),
        pyarrow.csv.ReadOptions(use_threads=False),
        pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
        pyarrow.csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=list(NULLS),
            true_values=list(TRUE),
            false_values=list(FALSE),
            strings_can_be_null=False,
        ),
    )


def _finished(column: "Any", kind: str) -> "Any":
    """Raises ValueError when single values have to be looked at."""
    if kind in WITHOUT_NULLS and column.null_count:
        raise ValueError(kind)
    if kind == "string":
        return with_nulls(column)
    if kind in _ONE_BY_ONE:
        return fitted(column.to_pylist(), kind, is_text=True)
    if kind == "float" and pyarrow.compute.any(pyarrow.compute.is_inf(column)).as_py():
        raise ValueError(kind)
    if kind in ("long", "integer") and column.type == ARROW["double"]:
        largest = pyarrow.compute.max(pyarrow.compute.abs(column)).as_py()
        if largest is not None and largest > _EXACT:
            raise ValueError(largest)
        return column.cast(ARROW[kind])
    return column


def _by_pandas(
    text: "Text", header: "list[str]", reading: "Reading", separator: str
) -> "tuple[int, dict[str, Any]] | None":
    numbers = [name for name, kind in reading.kinds.items() if kind in _PANDAS]
    frame = pandas.read_csv(
        io.BytesIO(text.data),
        sep=separator,
        usecols=list(reading.kinds),
        dtype={name: "str" for name in reading.kinds if name not in numbers},
        keep_default_na=False,
        na_values={name: list(NULLS) for name in numbers},
        index_col=False,
        low_memory=False,
        encoding="utf-8",
        float_precision=_NEAREST,
    )
    if not _is_even(text, header, separator, len(frame)):
        return None
    return len(frame), {name: _of_frame(frame[name], kind) for name, kind in reading.kinds.items()}


def _of_frame(column: "Any", kind: str) -> "Any":
    """Raises ValueError when single values have to be looked at."""
    if kind == VERBATIM:
        return column
    if kind not in _PANDAS:
        return fitted(column, kind, is_text=True)
    if not len(column):
        return fitted([], kind, is_text=True)
    if column.dtype == "int64" and kind != "integer":
        return column if kind == "long" else column.astype("float64" if kind == "double" else "float32")
    largest = {"integer": (1 << 31) - 1, "long": _EXACT, "float": FLOAT32_MAX}.get(kind)
    if column.dtype not in ("int64", "float64") or (largest is not None and (column.abs() > largest).any()):
        raise ValueError(kind)
    if kind in WITHOUT_NULLS and (column.isna().any() or (column % 1 != 0).any()):
        raise ValueError(kind)
    return column.astype({"integer": "int32", "long": "int64", "float": "float32"}.get(kind, "float64"))


def _is_even(text: "Text", header: "list[str]", separator: str, count: int) -> bool:
    """Whether all rows are as long as the header; pandas fills up short ones."""
    if b'"' not in text.data:
        return text.data.count(separator.encode("ascii")) == (len(header) - 1) * (count + 1)
    return all(len(row) == len(header) for _, row in _rows(text, separator))


# ---- row by row ---------------------------------------------------------------------------------------------------


def _row_by_row(text: "Text", header: "list[str]", reading: "Reading", separator: str) -> "tuple[int, dict[str, Any]]":
    places = {name: header.index(name) for name in reading.kinds}
    values = {name: [] for name in places}  # type: dict[str, list[str]]
    lines = []  # type: list[int]
    rows = _rows(text, separator)
    next(rows)
    for line, row in rows:
        if len(row) != len(header):
            raise rejected(
                "%s, row %d (line %d): the row has %s, and the first line of the file names %d; correct the row"
                % (text.where, text.first_row + len(lines) + 1, text.line(line), _fields(len(row)), len(header))
            )
        lines.append(line)
        for name, place in places.items():
            values[name].append(row[place])
    return len(lines), {name: _fit(text, name, values[name], kind, lines) for name, kind in reading.kinds.items()}


def _fields(count: int) -> str:
    return "1 field" if count == 1 else "%d fields" % count


def _fit(text: "Text", name: str, values: "list[str]", kind: str, lines: "list[int]") -> "Any":
    try:
        return fitted(values, kind, is_text=True)
    except Unfit as error:
        raise rejected(
            "%s, column %r, row %d (line %d): %s"
            % (text.where, name, text.first_row + error.index + 1, text.line(lines[error.index]), error)
        )


# ---- without a signature ------------------------------------------------------------------------------------------


def _as_it_is(text: "Text", wanted: "Wanted", header: "list[str]", separator: str) -> Columns:
    """As pandas reads it, which is what such models were made with."""
    passed = wanted.passed(text.where, header)
    try:
        frame = pandas.read_csv(io.BytesIO(text.data), sep=separator, encoding="utf-8", low_memory=False)
        verbatim = _texts(text, separator) if passed else {}
    except (ValueError, OverflowError) as error:
        raise not_utf8(text) or rejected("%s cannot be read as a table: %s; correct the file" % (text.where, error))
    columns = Columns(text.where, len(frame), text.first_row)
    columns.whole = frame
    columns.passed = [(name, verbatim[name]) for name in passed]
    return columns


def _texts(text: "Text", separator: str) -> "Any":
    """All values as they stand in the file: a key keeps its zeros."""
    return pandas.read_csv(io.BytesIO(text.data), sep=separator, encoding="utf-8", dtype=str, na_filter=False)
