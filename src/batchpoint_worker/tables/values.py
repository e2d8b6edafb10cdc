"""Single values made what a signature wants, or found not to fit: exact, and slow.

The readers convert whole columns at once; where that fails, this module says which value is at fault and why.
"""

import base64
import datetime
import json
import re

MYPY = False
if MYPY:
    from collections.abc import Callable, Iterable
    from typing import Any

#: What stands in a file of text for a missing value: the words that pandas takes for one.
NULLS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
_NULLS = frozenset(NULLS)
#: How truth values are written in files of text.
TRUE = ("true", "True", "TRUE", "1")
FALSE = ("false", "False", "FALSE", "0")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:?\d\d)?\Z")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_WORDS = re.compile(r"[+-]?(inf|infinity|nan)\Z", re.IGNORECASE)
#: Beyond this a number is infinite among floats of 32 bits.
FLOAT32_MAX = 3.4028235677973366e38

#: How messages name what a signature wants.
WANTED = {
    "boolean": "true or false",
    "integer": "a whole number of 32 bits (integer)",
    "long": "a whole number (long)",
    "float": "a number (float)",
    "double": "a number (double)",
    "string": "text (string)",
    "binary": "bytes (binary; base64 in files of text)",
    "datetime": "a date and time in ISO form, such as 2024-05-17T08:00:00 (datetime)",
    "array": "a list (array)",
    "object": "an object",
    "map": "an object (map)",
}
#: Types of which pandas has no missing value.
WITHOUT_NULLS = frozenset(("boolean", "integer", "long"))


class Unfit(Exception):
    """A value is not what the signature wants; carries its place among the values, and what to do about it."""

    def __init__(self, index: int, message: str) -> None:
        self.index = index
        super().__init__(message)


def converted(values: "Iterable[Any]", kind: str, is_text: bool) -> "list[Any]":
    """The values as the type wants them, None for missing ones; ``is_text``: they were cut out of a file of text.

    Raises Unfit for the first that does not fit.
    """
    convert = _CONVERTERS.get(kind, _anything)
    has_nulls = kind not in WITHOUT_NULLS
    found = []  # type: list[Any]
    for index, value in enumerate(values):
        if value is None or (is_text and value in _NULLS) or value != value:
            if not has_nulls:
                raise Unfit(index, _NO_VALUE % WANTED[kind])
            found.append(None)
            continue
        try:
            found.append(convert(value))
        except (ValueError, TypeError, OverflowError):
            told = _shown(value), WANTED.get(kind, kind)
            raise Unfit(index, "%s is not %s; correct the value" % told) from None
    return found


_NO_VALUE = (
    "there is no value, and a column of this type cannot be without one: the signature wants %s; fill in the value, or "
    "log the model with a signature of type double"
)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _whole(value: "Any") -> int:
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.match(text):
            raise ValueError
        try:
            return int(text)
        except ValueError:
            return _integral(text)
    if isinstance(value, bool):
        raise TypeError
    number = int(value)
    if number != value:
        raise ValueError
    return number


def _integral(text: str) -> int:
    """Of ``1.0`` or ``1e3``."""
    # Imported here: only numbers written in this way need it.
    from decimal import Decimal

    number = Decimal(text)
    if abs(number.adjusted()) > 20 or number != int(number):
        raise ValueError
    return int(number)


def _long(value: "Any") -> int:
    number = _whole(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError
    return number


def _integer(value: "Any") -> int:
    number = _whole(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise OverflowError
    return number


def _double(value: "Any") -> float:
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.match(text) and not _WORDS.match(text):
            raise ValueError
        return float(text)
    if isinstance(value, (bool, bytes)):
        raise TypeError
    return float(value)


def _float(value: "Any") -> float:
    number = _double(value)
    if FLOAT32_MAX < abs(number) < float("inf"):
        raise OverflowError
    return number


def _boolean(value: "Any") -> bool:
    if isinstance(value, str):
        if value.strip() in TRUE:
            return True
        if value.strip() in FALSE:
            return False
        raise ValueError
    if value in (0, 1):
        return bool(value)
    raise TypeError


def _string(value: "Any") -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    raise TypeError


def _binary(value: "Any") -> bytes:
    if isinstance(value, str):
        return base64.b64decode(value, validate=True)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError


def _datetime(value: "Any") -> "datetime.datetime":
    # pandas is there wherever a model is.
    import pandas

    if isinstance(value, str):
        if not _DATE.match(value.strip()):
            raise ValueError
        value = value.strip()
    elif not isinstance(value, datetime.date):
        raise TypeError
    moment = pandas.Timestamp(value)
    return moment.tz_convert(None) if moment.tzinfo is not None else moment  # type: ignore[no-any-return]


def _nested(shape: type) -> "Callable[[Any], Any]":
    def convert(value: "Any") -> "Any":
        found = json.loads(value) if isinstance(value, str) else value
        found = found.tolist() if hasattr(found, "tolist") else found
        if not isinstance(found, shape):
            raise TypeError
        return found

    return convert


def _anything(value: "Any") -> "Any":
    return value


_CONVERTERS = {
    "boolean": _boolean,
    "integer": _integer,
    "long": _long,
    "float": _float,
    "double": _double,
    "string": _string,
    "binary": _binary,
    "datetime": _datetime,
    "array": _nested(list),
    "object": _nested(dict),
    "map": _nested(dict),
}  # type: dict[str, Callable[[Any], Any]]
