"""What a YAML file may say, read off a noun: its keys with type, limits, default, meaning and other spellings.

The pages of the reference and the JSON Schemas are two views of it. Only what no table of the loader expresses, the
older shapes and what a rule makes of a value, is written down here.
"""

import re
import typing
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from batchpoint.entities.assets import Environment, EnvironmentBuild, Model
from batchpoint.entities.data import DataAsset, Input, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.from_yaml.fields import nested_noun, takes_text
from batchpoint.entities.from_yaml.shapes import DATED_SHAPES, SHAPES
from batchpoint.entities.naming.names import NameRule
from batchpoint.entities.noun import Noun
from batchpoint.entities.tables.split import Split
from generating.markdown import field_comments

Schema = dict[str, Any]

TEXT: Schema = {"type": ["string", "number", "boolean"]}
OR_NOTHING: Schema = {"type": ["string", "number", "boolean", "null"]}
SAID: Schema = {**TEXT, "pattern": r"\S"}
#: Scalars are read as they were written, so a number may stand in quotes.
WHOLE = r"^\s*[+-]?\d[\d_]*(\.0*)?\s*$"
NUMBER = r"^\s*[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
#: A number of bytes, or how people write one.
SIZE: Schema = {
    "type": ["integer", "string"],
    "minimum": 1,
    "pattern": r"^\s*\d+(\.\d+)?\s*([KkMmGg]?[Bb])?\s*$",
}
YES_OR_NO = ("true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0")

CONDA: Schema = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "channels": {"type": "array"},
        "dependencies": {"type": "array"},
        "prefix": TEXT,
        "variables": {"type": "object"},
        "platforms": {"type": "array"},
        "category": TEXT,
    },
    "required": ["dependencies"],
    "additionalProperties": False,
}


@dataclass
class Key:
    """One key in its place."""

    name: str
    meaning: str
    #: Words for the value's type.
    kind: str
    #: Words for what the value may be.
    allowed: str = ""
    is_required: bool = False
    default: object = None
    #: Of a value that is no block of keys; None where only a block may stand.
    schema: Schema | None = None
    #: The noun that a block here is.
    noun: type[Noun] | None = None
    #: Keys of a block that is no noun of its own: ``settings``, or the older block form of a text.
    below: "dict[str, Key]" = field(default_factory=dict)
    #: For another spelling: the path that it stands for, from the root of the noun; ``""`` for a key that is dropped.
    stands_for: str | None = None
    #: True for what nobody writes today.
    is_dated: bool = False
    #: True for an older form that moves values; it needs one.
    is_shape: bool = False


