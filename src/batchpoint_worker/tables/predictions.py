"""Makes a table of what predict() returned for one file: one row for each row of the file, or one for an image.

``mlflow_script`` calls it. The table is one of Arrow where pyarrow is there, else a DataFrame; how it is written is no
matter of this module.
"""

import numpy
import pandas

from batchpoint_worker.failures import Refused
from batchpoint_worker.formats.shares import with_shares
from batchpoint_worker.tables.fitting import ARROW, NUMPY, is_arrow
from batchpoint_worker.tables.wanted import KINDS_OF_TENSORS

try:
    import pyarrow
except ImportError:
    pyarrow = None

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.tables.wanted import Columns

    Named = list[tuple[str, Any]]

PREDICTION = "prediction"


class Naming:
    """How columns of predictions are called."""

    def __init__(self, outputs: "list[dict[str, Any]]", by_signature: bool) -> None:
        self._by_signature = by_signature
        names = [one.get("name") for one in outputs]
        #: Empty where the signature names nothing.
        self.names = [str(name) for name in names] if all(names) else []
        self._kinds = [_kind(one) for one in outputs]

    def columns(self, prediction: "Any", where: str, count: int) -> "Named":
        """The prediction as columns of ``count`` values; raises Refused for another number of rows."""
        found = _columns(prediction)
        if self._by_signature and found is None:
            found = _split(prediction, len(self.names))
        if found is None:
            found = [("", _row_values(prediction, count))]
        for _, values in found:
            _demand_rows(values, where, count)
        named = [(name, _typed(values)) for name, values in found]
        if not self._by_signature:
            return [(PREDICTION, named[0][1] if len(named) == 1 else _together(named, count))]
        return list(zip(self._chosen([name for name, _ in found]), [values for _, values in named]))

    def _chosen(self, found: "list[str]") -> "list[str]":
        if self.names and len(self.names) == len(found) and set(self.names) != set(found):
            return self.names
        if len(found) == 1:
            return [found[0] or PREDICTION]
        return [name or "%s_%d" % (PREDICTION, index) for index, name in enumerate(found)]

    def of_nothing(self) -> "Named":
        """The columns for a file without rows, for which no model is asked."""
        names = self.names if self._by_signature and self.names else [PREDICTION]
        kinds = self._kinds if len(self._kinds) == len(names) else [""] * len(names)
        return [(name, _empty(kind)) for name, kind in zip(names, kinds)]


def _kind(output: "dict[str, Any]") -> str:
    """The type of single values; empty where a row has several."""
    spec = output.get("tensor-spec")
    if spec is not None:
        return KINDS_OF_TENSORS.get(str(spec.get("dtype")), "") if len(spec.get("shape", ())) == 1 else ""
    return output["type"] if isinstance(output.get("type"), str) else ""


def _empty(kind: str) -> "Any":
    if pyarrow is None:
        return pandas.Series([], dtype=NUMPY.get(kind, "object"))
    return pyarrow.array([], ARROW.get(kind, pyarrow.null()))


# ---- what models return -------------------------------------------------------------------------------------------


def _columns(prediction: "Any") -> "Named | None":
    """The columns of what has columns with names; None for all else."""
    if isinstance(prediction, pandas.DataFrame):
        return [(str(name), prediction.iloc[:, place]) for place, name in enumerate(prediction.columns)]
    if isinstance(prediction, dict):
        return [(str(name), _flat(_plain(values))) for name, values in prediction.items()]
    if pyarrow is not None and isinstance(prediction, (pyarrow.Table, pyarrow.RecordBatch)):
        return list(zip(prediction.schema.names, prediction.columns))
    return None


def _split(prediction: "Any", names: int) -> "Named | None":
    """Rows of several values, each value in a column of its own."""
    plain = _plain(prediction)
    if isinstance(plain, list) and plain and all(isinstance(one, dict) for one in plain):
        return _columns(pandas.DataFrame(plain))
    if isinstance(plain, list) and names > 1:
        plain = numpy.asarray(plain)
    if isinstance(plain, numpy.ndarray) and plain.ndim == 2 and (plain.shape[1] == names or not names):
        return [("", plain[:, place]) for place in range(plain.shape[1])]
    return None


def _row_values(prediction: "Any", count: int) -> "Any":
    """One value for each row."""
    plain = _plain(prediction)
    if isinstance(plain, numpy.ndarray):
        return _flat(plain.reshape(1) if plain.ndim == 0 else plain)
    if isinstance(plain, (list, pandas.Series)) or is_arrow(plain):
        return plain
    if count == 1:
        return [plain]
    raise Refused(
        "InvalidResult",
        "predict() returned a value of type %s; it must return an array, a list, a Series, a DataFrame or a dict of "
        "arrays" % type(prediction).__name__,
    )


def _flat(values: "Any") -> "Any":
    """An array of one value in each row has these values in place of rows."""
    is_narrow = isinstance(values, numpy.ndarray) and values.ndim == 2 and values.shape[1] == 1
    return values.ravel() if is_narrow else values


def _plain(values: "Any") -> "Any":
    """Arrays of other libraries as those of NumPy."""
    if isinstance(values, (numpy.ndarray, list, pandas.Series, str, bytes)) or is_arrow(values):
        return values
    if isinstance(values, tuple):
        return list(values)
    if hasattr(values, "toarray"):
        return values.toarray()
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    if hasattr(values, "__array__"):
        return numpy.asarray(values)
    return list(values) if hasattr(values, "__next__") else values


def _demand_rows(values: "Any", where: str, count: int) -> None:
    found = len(values) if hasattr(values, "__len__") and not isinstance(values, (str, bytes)) else 1
    if found != count:
        raise Refused(
            "InvalidResult",
            "predict() returned %d %s for the %d %s of %s; a model must return one for each"
            % (found, _many("prediction", found), count, _many("row", count), where),
        )


