"""Nouns with a value in every field, so that their spelling on the wire shows every key. ``bodies`` asks for them.

Fields are read off the classes; what ``arm`` makes of them is not known here.
"""

import types
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import SecretStr

from batchpoint.entities.noun import Noun
from batchpoint.server.description.shapes import ANY_KEY, ANYTHING

N = TypeVar("N", bound=Noun)

_SIMPLE: dict[Any, Any] = {
    bool: True,
    int: 1,
    float: 1.5,
    str: "text",
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    SecretStr: SecretStr("text"),
    Any: ANYTHING,
    object: ANYTHING,
}


def filled(noun: type[N]) -> N:
    """One with all its fields."""
    # Not validated: many fields exclude each other, and each is to be seen.
    whole = noun.model_construct(**{name: _value(noun, name) for name in noun.model_fields if name != "id"})
    return cast("N", whole)


def choices(noun: type[N]) -> Iterator[tuple[str, list[N]]]:
    """For each field that has few values to choose from, one noun for each of them."""
    whole = filled(noun)
    for name, field in noun.model_fields.items():
        words = _words(field.annotation)
        if len(words) > 1:
            yield name, [whole.model_copy(update={name: word}) for word in words]


def _value(noun: type[Noun], name: str) -> Any:
    return _of_type(noun.model_fields[name].annotation)


def _of_type(kind: Any) -> Any:
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        # A reference rather than a noun in its place: so nouns stand on the wire.
        return _of_type(next((one for one in (str, *inner) if one in inner and one is not type(None)), str))
    if words := _words(kind):
        return words[0]
    if origin is dict:
        return {ANY_KEY: _of_type(inner[1])}
    if origin in (tuple, list):
        return origin((_of_type(inner[0]),))
    if isinstance(kind, type) and issubclass(kind, Noun):
        whole: Noun = filled(kind)
        return whole
    # Annotated types and aliases.
    return _of_type(inner[0]) if inner else ANYTHING


def _words(kind: Any) -> list[Any]:
    """The values of a Literal or an Enum, perhaps an optional or annotated one; none for anything else."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)
    if get_origin(kind) in (Union, types.UnionType):
        others = [one for one in get_args(kind) if one is not type(None)]
        return _words(others[0]) if len(others) == 1 else []
    if hasattr(kind, "__metadata__"):
        return _words(get_args(kind)[0])
    return []