#: Blocks that exist only as a place for other spellings.
BLOCKS: dict[tuple[type[Noun], str], str] = {
    (Deployment, "settings"): "Today's place of the settings.",
    (Environment, "docker"): "The block of the first previews.",
    (Invocation, "settings"): "The settings as a deployment spells them.",
    (Invocation, "retry_settings"): "The block as a deployment spells it.",
    (Invocation, "resources"): "The block as a deployment spells it.",
    (Invocation, "compute"): "The block of the first previews.",
}
_LITERAL_INPUT: Schema = {
    "type": "object",
    "properties": {
        "path": SAID,
        "type": OR_NOTHING,
        "include": {"type": ["array", "null"]},
        "exclude": {"type": ["array", "null"]},
    },
    "required": ["path"],
}
#: Meaning, words for the type, and schema of each shape that moves values.
SHAPED: dict[tuple[type[Noun], str], tuple[str, str, Schema]] = {
    (DataAsset, "paths"): (
        "Exactly one entry, `folder:` or `file:`, with the path.",
        "list",
        {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "properties": {"folder": SAID, "file": SAID},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        },
    ),
    (Endpoint, "traffic"): (
        "The one deployment that gets everything: `{name: 100}`.",
        "map",
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"enum": [100, "100"]},
        },
    ),
    (Invocation, "inputs"): (
        (
            "One input under any name: a block with `path` and, where wanted, `type`, `include` and `exclude`, or a"
            " reference in its place."
        ),
        "map",
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"anyOf": [{"type": "string", "pattern": r"\S"}, _LITERAL_INPUT]},
        },
    ),
    (Invocation, "outputs"): (
        (
            "One output under any name: a block with `path`, or the path in its place. With `type: uri_file` the last"
            " part of the path is the file name."
        ),
        "map",
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "pattern": r"\S"},
                    {"type": "object", "properties": {"path": SAID}, "required": ["path"]},
                ]
            },
        },
    ),
    (Invocation, "output_dataset"): (
        "A block with `datastore_id` and `path`.",
        "map",
        {
            "type": "object",
            "properties": {
                "datastore_id": {**OR_NOTHING, "description": "`azureml:<datastore>`, or its ARM id."},
                "path": {**OR_NOTHING, "description": "Folder in the datastore."},
            },
            "additionalProperties": False,
            "minProperties": 1,
        },
    ),
}
#: Where a shape's value goes, if not to the noun's key that it is filed under.
SHAPE_TARGETS: dict[tuple[type[Noun], str], str] = {(Endpoint, "traffic"): "defaults.deployment_name"}
#: What the rules of the loader make of a value, beyond its type: words and schema.
RULED: dict[tuple[type[Noun], str], tuple[str, Schema]] = {
    (Deployment, "model"): (
        "",
        {
            "type": "string",
            "pattern": r"^\s*([Aa][Zz][Uu][Rr][Ee][Mm][Ll]:|[Mm][Oo][Dd][Ee][Ll][Ss]:/|[Rr][Uu][Nn][Ss]:/|/)",
        },
    ),
    (Deployment, "environment"): (
        "",
        {"type": "string", "pattern": r"^\s*([Aa][Zz][Uu][Rr][Ee][Mm][Ll]:|[.~]|file:)|/"},
    ),
    (Deployment, "compute"): (
        "",
        {**TEXT, "pattern": r"^\s*(?!([Aa][Zz][Uu][Rr][Ee][Mm][Ll]:)?[Ll][Oo][Cc][Aa][Ll]\s*$)\S+\s*$"},
    ),
    (CodeConfiguration, "code"): ("", SAID),
    (CodeConfiguration, "scoring_script"): ("", SAID),
    (Model, "path"): ("", SAID),
    (DataAsset, "path"): ("", SAID),
    (Input, "path"): ("", SAID),
    (EnvironmentBuild, "path"): ("", SAID),
    (Split, "bytes"): ("number, or a size such as 10mb", SIZE),
    (Deployment, "output_shard_size"): ("number, or a size such as 100mb", SIZE),
    (Environment, "conda_file"): ("text or map", {"anyOf": [{"type": "string", "pattern": r"\S"}, CONDA]}),
}


def keys_of(noun: type[Noun]) -> dict[str, Key]:
    """Every key that the loader takes in a block of ``noun``, other spellings included, dropped ones left out."""
    comments = field_comments(noun)
    keys = {
        name: _of_field(noun, name, info, comments.get(name, ""))
        for name, info in noun.model_fields.items()
        if name not in noun.output_only and name not in noun.refusals
    }
    canonical = {name: replace(key) for name, key in keys.items()}
    for written, target in noun.spellings.items():
        _place(noun, keys, written, _spelled(noun, canonical, written, target))
    for (owner, name), shape in SHAPES.items():
        if owner is noun:
            meaning, kind, schema = SHAPED[noun, name]
            is_dated = (owner, name) in DATED_SHAPES
            target = SHAPE_TARGETS.get((owner, name), shape[0])
            keys[name] = Key(name, meaning, kind, schema=schema, stands_for=target, is_dated=is_dated, is_shape=True)
    return keys


def dropped_by(noun: type[Noun]) -> list[str]:
    """Keys that may stand there and change nothing."""
    return ["$schema", *sorted(noun.output_only)]


def inner_keys(key: Key) -> dict[str, Key]:
    """The keys of a block in this place."""
    own = keys_of(key.noun) if key.noun else {}
    return own | key.below


def _of_field(noun: type[Noun], name: str, info: FieldInfo, meaning: str) -> Key:
    inner = nested_noun(info.annotation)
    kind, allowed, schema = _value(noun, name, info)
    if inner:
        kind = "text or block" if takes_text(info.annotation) else "block"
        schema = schema if takes_text(info.annotation) else None
    words, ruled = RULED.get((noun, name), ("", None))
    default = None if info.default_factory or info.default is PydanticUndefined else info.default
    return Key(
        name,
        meaning,
        words or kind,
        allowed,
        info.is_required(),
        None if isinstance(default, Noun) or default in (None, (), "") else default,
        ruled or schema,
        inner,
    )


def _spelled(noun: type[Noun], canonical: dict[str, Key], written: str, target: str) -> Key:
    name, is_dated = written.rpartition(".")[2], written in noun.dated
    if not target:
        return Key(name, "Read and dropped.", "anything", schema={}, stands_for="", is_dated=True)
    first, *rest = target.split(".")
    found = canonical[first]
    for step in rest:
        found = inner_keys(found)[step]
    return replace(found, name=name, is_required=False, below={}, stands_for=target, is_dated=is_dated)


