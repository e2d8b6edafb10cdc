"""Reads JSON: one object on each line, or one document in a form that pandas or MLflow knows.

``reading`` calls it. Lines are read at once by pyarrow where it is there; what it does not take is read line by line.
"""

import json

import pandas

from batchpoint_worker.tables.files.text import not_utf8
from batchpoint_worker.tables.fitting import ARROW, fitted, fitted_arrow
from batchpoint_worker.tables.signature import rejected
from batchpoint_worker.tables.values import Unfit
from batchpoint_worker.tables.wanted import VERBATIM, Columns

try:
    import pyarrow
    import pyarrow.json
except ImportError:
    pyarrow = None

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

    from batchpoint_worker.tables.files.text import Text
    from batchpoint_worker.tables.wanted import Reading, Wanted

    #: How messages name a row.
    Place = Callable[[int], str]

_FORMS = (
    'a list of objects, {"columns": [...], "data": [[...], ...]}, {"column": [values], ...}, {"dataframe_split": ...}, '
    '{"dataframe_records": ...}, {"instances": ...} or {"inputs": ...}'
)
#: Types that Arrow reads out of JSON as a signature means them.
_AT_ONCE = frozenset(("long", "double", "boolean", VERBATIM))


# ---- one object on each line --------------------------------------------------------------------------------------


def read_lines(text: "Text", wanted: "Wanted") -> Columns:
    """The wanted columns; raises Refused for a file that does not fit."""
    found = None if wanted.is_unchecked else _at_once(text, wanted)
    if found is not None:
        return found
    records, lines = _records(text)
    return _of_records(
        text,
        records,
        lambda row: "row %d (line %d)" % (text.first_row + row + 1, text.line(lines[row])),
        wanted,
    )


def _at_once(text: "Text", wanted: "Wanted") -> "Columns | None":
    """None when a look at each value is needed."""
    if pyarrow is None or not text.data.strip():
        return None
    first = _first_object(text.data)
    if first is None:
        return None
    known = {str(column.name): column.type for column in wanted.signature.columns}
    known.update((name, VERBATIM) for name in wanted.passthrough if name != "*" and name not in known)
    if "*" in wanted.passthrough or wanted.signature.tensors or not _AT_ONCE.issuperset(known.values()):
        return None
    if not set(first).issuperset(known):
        return None
    schema = pyarrow.schema([(name, ARROW[kind]) for name, kind in known.items() if kind != VERBATIM])
    try:
        table = pyarrow.json.read_json(
            pyarrow.BufferReader(text.data),
            pyarrow.json.ReadOptions(use_threads=False),
            pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=_others(known)),
        )
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        return None
    return _of_table(text, table, wanted, known)


def _others(known: "dict[str, str]") -> str:
    return "infer" if VERBATIM in known.values() else "ignore"


def _of_table(text: "Text", table: "Any", wanted: "Wanted", known: "dict[str, str]") -> "Columns | None":
    try:
        values = {name: fitted_arrow(table.column(name), kind) for name, kind in known.items()}
    except (Unfit, KeyError):
        return None
    columns = Columns(text.where, table.num_rows, text.first_row)
    columns.inputs = {str(one.name): values[str(one.name)] for one in wanted.signature.columns}
    columns.passed = [(name, values[name]) for name in wanted.passthrough]
    return columns


