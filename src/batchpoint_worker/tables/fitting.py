"""Whole columns made what the signature wants, with pyarrow where it is there, with pandas where it is not.

The readers use it; which single value is at fault, ``values`` finds out.
"""

import numpy
import pandas

from batchpoint_worker.tables.values import NULLS, WITHOUT_NULLS, Unfit, converted
from batchpoint_worker.tables.wanted import VERBATIM

try:
    import pyarrow
    import pyarrow.compute
except ImportError:
    pyarrow = None

MYPY = False
if MYPY:
    from collections.abc import Iterable
    from typing import Any

#: Types that have an Arrow type and a NumPy type of their own.
NUMPY = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "datetime": "datetime64[ns]",
}


def _arrow_types() -> "dict[str, Any]":
    if pyarrow is None:
        return {}
    found = {kind: pyarrow.from_numpy_dtype(name) for kind, name in NUMPY.items() if kind != "datetime"}
    found["datetime"] = pyarrow.timestamp("ns")
    found["string"] = found[VERBATIM] = pyarrow.string()
    found["binary"] = pyarrow.binary()
    return found


#: Types of signatures → types of Arrow; nested ones have none.
ARROW = _arrow_types()


def is_arrow(column: "Any") -> bool:
    """Whether it is a column of Arrow's, and no list, Series or array."""
    return pyarrow is not None and isinstance(column, (pyarrow.Array, pyarrow.ChunkedArray))


def fitted(values: "Iterable[Any]", kind: str, is_text: bool) -> "Any":
    """A column of single values; lists and objects stay what they are. Raises Unfit."""
    if kind == VERBATIM:
        found = list(values)
    else:
        found = converted(values, kind, is_text)
    if pyarrow is not None and (kind in ARROW or kind == VERBATIM):
        try:
            return pyarrow.array(found, None if kind == VERBATIM and not is_text else ARROW[kind])
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
            return found
    if kind in NUMPY:
        dtype = NUMPY[kind]
        return pandas.Series(found, dtype="float64" if kind == "float" and None in found else dtype).astype(dtype)
    return found


def fitted_arrow(column: "Any", kind: str) -> "Any":
    """A column that has a type already. Raises Unfit."""
    wanted = ARROW.get(kind)
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kind == VERBATIM:
        return column
    if wanted is None:
        return fitted(column.to_pylist(), kind, is_text=False)
    if column.type != wanted:
        column = _cast(column, kind, wanted)
    if kind in WITHOUT_NULLS and column.null_count:
        converted(column.to_pylist(), kind, is_text=False)
    return column


def _cast(column: "Any", kind: str, wanted: "Any") -> "Any":
    if _is_safe(column.type, kind):
        try:
            found = _without_zone(column).cast(wanted)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
            return fitted(column.to_pylist(), kind, is_text=False)
        if kind != "float" or not _has_overflown(column, found):
            return found
    return fitted(column.to_pylist(), kind, is_text=False)


def _without_zone(column: "Any") -> "Any":
    if not pyarrow.types.is_timestamp(column.type) or column.type.tz is None:
        return column
    return column.cast(pyarrow.timestamp(column.type.unit))


def _is_safe(found: "Any", kind: str) -> bool:
    """Whether Arrow's own cast accepts what we accept, and nothing else."""
    types = pyarrow.types
    is_number = types.is_integer(found) or types.is_floating(found) or types.is_decimal(found)
    if kind in ("integer", "long", "float", "double"):
        return bool(is_number or types.is_null(found))
    if kind == "datetime":
        return bool(types.is_timestamp(found) or types.is_date(found) or types.is_null(found))
    if kind == "string":
        return bool(types.is_large_string(found) or types.is_integer(found) or types.is_null(found))
    return bool(types.is_large_binary(found) or types.is_fixed_size_binary(found) or types.is_null(found))


def _has_overflown(before: "Any", after: "Any") -> bool:
    infinite = pyarrow.compute.is_inf(after)
    if not pyarrow.compute.any(infinite).as_py():
        return False
    return not pyarrow.types.is_floating(before.type) or not infinite.equals(pyarrow.compute.is_inf(before))


def with_nulls(column: "Any") -> "Any":
    """A column of texts in which the words for a missing value have become one."""
    words = pyarrow.array(NULLS, pyarrow.string())
    missing = pyarrow.compute.is_in(column, value_set=words)
    if not pyarrow.compute.any(missing).as_py():
        return column
    return pyarrow.compute.if_else(missing, pyarrow.scalar(None, pyarrow.string()), column)


def as_numpy(column: "Any", dtype: str) -> "Any":
    """The values as an array of one type; raises Unfit where they do not go into it."""
    if is_arrow(column):
        column = (
            column.to_numpy() if isinstance(column, pyarrow.ChunkedArray) else column.to_numpy(zero_copy_only=False)
        )
    found = numpy.asarray(column)
    if found.dtype == object and dtype.startswith(("float", "int", "uint", "bool")):
        found = numpy.array([numpy.asarray(one).tolist() for one in found])
    if dtype.startswith(("uint", "int")) and found.size:
        limits = numpy.iinfo(dtype)
        wrong = (found < limits.min) | (found > limits.max)
        if wrong.any():
            index = int(numpy.argwhere(wrong)[0][0])
            raise Unfit(index, "%s does not go into the type %s; correct the value" % (found[wrong].flat[0], dtype))
    return found.astype("object" if dtype == "str" else dtype)
