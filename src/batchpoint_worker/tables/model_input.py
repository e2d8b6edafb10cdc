"""Makes of the columns of a file what predict() is given: a DataFrame, or arrays where the signature has tensors.

``mlflow_script`` calls it; it knows no file but its name.
"""

import numpy
import pandas

from batchpoint_worker.tables.fitting import as_numpy, is_arrow
from batchpoint_worker.tables.signature import rejected
from batchpoint_worker.tables.values import Unfit
from batchpoint_worker.tables.wanted import elements_of

try:
    import pyarrow
except ImportError:
    pyarrow = None

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.tables.signature import Signature, Tensor
    from batchpoint_worker.tables.wanted import Columns

#: From this version on pandas has a type for text; before, a missing text was NaN where a file had been read.
_HAS_TEXT = int(pandas.__version__.split(".")[0]) >= 3


def model_input(columns: "Columns", signature: "Signature") -> "Any":
    """What predict() is given; raises Refused where values do not go into the shape of a tensor."""
    if columns.whole is not None:
        return columns.whole
    if signature.tensors:
        return _arrays(columns, signature.tensors)
    return _frame(columns.inputs, signature.is_unnamed)


def _frame(inputs: "dict[str, Any]", is_unnamed: bool) -> "Any":
    tables = {name: one for name, one in inputs.items() if is_arrow(one)}
    frame = _of_arrow(tables) if tables else pandas.DataFrame()
    others = {name: _series(one) for name, one in inputs.items() if name not in tables}
    if others:
        frame = pandas.concat([frame, pandas.DataFrame(others)], axis=1) if tables else pandas.DataFrame(others)
        frame = frame[list(inputs)]
    if is_unnamed:
        frame.columns = range(len(inputs))
    return frame


def _of_arrow(columns: "dict[str, Any]") -> "Any":
    frame = pyarrow.table(list(columns.values()), names=list(columns)).to_pandas(use_threads=False)
    if not _HAS_TEXT:
        for name, column in columns.items():
            if column.null_count and pyarrow.types.is_string(column.type):
                frame[name] = frame[name].where(frame[name].notna(), numpy.nan)
    return frame


def _series(values: "Any") -> "Any":
    if not isinstance(values, list):
        return values
    if not _HAS_TEXT and any(isinstance(one, str) for one in values):
        values = [numpy.nan if one is None else one for one in values]
    series = pandas.Series(index=range(len(values)), dtype="object")
    series[:] = values
    return series


def _arrays(columns: "Columns", tensors: "list[Tensor]") -> "Any":
    first = tensors[0]
    if columns.rows is not None:
        arrays = [_shaped(columns, first, _elements(columns, first.name, columns.rows, first.dtype))]
    elif len(tensors) == 1 and list(columns.inputs) != [first.name]:
        parts = [_elements(columns, name, one, first.dtype) for name, one in columns.inputs.items()]
        arrays = [_shaped(columns, first, numpy.column_stack(parts) if parts else numpy.empty((columns.count, 0)))]
    else:
        named = [(one, _elements(columns, one.name, columns.inputs[str(one.name)], one.dtype)) for one in tensors]
        arrays = [_shaped(columns, one, array) for one, array in named]
    return arrays[0] if first.name is None else {one.name: array for one, array in zip(tensors, arrays)}


def _elements(columns: "Columns", name: "str | None", column: "Any", dtype: str) -> "Any":
    where = columns.name if name is None else "%s, column %r" % (columns.name, name)
    try:
        return as_numpy(column, dtype)
    except Unfit as error:
        row = error.index + 1 + (columns.first_row or 0)
        raise rejected("%s, row %d: %s" % (where, row, error))
    except (ValueError, TypeError) as error:
        raise rejected("%s: the values are no array of %s: %s; correct them" % (where, dtype, error))


def _shaped(columns: "Columns", tensor: "Tensor", array: "Any") -> "Any":
    shape = (columns.count,) + tensor.shape[1:]
    size = elements_of(tensor)
    if size is None and array.ndim == len(shape):
        return array
    try:
        return array.reshape(shape)
    except ValueError:
        raise rejected(
            "%s: a row has %d values, and the model's signature wants the shape %s"
            % (columns.name, array.size // max(1, columns.count), list(tensor.shape))
        )
