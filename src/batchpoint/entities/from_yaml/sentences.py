"""What pydantic finds wrong, in our sentences; nobody outside sees its words.

The loader uses it for files, ``arm`` for request bodies.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from batchpoint.entities.from_yaml.changes import KeyPath

_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?")


def shown(value: object) -> str:
    """``value`` as it may stand in a sentence."""
    if isinstance(value, dict):
        return "a block"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value)
    if _NUMBER.fullmatch(text):
        return text
    return f'"{text if len(text) <= 80 else text[:77] + "..."}"'


@dataclass(frozen=True)
class Finding:
    """One thing that pydantic found wrong."""

    path: KeyPath
    sentence: str
    is_missing: bool = False
    #: True for a check that looks at several keys.
    is_across: bool = False


def findings(error: ValidationError, written: Mapping[str, object] | None = None) -> list[Finding]:
    """Everything that pydantic found; sentences quote ``written`` where a validator has changed the value."""
    found = []
    for details in error.errors(include_url=False):
        path: KeyPath = details["loc"]
        if written is not None and len(path) == 1 and isinstance(written.get(str(path[0])), str):
            details["input"] = written[str(path[0])]
        missing = details["type"] == "missing"
        key = details.get("ctx", {}).get("key")
        if isinstance(key, str):
            found.append(Finding((*path, key), sentence(details), is_across=True))
        else:
            found.append(Finding(path, sentence(details), is_missing=missing))
    return found


def sentence(details: ErrorDetails) -> str:
    """One of pydantic's findings in our words."""
    value = details["input"]
    context = details.get("ctx", {})
    if value is None and details["type"].endswith(("_type", "_parsing")):
        return "it has no value; write one or remove the key"
    say = _SENTENCES.get(details["type"])
    return say(value, context) if say else f"{shown(value)} cannot be read here"


def not_allowed(value: object, allowed: list[str]) -> str:
    """The sentence for a word outside a closed set."""
    near = difflib.get_close_matches(str(value).lower(), allowed, n=1, cutoff=0.6)
    meant = f'; did you mean "{near[0]}"?' if near else "."
    return f"{shown(value)} is not allowed{meant} Allowed: {', '.join(allowed)}"


_Say = Callable[[object, Mapping[str, object]], str]


def _literal(value: object, context: Mapping[str, object]) -> str:
    return not_allowed(value, re.findall(r"'([^']*)'", str(context.get("expected", ""))))


def _wants(what: str) -> _Say:
    return lambda value, _: f"{shown(value)} is not {what}"


def _no_text(value: object, _: Mapping[str, object]) -> str:
    dots = ', and a key with dots as ["a.b"]' if isinstance(value, dict) else ""
    return f"{shown(value)} is not text; write a single value{dots}"


def _bound(words: str, name: str) -> _Say:
    return lambda value, context: f"{shown(value)} is out of range; it has to be {words} {context[name]}"


_SENTENCES: dict[str, _Say] = {
    "missing": lambda value, context: "this key is required",
    "extra_forbidden": lambda value, context: "unknown key",
    "noun": lambda value, context: str(context["message"]),
    "literal_error": _literal,
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("more than", "gt"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("less than", "lt"),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _wants("a whole number")),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), _wants("a number")),
    **dict.fromkeys(("bool_parsing", "bool_type"), _wants("true or false")),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), _no_text),
    **dict.fromkeys(("tuple_type", "list_type"), _wants("a list")),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _wants("a block of keys with values")),
    **dict.fromkeys(("datetime_parsing", "datetime_type", "datetime_from_date_parsing"), _wants("a date with time")),
}
