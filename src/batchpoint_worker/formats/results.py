"""What ``run()`` returned, seen as rows or as named columns; refuses what is neither.

Used by the encoders. A column is an array of pyarrow or a list of Python's values; pyarrow is imported only when a
table or a DataFrame comes, and only where it is.
"""

import sys

from batchpoint_worker.failures import Refused
from batchpoint_worker.formats.shares import shares_of
from batchpoint_worker.formats.values import key_text

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.provenance import Origin

#: The column of results that have no names.
PREDICTION = "prediction"
#: Columns that say where a row comes from.
ORIGIN = ("file", "row", "mini_batch")
#: Before this version some of the functions that are used here are missing.
_ARROW_SINCE = 8
_arrow = []  # type: list[Any]


def arrow() -> "Any":
    """pyarrow, or None where it cannot be used."""
    if not _arrow:
        try:
            import pyarrow
            import pyarrow.compute

            is_new = int(pyarrow.__version__.split(".")[0]) >= _ARROW_SINCE
            _arrow.append(pyarrow if is_new else None)
        except (ImportError, ValueError, AttributeError):
            _arrow.append(None)
    return _arrow[0]


class Results:
    """The rows of one call of ``run()``."""

    def __init__(self, length: int, elements: "list[Any] | None", names: "list[str]", columns: "list[Any]") -> None:
        self.length = length
        #: One for each row; None where the result has columns. An element that is no dict is the prediction.
        self.elements = elements
        self._names = names
        self._columns = columns
        #: How many rows each item has, where whoever made the table says so.
        self.shares = []  # type: list[int]

    def table(self) -> "tuple[list[str], list[Any]]":
        """Names and columns; what an element does not have is None."""
        if self.elements is not None:
            self._names, self._columns = _columns_of(self.elements)
            self.elements = None
        return self._names, self._columns

    def with_origin(self, origin: "Origin", is_no_code: bool) -> "Results":
        """The same with columns in front that say where each row comes from.

        A table of a model without a script knows that by itself: how many rows each item has, and the row of tabular
        ones.
        """
        files, rows = origin.places(self.length, self.shares if is_no_code else ())
        if self.elements is not None:
            named = list(map(row_of, self.elements))
            _refuse_names_of_origin({name for row in named for name in row})
            return Results(self.length, [_joined(origin.mini_batch, *one) for one in zip(files, rows, named)], [], [])
        names, columns = self._names, self._columns
        if is_no_code and "row" in names:
            own = names.index("row")
            rows = columns[own]
            names, columns = names[:own] + names[own + 1 :], columns[:own] + columns[own + 1 :]
        _refuse_names_of_origin(set(names))
        front = [files, rows, [origin.mini_batch] * self.length]  # type: list[Any]
        pa = None if isinstance(columns[0], list) else arrow()
        if pa is not None:
            front = [_array(pa, one) for one in front]
        return Results(self.length, None, list(ORIGIN) + names, front + columns)


def _joined(mini_batch: int, file: str, row: int, named: "dict[str, Any]") -> "dict[str, Any]":
    joined = dict(zip(ORIGIN, (file, row, mini_batch)))  # type: dict[str, Any]
    joined.update(named)
    return joined


def _refuse_names_of_origin(names: "set[str]") -> None:
    taken = [name for name in ORIGIN if name in names]
    if taken:
        raise Refused(
            "InvalidResult",
            "run() returned a column called %r, and with provenance there is one of that name already; rename it, or "
            "leave out provenance" % taken[0],
        )


def _array(pa: "Any", values: "Any") -> "Any":
    try:
        return pa.array(values) if isinstance(values, list) else values
    except UnicodeEncodeError:
        return values


def results_of(result: object) -> Results:
    """Raises Refused for what is no list, tuple, array, Series, DataFrame or table."""
    if type(result) is list:
        # A second thread of the script may still append to it.
        elements = result[:]
        return Results(len(elements), elements, [], [])
    if isinstance(result, (list, tuple)):
        return Results(len(result), list(result), [], [])
    if _is_a(result, "pandas", "DataFrame"):
        return _of_frame(result)
    if _is_a(result, "pandas", "Series"):
        return _of_series(result)
    if _is_a(result, "numpy", "ndarray"):
        return _of_array(result)
    if _is_a(result, "pyarrow", "Table") or _is_a(result, "pyarrow", "RecordBatch"):
        return _of_table(result)
    raise _invalid("None" if result is None else "a value of type " + type(result).__name__)


