"""Amounts of bytes as people write them: ``10mb``, ``512kb``, ``1048576``."""

import re
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_WRITTEN = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]*)", re.IGNORECASE)


def size_from_text(value: object) -> object:
    """Bytes of ``10mb``; numbers stay as they are. Raises PydanticCustomError for text that is no size."""
    if not isinstance(value, str):
        return value
    match = _WRITTEN.fullmatch(value.strip())
    unit = _UNITS.get(match["unit"].lower()) if match else None
    if match is None or unit is None:
        message = f"{value!r} is no size; write a number with kb, mb or gb behind it, as 10mb"
        raise PydanticCustomError("noun", "{message}", {"message": message})
    return int(float(match["number"]) * unit)


def size_in_words(count: float) -> str:
    """``1.5 GB``, ``10 MB``, ``700 bytes``."""
    for unit in ("gb", "mb", "kb"):
        if count >= _UNITS[unit]:
            return f"{count / _UNITS[unit]:,.1f}".removesuffix(".0") + f" {unit.upper()}"
    return f"{count:,.0f} bytes"


#: A number of bytes; 1 kb are 1,024 of them.
Size = Annotated[int, BeforeValidator(size_from_text)]
