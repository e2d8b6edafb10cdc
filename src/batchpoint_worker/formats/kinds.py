"""The kind of the values of a column that are Python's own, and how each travels to the driver as JSON.

Used by ``typed``. The driver has the other half: it makes columns of a Parquet file of kinds and values.

A kind is ``null``, ``bool``, ``int``, ``uint``, ``float``, ``text``, ``bytes``, ``date``, ``time``, ``span``;
``["decimal", precision, scale]``, ``["moment", unit, zone or null]``, ``["list", kind]``, ``["struct", [[name, kind],
...]]``; or ``json``, for values of several kinds, at the top or somewhere within: each as its JSON.
"""

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from batchpoint_worker.formats.values import json_text, key_text, plain

MYPY = False
if MYPY:
    from typing import Any

#: Whole numbers up to here are floats, too.
_EXACT = 2**53
_DIGITS = 38
_MICROSECOND = timedelta(microseconds=1)
_SIMPLE = {bool: "bool", str: "text", bytes: "bytes", float: "float"}


def kind_of(values: "list[Any]") -> "Any":
    """The kind of values that ``plain`` has seen."""
    present = [value for value in values if value is not None]
    types = set(map(_type_of, present))
    if not types:
        return "null"
    if types == {int, float}:
        whole = [value for value in present if isinstance(value, int)]
        return "float" if all(-_EXACT <= value <= _EXACT for value in whole) else "json"
    if len(types) > 1:
        return "json"
    (only,) = types
    if only in _SIMPLE:
        return _SIMPLE[only]
    return _KINDS[only](present)


def _type_of(value: "Any") -> type:
    # bool is an int, datetime is a date.
    for known in (bool, int, float, str, bytes, Decimal, datetime, date, time, timedelta, list):
        if isinstance(value, known):
            return known
    return dict


def _of_int(values: "list[int]") -> str:
    least, most = min(values), max(values)
    if least >= -(2**63) and most < 2**63:
        return "int"
    return "uint" if least >= 0 and most < 2**64 else "json"


def _of_decimal(values: "list[Decimal]") -> "Any":
    if not all(value.is_finite() for value in values):
        return "json"
    scales = [max(0, -int(value.as_tuple().exponent)) for value in values]
    whole = [max(0, value.adjusted() + 1) if value else 0 for value in values]
    precision = max(whole) + max(scales)
    return ["decimal", max(1, precision), max(scales)] if precision <= _DIGITS else "json"


def _of_moment(values: "list[datetime]") -> "Any":
    zones = {_zone(value) for value in values}
    if None in zones and len(zones) > 1:
        return "json"
    unit = "ns" if any(getattr(value, "nanosecond", 0) for value in values) else "us"
    return ["moment", unit, zones.pop() if len(zones) == 1 else "UTC"]


def _zone(value: datetime) -> "str | None":
    offset = value.utcoffset()
    if value.tzinfo is None or offset is None:
        return None
    name = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    if name:
        return str(name)
    minutes = int(offset.total_seconds() // 60)
    return "UTC" if not minutes else "%s%02d:%02d" % (("-", "+")[minutes > 0], abs(minutes) // 60, abs(minutes) % 60)


def _of_time(values: "list[time]") -> str:
    return "json" if any(value.tzinfo is not None for value in values) else "time"


def _of_list(values: "list[list[Any]]") -> "Any":
    inner = kind_of([plain(one) for value in values for one in value])
    return inner if inner == "json" else ["list", inner]


def _of_dict(values: "list[dict[Any, Any]]") -> "Any":
    named = [{key_text(key): plain(one) for key, one in value.items()} for value in values]
    names = list({name: None for value in named for name in value})
    members = [[name, kind_of([value.get(name) for value in named])] for name in names]
    return "json" if not members or any(kind == "json" for _, kind in members) else ["struct", members]


_KINDS = {
    int: _of_int,
    Decimal: _of_decimal,
    datetime: _of_moment,
    date: lambda values: "date",
    time: _of_time,
    timedelta: lambda values: "span",
    list: _of_list,
    dict: _of_dict,
}  # type: dict[type, Any]


def typed(value: "Any", kind: "Any") -> "Any":
    """The value of that kind as something that JSON has."""
    value = plain(value)
    if value is None or kind == "null":
        return None
    if isinstance(kind, str):
        return _TYPED[kind](value)
    if kind[0] == "list":
        return [typed(one, kind[1]) for one in value]
    if kind[0] == "struct":
        named = {key_text(key): one for key, one in value.items()}
        return [typed(named.get(name), inner) for name, inner in kind[1]]
    return str(value) if kind[0] == "decimal" else _moment(value, kind[1])


def _moment(value: datetime, unit: str) -> int:
    """Since 1970, in the time of its zone if it has one."""
    offset = value.utcoffset()
    bare = datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    ticks = (bare - datetime(1970, 1, 1) - (offset or timedelta(0))) // _MICROSECOND
    return ticks if unit == "us" else ticks * 1000 + int(getattr(value, "nanosecond", 0))


def _ticks(value: time) -> int:
    return (((value.hour * 60 + value.minute) * 60) + value.second) * 1000000 + value.microsecond


_TYPED = {
    "bool": bool,
    "int": int,
    "uint": int,
    "float": float,
    "text": str,
    "bytes": lambda value: base64.b64encode(value).decode("ascii"),
    "date": lambda value: (value - date(1970, 1, 1)).days,
    "time": _ticks,
    "span": lambda value: value // _MICROSECOND,
    "json": json_text,
}  # type: dict[str, Any]
