"""What a model wants of its input, and whether one value or one type can be that; pure.

``columns`` asks it for every file. It follows the rules by which workers read tables, without the libraries of data.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from batchpoint.engine.preflight.tables.heads import Head
from batchpoint.entities.tables.output import ALL_COLUMNS
from batchpoint.mlmodel.signature import Schema

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:?\d\d)?")
#: Words for a value that is not there.
MISSING = frozenset(
    {
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
_BOOLEANS = frozenset({"true", "True", "TRUE", "1", "false", "False", "FALSE", "0"})
_BITS = {"integer": 31, "long": 63}
#: Of these no column can be without a value.
_NEVER_MISSING = frozenset({"boolean", "integer", "long"})
SPOKEN = {
    "boolean": "true or false",
    "integer": "a whole number of 32 bits",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "string": "text",
    "binary": "bytes, as base64",
    "datetime": "a date and time such as 2024-05-17T08:00:00",
    "array": "a list",
    "object": "an object",
    "map": "an object",
}
_NUMERIC = ("integer", "long", "float", "double")
_NESTED = ("list", "large_list", "struct", "map")
_TIMES = ("timestamp", "date")
_FLOATS = ("double", "float", "halffloat")
#: How the names of Arrow's types begin that can never be such a type.
_NEVER = {
    **dict.fromkeys(_NUMERIC, ("binary", "large_binary", *_NESTED, *_TIMES)),
    "boolean": ("binary", "large_binary", *_NESTED, *_TIMES, *_FLOATS),
    "string": (*_NESTED, *_TIMES, *_FLOATS, "bool", "binary", "large_binary"),
    "datetime": ("int", "uint", *_FLOATS, "bool", *_NESTED, "binary", "large_binary"),
    "binary": ("int", "uint", *_FLOATS, "bool", *_NESTED, *_TIMES),
    "array": ("int", "uint", *_FLOATS, "bool", "struct", "map", *_TIMES, "binary", "large_binary"),
    **dict.fromkeys(
        ("object", "map"), ("int", "uint", *_FLOATS, "bool", "list", "large_list", *_TIMES, "binary", "large_binary")
    ),
}


@dataclass(frozen=True)
class WantedColumn:
    """One column that every file must have, or may have."""

    name: str
    #: As signatures call it; ``any`` fits everything.
    kind: str
    required: bool = True


@dataclass(frozen=True)
class Wanted:
    """What every file must have."""

    #: In their order; empty where nothing is known about columns.
    columns: tuple[WantedColumn, ...] = ()
    #: Columns are told apart by their places: only their number counts.
    by_place: bool = False
    #: Columns to be handed through to the output.
    passed: tuple[str, ...] = ()
    #: Numbers in a row of a tensor; None where that is free or no tensor is wanted.
    width: int | None = None
    #: ``table``, ``image`` or ``any``.
    kind: str = "any"


def wanted_of(schema: Schema | None, passed: Sequence[str] = ()) -> Wanted:
    """What a signature's inputs ask of a file; ``passed``: columns that go through to the output."""
    names = tuple(name for name in passed if name != ALL_COLUMNS)
    if schema is None or not (schema.columns or schema.tensors):
        return Wanted(passed=names)
    if schema.columns:
        columns = tuple(
            WantedColumn(one.name or f"number {place}", one.type.kind, one.required)
            for place, one in enumerate(schema.columns, 1)
        )
        return Wanted(columns, all(one.name is None for one in schema.columns), names, kind="table")
    first = schema.tensors[0]
    if all(one.name for one in schema.tensors):
        kinds = ["double" if one.dtype.startswith("float") else "any" for one in schema.tensors]
        columns = tuple(WantedColumn(one.name or "", k) for one, k in zip(schema.tensors, kinds, strict=True))
        return Wanted(columns, passed=names)
    width = first.shape[1] if len(first.shape) == 2 and first.shape[1] > 0 else None
    return Wanted(width=width, passed=names, kind="table" if len(first.shape) == 2 else "image")


def misfit(value: object, kind: str, *, is_text: bool) -> str:
    """Why a value cannot be what a signature calls ``kind``; empty where it can. ``is_text``: it is cut out of text."""
    if kind not in SPOKEN:
        return ""
    if value is None or (is_text and value in MISSING):
        return f"There is no value, and {kind} cannot be without one" if kind in _NEVER_MISSING else ""
    fits = _fits_text(str(value), kind) if isinstance(value, str) else _fits(value, kind)
    return "" if fits else f"{_shown(value)} is not {SPOKEN[kind]}"


def _fits_text(text: str, kind: str) -> bool:
    text = text.strip()
    if kind in ("float", "double"):
        return bool(_NUMBER.fullmatch(text) or _WORDS.fullmatch(text))
    if kind in _BITS:
        return bool(_NUMBER.fullmatch(text)) and _whole(float(text), kind)
    if kind == "boolean":
        return text in _BOOLEANS
    if kind == "datetime":
        return bool(_DATE.fullmatch(text))
    if kind == "binary":
        return _is_base64(text)
    if kind in ("array", "object", "map"):
        return _is_nested(text, kind)
    return True


def _fits(value: object, kind: str) -> bool:
    """Of a value in JSON that is no text."""
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        if kind in _BITS:
            return _whole(float(value), kind)
        return kind in ("float", "double") or (kind == "boolean" and value in (0, 1)) or _is_name(value, kind)
    return kind == "array" if isinstance(value, list) else kind in ("object", "map")


def _is_name(value: float, kind: str) -> bool:
    return kind == "string" and isinstance(value, int)


def _whole(number: float, kind: str) -> bool:
    limit = 1 << _BITS[kind]
    return number.is_integer() and -limit <= number <= limit - (kind == "integer")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True


def _is_nested(text: str, kind: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list if kind == "array" else dict)


def never_fits(type_name: str, kind: str) -> bool:
    """Whether no value of this type of Arrow's can be what a signature calls ``kind``."""
    return type_name.startswith(_NEVER.get(kind, ()))


def looks_like_data(head: Head) -> bool:
    """Whether the first line of a text file holds numbers, as no header does."""
    filled = [name for name in head.columns if name.strip()]
    return head.kind in ("csv", "tsv") and bool(filled) and all(_NUMBER.fullmatch(name.strip()) for name in filled)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
