"""JSON Schemas of the YAML files: every dialect that the loader takes, for editors.

They refuse what no file of a kind can say; whether a file or a name exists is left to the loader.
"""

import json
from dataclasses import dataclass

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.compute import _ONLY, Compute
from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.datastore import _FIELDS_OF, _REQUIRED, Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.noun import Noun
from batchpoint.entities.workspace_record import WorkspaceRecord
from generating.keys import Key, Schema, inner_keys, keys_of


@dataclass(frozen=True)
class Kind:
    """One schema file."""

    #: As the field's ``$schema`` lines call it.
    name: str
    noun: type[Noun]
    title: str
    #: The value of ``type`` that files of this kind have.
    type: str = ""


KINDS = (
    Kind("batchEndpoint", Endpoint, "Batch endpoint"),
    Kind("batchDeployment", Deployment, "Batch deployment"),
    Kind("modelBatchDeployment", Deployment, "Batch deployment of a model"),
    Kind("model", Model, "Model"),
    Kind("environment", Environment, "Environment"),
    Kind("data", DataAsset, "Data asset"),
    Kind("dataset", DataAsset, "Data asset, by its name of 2021"),
    Kind("amlCompute", Compute, "Compute: worker processes on this machine", "amlcompute"),
    Kind("rayCompute", Compute, "Compute: actors of a Ray cluster", "ray"),
    Kind("localFolder", Datastore, "Datastore: a folder of the server's machine", "local_folder"),
    Kind("azureBlob", Datastore, "Datastore: a blob container", "azure_blob"),
    Kind("azureDataLakeGen2", Datastore, "Datastore: a file system of Data Lake Storage", "azure_data_lake_gen2"),
    Kind("s3", Datastore, "Datastore: an S3 bucket", "s3"),
    Kind("workspace", WorkspaceRecord, "Workspace"),
    Kind("batchInvocation", Invocation, "Invocation file"),
)

#: By noun and ``type``: keys that only files of another type may have, and keys that files of this one need.
FOREIGN: dict[tuple[type[Noun], str], frozenset[str]] = {
    **{(Datastore, kind): frozenset().union(*_FIELDS_OF.values()) - fields for kind, fields in _FIELDS_OF.items()},
    (Compute, "amlcompute"): frozenset(_ONLY["ray"]),
    (Compute, "ray"): frozenset(_ONLY["amlcompute"]),
}
NEEDED: dict[tuple[type[Noun], str], tuple[str, ...]] = {
    **{(Datastore, kind): tuple(name for name, _ in needed) for kind, needed in _REQUIRED.items()},
    (Compute, "ray"): ("address",),
}

_NOT_NULL: Schema = {"not": {"type": "null"}}


def _has(*path: str) -> Schema:
    """That there is a value at ``path``."""
    first, *rest = path
    return {"required": [first], "properties": {first: _has(*rest) | {"type": "object"} if rest else _NOT_NULL}}


def _both(one: Schema, other: Schema) -> Schema:
    return {"not": {"allOf": [one, other]}}


_SUMMARY: Schema = {"pattern": "^[Ss][Uu][Mm][Mm][Aa][Rr][Yy]_[Oo][Nn][Ll][Yy]$", "type": "string"}
_NO_MLFLOW_MODEL: Schema = {"type": "string", "pattern": "^(?![Mm][Ll][Ff][Ll][Oo][Ww]_[Mm][Oo][Dd][Ee][Ll]$)"}
_NAMED_FILE: Schema = {"type": "string", "minLength": 1}


def _at(path: tuple[str, ...], schema: Schema) -> Schema:
    first, *rest = path
    inner = _at(tuple(rest), schema) | {"type": "object"} if rest else schema
    return {"required": [first], "properties": {first: inner}}


_IMAGE: Schema = {"anyOf": [_has("image"), _has("docker", "image")]}
_BUILD: Schema = {"anyOf": [_has("build"), _has("path")]}
#: What holds between keys.
ACROSS: dict[type[Noun], list[Schema]] = {
    Deployment: [
        _both(_at(("model", "type"), _NO_MLFLOW_MODEL), {"not": _has("code_configuration")}),
        _both(_has("resources"), _at(("settings", "instance_count"), {})),
        *(
            _both(_at((*one, "output_action"), _SUMMARY), _at((*other, "output_file_name"), _NAMED_FILE))
            for one in ((), ("settings",))
            for other in ((), ("settings",))
        ),
    ],
    Environment: [
        {"anyOf": [_has("image"), _has("docker", "image"), _has("build"), _has("path"), _has("python")]},
        _both(_IMAGE, _BUILD),
        _both(_has("python"), {"anyOf": [_IMAGE, _BUILD, _has("conda_file")]}),
    ],
    Endpoint: [{"not": _at(("type",), {"enum": ["online", "Online", "ONLINE"]})}],
}


def schema_texts() -> dict[str, str]:
    """Every schema file by its name."""
    return {f"{kind.name}.schema.json": json.dumps(_document(kind), indent=1) + "\n" for kind in KINDS}