def _first_object(data: bytes) -> "dict[str, Any] | None":
    line = data.lstrip().split(b"\n", 1)[0]
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _records(text: "Text") -> "tuple[list[Any], list[int]]":
    records, lines = [], []
    for number, line in enumerate(text.data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise not_utf8(text) or rejected("%s is not UTF-8; write it as UTF-8" % text.where)
        except (ValueError, RecursionError) as error:
            raise rejected("%s, line %d: no JSON: %s; correct the line" % (text.where, text.line(number), _said(error)))
        if not isinstance(record, dict):
            raise rejected(
                "%s, line %d: an object with the columns of one row is expected, and there is %s; write each row as "
                '{"column": value, ...}' % (text.where, text.line(number), _kind(record))
            )
        records.append(record)
        lines.append(number)
    return records, lines


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "%s at column %d" % (error.msg, error.colno) if isinstance(error, json.JSONDecodeError) else str(error)


def _kind(value: object) -> str:
    names = {
        list: "a list",
        str: "a text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


# ---- one document -------------------------------------------------------------------------------------------------


def read(text: "Text", wanted: "Wanted") -> Columns:
    """The wanted columns of one document; raises Refused for a file that does not fit."""
    document = _document(text)
    if document is None:
        return read_lines(text, wanted)
    for name in ("dataframe_split", "dataframe_records", "instances", "inputs"):
        if isinstance(document, dict) and name in document:
            document = document[name]
            break
    header, values = _table(text, document)
    if not header and values and values[0]:
        return _as_array(text, values[0], wanted)
    return _of_columns(text, dict(zip(header, values)), header, lambda row: "row %d" % (row + 1), wanted)


def _document(text: "Text") -> "Any":
    """None for a file with an object on each of several lines."""
    refusal = not_utf8(text)
    if refusal:
        raise refusal
    try:
        return json.loads(text.data.decode("utf-8"))
    except RecursionError as error:
        raise rejected("%s: no JSON: %s; write rows of values" % (text.where, _said(error)))
    except ValueError as error:
        first = text.data.lstrip().split(b"\n", 1)
        if len(first) == 2 and _first_object(first[0]) is not None:
            return None
        line = getattr(error, "lineno", 1)
        raise rejected("%s, line %d: no JSON: %s; correct the file" % (text.where, line, _said(error)))


def _table(text: "Text", document: "Any") -> "tuple[list[str], list[list[Any]]]":
    """Names and values of the columns; no names for an array of numbers."""
    if (
        isinstance(document, dict)
        and isinstance(document.get("columns"), list)
        and isinstance(document.get("data"), list)
    ):
        header = [str(name) for name in document["columns"]]
        _demand_width(text, document["data"], len(header))
        return header, [[row[place] for row in document["data"]] for place in range(len(header))]
    if isinstance(document, list) and all(isinstance(record, dict) for record in document):
        header = list(dict.fromkeys(name for record in document for name in record))
        return header, [[record.get(name) for record in document] for name in header]
    if isinstance(document, dict) and document:
        return list(document), _equally_long(text, document)
    if isinstance(document, list):
        return [], [document]
    raise rejected("%s: there is %s, and a table is expected: %s" % (text.where, _kind(document), _FORMS))


def _demand_width(text: "Text", rows: "list[Any]", width: int) -> None:
    for index, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != width:
            found = "%d values" % len(row) if isinstance(row, list) else _kind(row)
            raise rejected(
                "%s, row %d: the row has %s, and `columns` names %d; correct the row"
                % (text.where, index, found, width)
            )


def _equally_long(text: "Text", document: "dict[str, Any]") -> "list[list[Any]]":
    """Columns of values; values by the number of their row, as pandas writes them; or a single row."""
    values = list(document.values())
    if all(isinstance(one, dict) for one in values):
        values = [list(one.values()) for one in values]
    if not any(isinstance(one, (list, dict)) for one in values):
        return [[one] for one in values]
    if all(isinstance(one, list) for one in values) and len({len(one) for one in values}) == 1:
        return values
    raise rejected("%s: the columns are not equally long lists; a table is expected: %s" % (text.where, _FORMS))


def _as_array(text: "Text", rows: "list[Any]", wanted: "Wanted") -> Columns:
    """Rows of values without names: one tensor, or columns by their places."""
    if len(wanted.signature.tensors) == 1:
        columns = Columns(text.where, len(rows), 0)
        columns.rows = rows
        return columns
    if not all(isinstance(row, list) for row in rows):
        rows = [[row] for row in rows]
    width = len(rows[0])
    _demand_width(text, rows, width)
    header = [str(place) for place in range(width)]
    names = [str(column.name) for column in wanted.signature.columns]
    if len(names) == width and not wanted.signature.is_unnamed:
        header = names
    values = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    return _of_columns(text, values, header, lambda row: "row %d" % (row + 1), wanted)


# ---- values that Python has read ----------------------------------------------------------------------------------


def _of_records(text: "Text", records: "list[dict[str, Any]]", place: "Place", wanted: "Wanted") -> Columns:
    header = list(dict.fromkeys(name for record in records for name in record))
    values = {name: [record.get(name) for record in records] for name in header}
    return _of_columns(text, values, header, place, wanted)


def _of_columns(
    text: "Text",
    values: "dict[str, list[Any]]",
    header: "list[str]",
    place: "Place",
    wanted: "Wanted",
) -> Columns:
    count = len(next(iter(values.values()), []))
    columns = Columns(text.where, count, text.first_row)
    if not count:
        return columns
    if wanted.is_unchecked:
        columns.whole = pandas.DataFrame(values)
        columns.passed = [(name, values[name]) for name in wanted.passed(text.where, header)]
        return columns
    reading = wanted.of(text.where, header, lambda: _numeric(values))
    found = {name: _fit(text, name, values[name], kind, place) for name, kind in _kinds(reading, values)}
    columns.inputs = {name: found[name] for name in reading.inputs}
    columns.passed = [(name, found[name]) for name in reading.passed]
    return columns


def _kinds(reading: "Reading", values: "dict[str, list[Any]]") -> "list[tuple[str, str]]":
    return [(name, kind) for name, kind in reading.kinds.items() if name in values]


def _numeric(values: "dict[str, list[Any]]") -> "set[str]":
    numbers = (int, float)
    return {name for name, some in values.items() if some and isinstance(some[0], numbers)}


def _fit(text: "Text", name: str, values: "list[Any]", kind: str, place: "Place") -> "Any":
    try:
        return fitted(values, kind, is_text=False)
    except Unfit as error:
        raise rejected("%s, column %r, %s: %s" % (text.where, name, place(error.index), error))