def _many(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


# ---- values of one column -----------------------------------------------------------------------------------------


def _typed(values: "Any") -> "Any":
    """A column of a table: numbers stay numbers, arrays become lists."""
    values = _plain(values)
    if isinstance(values, pandas.Series):
        values = values.to_numpy() if isinstance(values.dtype, numpy.dtype) else _of_extension(values)
    if isinstance(values, numpy.ndarray) and values.dtype.kind in "OU":
        values = values.tolist()
    if pyarrow is None:
        return _series(values)
    if isinstance(values, list):
        return _of_list(values)
    return _of_array(values) if isinstance(values, numpy.ndarray) else values


def _series(values: "Any") -> "Any":
    """Where there is no Arrow; what is no number stays what it is."""
    values = values.tolist() if getattr(values, "ndim", 1) > 1 else values
    if isinstance(values, list) and not all(isinstance(value, (int, float)) for value in values):
        return pandas.Series(values, dtype="object")
    return pandas.Series(values)


def _of_extension(series: "Any") -> "Any":
    """Of a pandas type that NumPy has not."""
    if pyarrow is None:
        return series.astype("object").tolist()
    try:
        return pyarrow.Array.from_pandas(series)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError):
        return series.astype("object").tolist()


def _of_list(values: "list[Any]") -> "Any":
    try:
        return pyarrow.array([_item(value) for value in values])
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError, OverflowError):
        # Values of several types have none in common but text.
        return pyarrow.array([None if value is None else str(value) for value in values], pyarrow.string())


def _item(value: "Any") -> "Any":
    return value.tolist() if isinstance(value, (numpy.ndarray, numpy.generic)) else value


def _of_array(values: "Any") -> "Any":
    if values.dtype == numpy.float16:
        values = values.astype("float32")
    if values.dtype.kind in "cV":
        return pyarrow.array([str(value) for value in values.tolist()], pyarrow.string())
    if values.ndim == 1:
        return pyarrow.array(values)
    found = pyarrow.array(numpy.ascontiguousarray(values).ravel())
    for length in reversed(values.shape[1:]):
        offsets = numpy.arange(0, len(found) + 1, length, dtype="int32") if length else _no_offsets(values)
        found = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), found)
    return found


def _no_offsets(values: "Any") -> "Any":
    return numpy.zeros(len(values) + 1, dtype="int32")


def _together(named: "Named", count: int) -> "Any":
    """Several columns as one: each row is an object of its values."""
    if pyarrow is None:
        rows = zip(*(list(values) for _, values in named))
        return pandas.Series([dict(zip([name for name, _ in named], row)) for row in rows], dtype="object")
    arrays = [one.combine_chunks() if isinstance(one, pyarrow.ChunkedArray) else one for _, one in named]
    if not arrays:
        return pyarrow.nulls(count)
    return pyarrow.StructArray.from_arrays(arrays, names=unique([name for name, _ in named]))


# ---- tables -------------------------------------------------------------------------------------------------------


def table_of(columns: "Columns", predicted: "Named") -> "Any":
    """The rows of one file: columns passed through, place of the row, predictions, name of the file."""
    passed = [(name, _typed(values)) for name, values in columns.passed]
    index = [] if columns.first_row is None else [("row", _rows(columns.first_row, columns.count))]
    own = [name for name, _ in index + predicted] + ["file_name"]
    names = unique(own + [name for name, _ in passed])
    names = names[len(own) :] + names[: len(own)]
    values = [one for _, one in passed + index + predicted] + [_repeated(columns.name, columns.count)]
    if pyarrow is not None:
        return pyarrow.table(values, names=names)
    return pandas.DataFrame(dict(zip(names, [pandas.Series(one).reset_index(drop=True) for one in values])))


def _rows(first: int, count: int) -> "Any":
    return _typed(numpy.arange(first, first + count, dtype="int64"))


def _repeated(text: str, count: int) -> "Any":
    # Names that are no UTF-8 cannot stand in a table.
    plain = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return pandas.Series([plain] * count, dtype="object") if pyarrow is None else pyarrow.repeat(plain, count)


def unique(names: "list[str]") -> "list[str]":
    """The names, each a single time: a later one that is taken gets ``_input`` behind it."""
    taken = []  # type: list[str]
    for name in names:
        while name in taken:
            name += "_input"
        taken.append(name)
    return taken


def joined(tables: "list[Any]") -> "Any":
    """One table of all files of a mini-batch, in their order; a column that one of them lacks is empty there."""
    if len(tables) == 1:
        return tables[0]
    return with_shares(_one_below_another(tables), [len(table) for table in tables])


def _one_below_another(tables: "list[Any]") -> "Any":
    if pyarrow is None:
        return pandas.concat(tables, ignore_index=True)
    try:
        return _concatenated(tables)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError):
        return _concatenated(_of_common_types(tables))


def _concatenated(tables: "list[Any]") -> "Any":
    if int(pyarrow.__version__.split(".")[0]) < 14:
        return pyarrow.concat_tables(tables, promote=True)
    return pyarrow.concat_tables(tables, promote_options="permissive")


def _of_common_types(tables: "list[Any]") -> "list[Any]":
    """Columns whose types have nothing in common become text."""
    types = {}  # type: dict[str, set[Any]]
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, found in types.items() if len(found - {pyarrow.null()}) > 1}
    return [_as_text(table, mixed) for table in tables]


def _as_text(table: "Any", names: "set[str]") -> "Any":
    for place, name in enumerate(table.schema.names):
        if name in names:
            values = [None if one is None else str(one) for one in table.column(place).to_pylist()]
            table = table.set_column(place, name, pyarrow.array(values, pyarrow.string()))
    return table
