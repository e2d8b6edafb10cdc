"""One value as the text of a CSV field, or as JSON: the rules that the page on outputs has a table of.

Used by the encoders. It recognises objects of numpy, pandas and pyarrow by their modules, and imports none of them.
"""

import base64
import json
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from json.encoder import encode_basestring

MYPY = False
if MYPY:
    from typing import Any

#: A field with one of these stands in quotes: what ends fields and records, and what readers trim or take for nothing.
#: Python and pyarrow read the pattern alike, except for its end.
SPECIAL = '[",\r\n\\x00]|\\A[ \t\f\v\ufeff]|[ \t\f\v]$|\\A$'
_needs_quotes = re.compile(SPECIAL.replace("$", r"\Z")).search
_PLAIN = frozenset({str, int, float, bool, type(None), bytes, Decimal, datetime, date, time, timedelta, list, dict})
_LIBRARIES = frozenset({"numpy", "pandas", "pyarrow"})
#: As JSON has no such numbers, and as every reader of numbers in text understands them.
NAN, INFINITY = "NaN", "Infinity"


def plain(value: "Any") -> "Any":
    """The value as one of Python's own types; None for what says that there is no value; text for what is unknown."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind.__module__.partition(".")[0] in _LIBRARIES:
        return _of_library(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (bool, bytes, Decimal, date, time, timedelta)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        # Their order changes from process to process.
        return sorted(value, key=json_text)
    return str(value)


def _of_library(value: "Any") -> "Any":
    kind = type(value).__name__
    if kind in ("NaTType", "NAType"):
        return None
    if kind in ("Timestamp", "Timedelta"):
        return value
    if kind in ("datetime64", "timedelta64"):
        return _of_moment(value)
    if kind in ("longdouble", "clongdouble", "complex64", "complex128"):
        return str(value)
    for turn in ("as_py", "to_pylist", "tolist", "item"):
        if hasattr(value, turn):
            found = getattr(value, turn)()
            if kind == "ndarray" and value.dtype.kind in "mM":
                found = list(value)
            return found if type(found) in _PLAIN else str(value) if type(found) is type(value) else plain(found)
    return value.to_dict("records") if kind == "DataFrame" else str(value)


def _of_moment(value: "Any") -> "Any":
    """A moment or a span of numpy: Python's own where that says all of it, else its text."""
    if value != value:
        return None
    short = value.astype("%s[us]" % type(value).__name__)
    found = short.item()
    return found if short == value and not isinstance(found, int) else str(value)


# ---- JSON -----------------------------------------------------------------------------------------------------------

_dumps = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=lambda v: _strict(v)
).encode


def json_text(value: "Any") -> str:
    """The value as JSON of one line. Half characters stand in it as they are."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is float and value == value and value - value == 0:
        return float.__repr__(value)
    try:
        return _dumps(value)
    except (ValueError, TypeError):
        # NaN and its like somewhere in it, or a key that is no text.
        return _dumps(_strict(value))


def _strict(value: "Any") -> "Any":
    """The value with nothing in it that JSON does not have."""
    value = plain(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else number_text(value)
    if isinstance(value, list):
        return [_strict(one) for one in value]
    if isinstance(value, dict):
        return {key_text(key): _strict(one) for key, one in value.items()}
    return _scalar_text(value)


def key_text(key: "Any") -> str:
    """The name of a column, or of a member of an object."""
    return key if type(key) is str else str(key) if isinstance(key, (str, tuple)) else field(key) or "null"


# ---- CSV ------------------------------------------------------------------------------------------------------------


def field(value: "Any") -> "str | None":
    """The value as the text of a field, without quotes around it; None where there is no value."""
    kind = type(value)
    if kind is str or value is None:
        return value  # type: ignore[no-any-return]
    value = plain(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, (list, dict)):
        return json_text(value)
    return _scalar_text(value)


def quoted(text: "str | None") -> str:
    """The text in quotes if a reader needs them; nothing for None."""
    if text is None:
        return ""
    return '"%s"' % text.replace('"', '""') if _needs_quotes(text) else text


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if value != value:
        return NAN
    if value - value != 0:
        return INFINITY if value > 0 else "-" + INFINITY
    return float.__repr__(value)


def _scalar_text(value: "Any") -> str:
    """What is neither text nor number in JSON, as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, timedelta):
        return _span_text(value)
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else number_text(float("nan") if value.is_nan() else float(value))
    return str(value.isoformat())


def _span_text(value: timedelta) -> str:
    """``P1DT3723.5S``, as ISO 8601 has it."""
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    fraction = (".%06d" % value.microseconds).rstrip("0").rstrip(".")
    return "%sP%dDT%d%sS" % (sign, value.days, value.seconds, fraction)