def _is_a(result: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(result, kind)


def _of_frame(frame: "Any") -> Results:
    columns = [_of_pandas(frame.iloc[:, at]) for at in range(len(frame.columns))]
    return _with_shares(_checked(len(frame), list(map(key_text, frame.columns)), columns), frame)


def _of_series(series: "Any") -> Results:
    name = PREDICTION if series.name is None else key_text(series.name)
    return _checked(len(series), [name], [_of_pandas(series)])


def _of_pandas(series: "Any") -> "Any":
    """In pandas NaN is how a missing value is written."""
    pa = arrow()
    if series.dtype != object and pa is not None:
        try:
            return pa.array(series, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError):
            # Kinds of pandas that pyarrow does not know.
            pass
    return [None if value is not None and _is_missing(value) else value for value in series.tolist()]


def _is_missing(value: "Any") -> bool:
    if type(value) is float:
        return value != value
    return type(value).__name__ in ("NaTType", "NAType") or (type(value).__name__ == "float64" and value != value)


def _of_table(table: "Any") -> Results:
    columns = [table.column(at) for at in range(table.num_columns)]
    pa = arrow()
    if pa is None:
        columns = [column.to_pylist() for column in columns]
    else:
        columns = [_unpacked(pa, column) for column in columns]
    return _with_shares(_checked(table.num_rows, list(table.schema.names), columns), table)


def _with_shares(results: Results, table: "Any") -> Results:
    results.shares = shares_of(table)
    return results


def _unpacked(pa: "Any", column: "Any") -> "Any":
    """The column without the ways of storing it that other readers do not know."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return pa.chunked_array([chunk.storage for chunk in chunks], column.type.storage_type)
    return column


def _of_array(array: "Any") -> Results:
    if array.ndim == 0:
        raise _invalid("an ndarray without dimensions")
    if array.dtype.names:
        names = [key_text(name) for name in array.dtype.names]
        return _checked(len(array), names, [_of_flat(array[name]) for name in array.dtype.names])
    if array.ndim == 2 and array.shape[1]:
        names = ["%s_%d" % (PREDICTION, at) for at in range(array.shape[1])]
        return Results(len(array), None, names, [_of_flat(array[:, at]) for at in range(array.shape[1])])
    return Results(len(array), None, [PREDICTION], [_of_flat(array)])


def _of_flat(array: "Any") -> "Any":
    pa = arrow()
    if pa is not None and array.ndim == 1 and array.dtype.kind in "biuf" and array.dtype.itemsize in (1, 4, 8):
        return pa.array(array)
    return list(array) if array.ndim == 1 else array.tolist()


def _checked(length: int, names: "list[str]", columns: "list[Any]") -> Results:
    seen = set()  # type: set[str]
    for name in names:
        if name in seen:
            raise Refused(
                "InvalidResult", "run() returned two columns called %r; in this output_format names differ" % name
            )
        seen.add(name)
    if not names:
        names, columns = [PREDICTION], [[None] * length]
    return Results(length, None, names, columns)


def _columns_of(elements: "list[Any]") -> "tuple[list[str], list[Any]]":
    if not any(isinstance(element, dict) for element in elements):
        return [PREDICTION], [elements]
    rows = [row_of(element) for element in elements]
    names = list({name: None for row in rows for name in row}) or [PREDICTION]
    return names, [[row.get(name) for row in rows] for name in names]


def row_of(element: "Any") -> "dict[str, Any]":
    """An element by the names of its columns."""
    if isinstance(element, dict):
        return {key_text(name): value for name, value in element.items()}
    return {PREDICTION: element}


def _invalid(kind: str) -> Refused:
    return Refused(
        "InvalidResult",
        "run() returned %s; it must return a list with one element for each scored item, or a pandas DataFrame" % kind,
    )