def _place(noun: type[Noun], keys: dict[str, Key], written: str, key: Key) -> None:
    *blocks, name = written.split(".")
    for block in blocks:
        if block not in keys:
            keys[block] = Key(block, BLOCKS.get((noun, block), ""), "block", stands_for=None)
        elif not keys[block].below:
            keys[block] = replace(keys[block], below={})
        keys = keys[block].below
    keys.setdefault(name, key)


# ---- values ---------------------------------------------------------------------------------------------------------


def _value(noun: type[Noun], name: str, info: FieldInfo) -> tuple[str, str, Schema]:
    """Words for the type, words for what is allowed, and the schema of a value."""
    words = _literals(info.annotation)
    if words:
        refused = {key.partition("=")[2] for key in noun.refusals if key.startswith(f"{name}=")}
        taken = [word for word in words if word not in refused]
        return "word", ", ".join(f"`{word}`" for word in taken), _choice(info, taken)
    rule = noun.name_rules.get(name)
    if rule:
        allowed = f"{rule.shortest} to {rule.longest} characters: {rule.words}"
        return "text", allowed, _named(rule)
    plain = [one for one in _parts(info.annotation) if one is not type(None)]
    kind, schema = _plain(plain[0])
    limits = _limits(info)
    return kind, _limits_in_words(limits), {**schema, **limits}


def _parts(annotation: object) -> list[object]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _parts(typing.get_args(annotation)[0])
    if origin in (typing.Union, UnionType):
        return [part for one in typing.get_args(annotation) for part in _parts(one)]
    return [annotation]


def _literals(annotation: object) -> list[str]:
    return [
        str(word)
        for part in _parts(annotation)
        if typing.get_origin(part) is typing.Literal
        for word in typing.get_args(part)
    ]


def _choice(info: FieldInfo, words: list[str]) -> Schema:
    """The words themselves for completion, and a pattern for every casing and older word that is taken for one."""
    check = TypeAdapter(info.rebuild_annotation())
    patterns = []
    for word in words:
        camel = re.sub("_([a-z])", lambda found: found[1].upper(), word)
        older = word.rpartition("_")[0]
        if _is_taken(check, word.upper()):
            patterns.append(_any_case(word))
        if camel != word and _is_taken(check, camel):
            patterns.append("_?".join(_any_case(part) for part in word.split("_")))
        if older and older not in words and _is_taken(check, older) and check.validate_python(older) == word:
            patterns.append(_any_case(older))
    if not patterns:
        return {"enum": words}
    return {"anyOf": [{"enum": words}, {"type": "string", "pattern": f"^({'|'.join(patterns)})$"}]}


def _is_taken(check: "TypeAdapter[Any]", word: str) -> bool:
    try:
        check.validate_python(word)
    except ValidationError:
        return False
    return True


def _any_case(word: str) -> str:
    return "".join(f"[{c.upper()}{c}]" if c.isalpha() else re.escape(c) for c in word)


def _named(rule: NameRule) -> Schema:
    # What is no text in YAML is read as it is written.
    also = [kind for kind, written in (("number", "1"), ("boolean", "true")) if not rule.problems(written)]
    return {
        "type": ["string", *also],
        "minLength": rule.shortest,
        "maxLength": rule.longest,
        "pattern": f"^({rule.pattern.pattern})$",
    }


def _plain(annotation: object) -> tuple[str, Schema]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return "list", {"type": "array", "items": TEXT}
    if annotation is dict or (origin is dict and inner[1] is Any):
        return "map", {"type": "object"}
    if origin is dict:
        is_said = typing.get_origin(inner[1]) is typing.Annotated
        return "map", {"type": "object", "additionalProperties": {**TEXT, "minLength": 1} if is_said else TEXT}
    if annotation is int:
        return "whole number", {"type": ["integer", "string"], "pattern": WHOLE}
    if annotation is float:
        return "number", {"type": ["number", "string"], "pattern": NUMBER}
    if annotation is bool:
        pattern = f"^({'|'.join(_any_case(word) for word in YES_OR_NO)})$"
        return "true or false", {
            "type": ["boolean", "string", "integer"],
            "pattern": pattern,
            "minimum": 0,
            "maximum": 1,
        }
    return "text", dict(TEXT)


def _limits(info: FieldInfo) -> Schema:
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    found = [info.metadata, *(typing.get_args(info.annotation) or ())]
    return {
        ours: getattr(limit, theirs)
        for one in found
        for limit in (one if isinstance(one, list) else [one])
        for theirs, ours in names.items()
        if getattr(limit, theirs, None) is not None
    }


def _limits_in_words(limits: Schema) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    return ", ".join(f"{words[name]} {limit}" for name, limit in limits.items())