def _document(kind: Kind) -> Schema:
    schema = block(kind.noun, is_root=True)
    if kind.type:
        _narrow(schema, kind)
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": kind.title}
    summary = (kind.noun.__doc__ or "").partition("\n")[0].replace("``", "`")
    return {**head, "description": summary, **schema}


def _narrow(schema: Schema, kind: Kind) -> None:
    """Leave only what a file with this ``type`` may say."""
    properties = schema["properties"]
    choice = properties["type"]
    words = [kind.type] + (["local"] if kind.type == "local_folder" else [])
    cased = "|".join("".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in word) for word in words)
    choice["anyOf"] = [{"enum": [kind.type]}, {"type": "string", "pattern": f"^({cased})$"}]
    if kind.type == kind.noun.model_fields["type"].default:
        choice["anyOf"].append({"type": "null"})
    else:
        choice.pop("default", None)
        schema["required"].append("type")
    for name in FOREIGN[kind.noun, kind.type]:
        del properties[name]
    for name in NEEDED.get((kind.noun, kind.type), ()):
        schema["required"].append(name)
        _refuse_null(properties[name])


def block(noun: type[Noun], *, is_root: bool = False) -> Schema:
    """The schema of a block that is ``noun``."""
    keys = keys_of(noun)
    properties: dict[str, Schema] = {"$schema": {"description": "Ignored; it is for editors."}}
    properties |= {name: _value(key) for name, key in keys.items()}
    properties |= {name: {"description": "Printed by show; read and dropped."} for name in sorted(noun.output_only)}
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False, "required": []}
    across = list(ACROSS.get(noun, ()))
    for name, key in keys.items():
        if not (key.is_required or (is_root and name == "name" and "name" in noun.examples)):
            continue
        others = [path for path, other in _spelled(keys) if other.stands_for == name]
        if others:
            across.append({"anyOf": [_as_value(name, key), *(_has(*path) for path in others)]})
        else:
            schema["required"].append(name)
            _refuse_null(properties[name])
    if not is_root and {"name", "version"} <= set(keys):
        across.append({"anyOf": [{"not": _has("version")}, _has("name")]})
    if across:
        schema["allOf"] = across
    return schema


def _as_value(name: str, key: Key) -> Schema:
    """That a key has a value of its own, not the block form which only holds other spellings."""
    wrong = ["null", "object"] if key.below else ["null"]
    return {"required": [name], "properties": {name: {"not": {"type": wrong}}}}


def _spelled(keys: dict[str, Key], before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Key]]:
    found = []
    for name, key in keys.items():
        if key.stands_for:
            found.append(((*before, name), key))
        found += _spelled(key.below, (*before, name))
    return found


def _value(key: Key) -> Schema:
    choices = [] if key.schema is None else [key.schema]
    if key.noun:
        choices.append(block(key.noun))
    elif key.below or key.schema is None:
        choices.append(_plain_block(key.below))
    if key.noun and key.below:
        choices[-1]["properties"] |= {name: _value(below) for name, below in key.below.items()}
    said: Schema = {"description": _description(key)}
    if key.default is not None and key.stands_for is None:
        said["default"] = key.default
    if key.is_dated:
        said["deprecationMessage"] = (
            f"An older spelling; today it is {key.stands_for}." if key.stands_for else "Dropped."
        )
    return {**(choices[0] if key.is_shape else _nullable(choices)), **said}


def _plain_block(keys: dict[str, Key]) -> Schema:
    return {
        "type": "object",
        "properties": {name: _value(key) for name, key in keys.items()},
        "additionalProperties": False,
    }


def _nullable(choices: list[Schema]) -> Schema:
    """A key without a value counts as not written."""
    only = choices[0]
    if only == {}:
        return {}
    if len(choices) == 1 and "type" in only and "anyOf" not in only:
        types = only["type"] if isinstance(only["type"], list) else [only["type"]]
        return {**only, "type": [*types, "null"]}
    if len(choices) == 1 and "anyOf" in only:
        return {**only, "anyOf": [*only["anyOf"], {"type": "null"}]}
    return {"anyOf": [*choices, {"type": "null"}]}


def _refuse_null(schema: Schema) -> None:
    if isinstance(schema.get("type"), list) and "null" in schema["type"]:
        schema["type"] = [one for one in schema["type"] if one != "null"]
        if len(schema["type"]) == 1:
            (schema["type"],) = schema["type"]
    if "anyOf" in schema:
        schema["anyOf"] = [one for one in schema["anyOf"] if one != {"type": "null"}]


def _description(key: Key) -> str:
    parts = [key.meaning or f"The same as {key.stands_for}."]
    if key.stands_for:
        parts.append(f"Another spelling of {key.stands_for}.")
    if key.allowed:
        parts.append(f"Allowed: {key.allowed}.")
    return " ".join(parts)


__all__ = ["KINDS", "Kind", "block", "inner_keys", "schema_texts"]
