"""The types of columns: what each mini-batch says of its own, and one for the output that holds the values of all.

pyarrow is imported by whoever calls; a job without Parquet never loads it.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

#: At a column of a worker's stream whose values are lines of JSON: their kind, see ``batchpoint_worker.formats``.
KIND = b"batchpoint.kind"
#: At a column of the output whose values had no type in common: each is written as its JSON.
MIXED = {b"batchpoint": b"json"}

_SIMPLE = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "uint": pa.uint64(),
    "float": pa.float64(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "span": pa.duration("us"),
}


@dataclass(frozen=True)
class Column:
    """A column of a mini-batch, or of the output."""

    name: str
    #: None: each value is written as its JSON.
    type: pa.DataType | None

    def field(self) -> pa.Field:
        """As the file has it: what is always missing is text that is missing, which every reader knows."""
        if self.type is None:
            return pa.field(self.name, pa.string(), metadata=MIXED)
        return pa.field(self.name, pa.string() if pa.types.is_null(self.type) else self.type)


def type_of(kind: Any) -> pa.DataType | None:
    """The type of a kind of values; None for values of several kinds, alone or somewhere within."""
    if isinstance(kind, str):
        return _SIMPLE.get(kind)
    if kind[0] == "decimal":
        return pa.decimal128(kind[1], kind[2])
    if kind[0] == "moment":
        return pa.timestamp(kind[1], kind[2])
    if kind[0] == "list":
        return pa.list_(type_of(kind[1]))
    return pa.struct([pa.field(name, type_of(inner)) for name, inner in kind[1]])


def column_of(field: pa.Field) -> Column:
    """The column that a field of a worker's stream is."""
    kind = (field.metadata or {}).get(KIND)
    return Column(field.name, type_of(json.loads(kind)) if kind else settled(field.type))


def values_of(values: Iterable[Any], kind: Any) -> pa.Array:
    """An array of values that travelled as JSON."""
    return pa.array([_value(value, kind) for value in values], type_of(kind) or pa.string())


def _value(value: Any, kind: Any) -> Any:
    if value is None or kind in ("text", "int", "float", "json", "bool"):
        return value
    if kind == "bytes":
        return base64.b64decode(value)
    if kind[0] == "decimal":
        return Decimal(value)
    if kind[0] == "list":
        return [_value(one, kind[1]) for one in value]
    if kind[0] == "struct":
        return {name: _value(one, inner) for one, (name, inner) in zip(value, kind[1], strict=True)}
    return value


def settled(kind: pa.DataType) -> pa.DataType | None:
    """The type that a column has in the file: one of several ways to store the same; None for what a file lacks."""
    types = pa.types
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return settled(kind.value_type)
    if types.is_float16(kind):
        return pa.float32()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = settled(kind.value_type)
        return pa.list_(inner) if inner else None
    if types.is_struct(kind):
        inners = [(field.name, settled(field.type)) for field in kind]
        return pa.struct(inners) if inners and all(inner for _, inner in inners) else None
    return None if types.is_union(kind) or types.is_interval(kind) or types.is_list_view(kind) else kind


def united(columns: Sequence[Column], more: Iterable[Column]) -> list[Column]:
    """The columns, and those of a further mini-batch: new ones behind, known ones with a type that holds both."""
    found = {column.name: column for column in columns}
    for column in more:
        known = found.get(column.name)
        kind = column.type if known is None else common(known.type, column.type)
        found[column.name] = Column(column.name, kind)
    return list(found.values())


def common(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    """A type that holds the values of both; None where there is none."""
    if one is None or other is None or one == other:
        return one if one == other else None
    if pa.types.is_null(one) or pa.types.is_null(other):
        return other if pa.types.is_null(one) else one
    for rule in (_numbers, _moments, _nested):
        if (found := rule(one, other)) is not None:
            return found
    return None


def _numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_decimal(one) and types.is_decimal(other):
        scale = max(one.scale, other.scale)
        precision = max(one.precision - one.scale, other.precision - other.scale) + scale
        return pa.decimal128(precision, scale) if precision <= 38 else None
    if types.is_integer(one) and types.is_integer(other):
        wide = max(one.bit_width, other.bit_width)
        if types.is_signed_integer(one) == types.is_signed_integer(other):
            return one if one.bit_width == wide else other
        return None if pa.uint64() in (one, other) else pa.int64()
    kinds = [types.is_floating(kind) or types.is_integer(kind) for kind in (one, other)]
    if all(kinds):
        return pa.float64()
    return None


def _moments(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_timestamp(one) and types.is_timestamp(other) and (one.tz is None) == (other.tz is None):
        return pa.timestamp(_finer(one.unit, other.unit), one.tz if one.tz == other.tz else "UTC")
    if types.is_duration(one) and types.is_duration(other):
        return pa.duration(_finer(one.unit, other.unit))
    if types.is_time(one) and types.is_time(other):
        unit = _finer(one.unit, other.unit)
        return pa.time64(unit) if unit in ("us", "ns") else pa.time32(unit)
    return None


def _finer(one: str, other: str) -> str:
    return max(one, other, key=("s", "ms", "us", "ns").index)


def _nested(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = common(one.value_type, other.value_type)
        return pa.list_(inner) if inner else None
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        known, more = ([Column(field.name, field.type) for field in kind] for kind in (one, other))
        both = united(known, more)
        return pa.struct([(column.name, column.type) for column in both]) if all(c.type for c in both) else None
    return None
