"""What the annotation of a noun's field wants: an inner noun, text, or anything at all."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from batchpoint.entities.noun import Noun


def _choices(annotation: object) -> list[object]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _choices(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [choice for one in get_args(annotation) for choice in _choices(one)]
    return [annotation]


def nested_noun(annotation: object) -> type[Noun] | None:
    """The noun that a block in this field becomes."""
    return next((one for one in _choices(annotation) if isinstance(one, type) and issubclass(one, Noun)), None)


def takes_text(annotation: object) -> bool:
    """True for a field that may hold plain text."""
    return str in _choices(annotation)


def is_untyped(annotation: object) -> bool:
    """True for a field whose values have no type of their own: numbers in it stay numbers."""
    return any(one is Any or Any in get_args(one) for one in _choices(annotation))
