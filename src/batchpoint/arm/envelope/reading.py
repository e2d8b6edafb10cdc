"""Reads what clients send, leniently: any casing of keys, trailing commas, numbers as text, ISO-8601 durations.

``server`` parses request bodies with it, ``arm`` modules pick values out of them. It knows no noun.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from batchpoint.entities.noun import CreationContext, Noun
from batchpoint.errors import Problem, UserError, ValidationFailed

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

N = TypeVar("N", bound=Noun)

# A string that does not end is taken as a whole: looked for again from each of its quotes, it would take for ever.
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)
#: Objects in objects: nothing that is sent here is deeper, and what reads it need not be careful.
_DEPTH_MAX = 64
_DURATION = re.compile(
    r"P(?:(?P<W>\d+(?:[.,]\d+)?)W)?(?:(?P<D>\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(?P<H>\d+(?:[.,]\d+)?)H)?(?:(?P<M>\d+(?:[.,]\d+)?)M)?(?:(?P<S>\d+(?:[.,]\d+)?)S)?)?",
    re.IGNORECASE,
)
#: Words that have an underscore here, by what they are without any casing on the wire.
_WORDS = {
    word.replace("_", ""): word
    for word in (
        *("uri_file", "uri_folder", "append_row", "summary_only", "low_priority"),
        *("custom_model", "mlflow_model", "triton_model", "account_key", "service_principal", "access_key"),
        *("azure_blob", "azure_data_lake_gen2", "local_folder"),
    )
}
_UNIT_S = {"W": 604_800, "D": 86_400, "H": 3_600, "M": 60, "S": 1}


def parse_body(raw: bytes) -> "Body":
    """The JSON object in ``raw``; an empty body is an empty object. Raises UserError when it is none."""
    try:
        text = raw.decode("utf-8-sig").strip()
        value = _loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise UserError(f"The request body is not valid JSON: {error}.", target="body") from error
    if not isinstance(value, dict):
        raise UserError(f"The request body must be a JSON object, not {_kind(value)}.", target="body")
    return Body(value)


def _loads(text: str) -> Any:
    try:
        value = _strict(text)
    except json.JSONDecodeError:
        value = _strict(_TRAILING_COMMA.sub(lambda found: found[1] or "", text))
    _refuse_deep(value)
    return value


def _strict(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_number, parse_float=_finite, object_pairs_hook=_unambiguous)


def _refuse_number(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits[:40]} is too large for a number")
    return value


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} stands there more than once")
    return found


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(_DEPTH_MAX):
        inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [part for parts in inside for part in parts if isinstance(part, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEPTH_MAX} deep")


class Body:
    """A JSON object whose keys are found whatever their casing. Absent and null are the same: None."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._keys = {key.lower(): key for key in reversed(list(values))}
        #: Dotted path of this object in the request, for messages.
        self.path = path

    def canonical(self) -> str:
        """The same text for every spelling of the same object: order of keys, white space."""
        return json.dumps(self._values, sort_keys=True)

    def at(self, key: str) -> str:
        """The dotted path of ``key`` in the request."""
        return f"{self.path}.{key}" if self.path else key

    def raw(self, key: str) -> Any:
        found = self._keys.get(key.lower())
        return None if found is None else self._values[found]

    def names(self) -> list[str]:
        """The names as they were written."""
        return list(self._values)

    def has(self, key: str) -> bool:
        return self.raw(key) is not None

    def child(self, key: str) -> "Body":
        """The object under ``key``; an empty one when it is absent."""
        value = self.raw(key)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(key, value, "an object")
        return Body(value or {}, self.at(key))

    def children(self, key: str) -> "dict[str, Body]":
        """The objects under ``key`` by their own names, whose spelling is kept."""
        entries = self.child(key)
        return {name: entries.child(name) for name in entries._values if entries.has(name)}

    def overlaid(self, above: "Body") -> "Body":
        """This object with the values of ``above`` over its own; objects are merged key by key, as PATCH means it."""
        merged = dict(self._values)
        for key in above.names():
            mine = self._keys.get(key.lower(), key)
            value, under = above.raw(key), self.raw(key)
            is_merged = isinstance(value, dict) and isinstance(under, dict)
            merged[mine] = Body(under).overlaid(Body(value))._values if is_merged else value
        return Body(merged, self.path)

    def text(self, key: str) -> str | None:
        value = self.raw(key)
        if isinstance(value, dict | list):
            raise self._wrong(key, value, "text")
        if isinstance(value, bool):
            return "true" if value else "false"
        return None if value is None else str(value)

    def integer(self, key: str) -> int | None:
        value = self.raw(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            number = float(value) if isinstance(value, str) and not _is_integer(value) else value
            if isinstance(number, bool) or (isinstance(number, float) and not number.is_integer()):
                raise ValueError
            return int(number)
        except (TypeError, ValueError, OverflowError):
            raise self._wrong(key, value, "an integer") from None

    def boolean(self, key: str) -> bool | None:
        value = self.raw(key)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        raise self._wrong(key, value, "true or false")

    def texts(self, key: str) -> dict[str, str]:
        """A map of names to texts, such as tags; names keep their spelling, null values are left out."""
        entries = self.child(key)
        return {name: text for name in entries._values if (text := entries.text(name)) is not None}

    def mapping(self, key: str) -> dict[str, Any]:
        """A map that is passed on as it is."""
        return dict(self.child(key)._values)

    def items(self, key: str) -> list[Any]:
        value = self.raw(key)
        if value is not None and not isinstance(value, list):
            raise self._wrong(key, value, "a list")
        return value or []

    def duration(self, key: str) -> float | None:
        """Seconds; an ISO-8601 duration or a plain number."""
        value = self.raw(key)
        if value is None:
            return None
        seconds = value if isinstance(value, int | float) else duration_from_iso(str(value))
        if seconds is None or isinstance(value, bool):
            raise self._wrong(key, value, "an ISO-8601 duration such as PT30S")
        return float(seconds)

    def _wrong(self, key: str, value: object, wanted: str) -> ValidationFailed:
        message = f"must be {wanted}, not {json.dumps(value)[:80] if not isinstance(value, float) else value}."
        return ValidationFailed("request", (Problem(self.at(key), message),))


def _is_integer(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()


def _kind(value: object) -> str:
    return {list: "a list", str: "text", type(None): "null", bool: "true or false"}.get(type(value), "a number")


def duration_from_iso(text: str) -> float | None:
    """Seconds of an ISO-8601 duration (weeks to seconds, fractions too) or of a plain number; None if it is neither."""
    stripped = text.strip()
    found = _DURATION.fullmatch(stripped)
    if found and any(found.groupdict().values()):
        return sum(float((found[unit] or "0").replace(",", ".")) * size for unit, size in _UNIT_S.items())
    try:
        seconds = float(stripped)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def duration_to_iso(seconds: float) -> str:
    """``PT30S``, ``PT1M``, ``PT1H30M``: the normal form."""
    whole, text = int(seconds), "PT"
    for unit, size in (("H", 3600), ("M", 60)):
        amount, whole = divmod(whole, size)
        text += f"{amount}{unit}" if amount else ""
    rest = whole + (seconds - int(seconds))
    return f"{text}{rest:g}S" if rest or text == "PT" else text


def enum_from_wire(text: str | None) -> str | None:
    """``AppendRow``, ``appendRow``, ``APPENDROW``, ``append_row`` → ``append_row``."""
    if text is None:
        return None
    joined = _WORDS.get(text.strip().replace("_", "").lower())
    if joined:
        return joined
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text.strip()).lower()


def enum_to_wire(word: str) -> str:
    """``append_row`` → ``AppendRow``."""
    return "".join(part.capitalize() for part in word.split("_"))


def build(noun: type[N], values: Mapping[str, Any]) -> N:
    """A noun from values picked off the wire; those that are None count as not given.

    Raises ValidationFailed that names every property in wire spelling.
    """
    given = {key: value for key, value in values.items() if value is not None}
    try:
        return noun.model_validate(given)
    except ValidationError as error:
        problems = tuple(_problem(e) for e in error.errors())
        raise ValidationFailed(noun.schema_name or noun.__name__, problems) from error


def _problem(detail: "ErrorDetails") -> Problem:
    key = detail.get("ctx", {}).get("key")
    location = detail["loc"] if key is None else (*detail["loc"], key)
    return Problem(wire_path(location), detail["msg"].removeprefix("Value error, ").rstrip(".") + ".")


def wire_path(location: tuple[int | str, ...]) -> str:
    """``("retry_settings", "max_retries")`` → ``properties.retrySettings.maxRetries``."""
    words = [re.sub(r"_([a-z])", lambda found: found[1].upper(), str(part)) for part in location]
    return ".".join(["properties", *words])


def system_data(context: CreationContext | None) -> dict[str, str]:
    """The ``systemData`` of a resource."""
    if context is None:
        return {}
    return {
        "createdAt": context.created_at.isoformat(),
        "createdBy": context.created_by,
        "createdByType": context.created_by_type,
        "lastModifiedAt": context.last_modified_at.isoformat(),
        "lastModifiedBy": context.last_modified_by,
        "lastModifiedByType": context.last_modified_by_type,
    }


def creation_context(body: Body) -> CreationContext | None:
    """The reverse of ``system_data``; None when the resource carries none."""
    data = body.child("systemData")
    if not data.has("createdAt"):
        return None
    created = _moment(data.text("createdAt"))
    return CreationContext(
        created_at=created,
        created_by=data.text("createdBy") or "",
        created_by_type=data.text("createdByType") or "User",
        last_modified_at=_moment(data.text("lastModifiedAt")) if data.has("lastModifiedAt") else created,
        last_modified_by=data.text("lastModifiedBy") or "",
        last_modified_by_type=data.text("lastModifiedByType") or "User",
    )


def _moment(text: str | None) -> datetime:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        raise UserError(f"{text!r} is not an ISO-8601 time.", target="systemData") from None


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Unset values are left out on the wire, never null."""
    return {key: value for key, value in values.items() if value is not None}
