"""JSON values → the JSON Schema that describes all of them, as OpenAPI 3.0 writes one. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

#: A string that stands for any value at all, and the key that stands for whatever key a user chooses.
ANYTHING = "\0anything"
ANY_KEY = "\0key"

Schema = dict[str, Any]

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string"}


def schema_of(value: Any) -> Schema:
    """The schema of one value: objects with the keys that it has, lists of what its elements are."""
    if value is None or value == ANYTHING:
        return {}
    if isinstance(value, Mapping):
        known = {key: schema_of(inner) for key, inner in value.items() if key != ANY_KEY}
        free = {"additionalProperties": schema_of(value[ANY_KEY]) or True} if ANY_KEY in value else {}
        return {"type": "object", **({"properties": known} if known else {}), **free}
    if isinstance(value, (list, tuple)):
        return {"type": "array", "items": merged(schema_of(inner) for inner in value)}
    return {"type": _SIMPLE[type(value)]}


def merged(schemas: Iterable[Schema]) -> Schema:
    """One schema for values of all of them."""
    found: Schema | None = None
    for schema in schemas:
        found = schema if found is None else _both(found, schema)
    return found or {}


def with_words(schema: Schema, values: Iterable[Any]) -> Schema:
    """``schema`` with an ``enum`` at each text that is not the same in all ``values``, which differ in one choice."""
    shown = list(values)
    if schema.get("type") == "string" and all(isinstance(value, str) for value in shown):
        words = set(shown)
        are_words = len(words) > 1 and all(word.isidentifier() for word in words)
        return {**schema, "enum": sorted({*words, *schema.get("enum", ())})} if are_words else schema
    objects = [value for value in shown if isinstance(value, Mapping)]
    if schema.get("type") != "object" or not objects:
        return schema
    properties = {
        key: with_words(inner, [value[key] for value in objects if key in value])
        for key, inner in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


def _both(one: Schema, other: Schema) -> Schema:
    if one == other or not other:
        return one if other else other
    if one.get("type") != other.get("type"):
        return {}
    if one.get("type") == "array":
        return {"type": "array", "items": _both(one["items"], other["items"])}
    if one.get("type") != "object":
        return {**one, **other}
    properties = dict(one.get("properties", {}))
    for key, schema in other.get("properties", {}).items():
        properties[key] = _both(properties[key], schema) if key in properties else schema
    free = [schema["additionalProperties"] for schema in (one, other) if "additionalProperties" in schema]
    merged_free = {"additionalProperties": free[0] if all(one == free[0] for one in free) else True} if free else {}
    return {"type": "object", **({"properties": properties} if properties else {}), **merged_free}
