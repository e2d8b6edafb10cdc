"""Models, data, environments and codes on the wire: versions, and the containers above them."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

import yaml

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.operations import kept_properties
from batchpoint.arm.envelope.reading import Body, build, creation_context, enum_from_wire, system_data, without_none
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.data import DataAsset
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported, Problem, ValidationFailed

Asset = Model | DataAsset | Environment | Code
A = TypeVar("A", bound=Asset)

#: ARM segment of each kind of asset. ``datasets`` is the 2021 alias of ``data``.
SEGMENT: dict[type[Any], str] = {Model: "models", DataAsset: "data", Environment: "environments", Code: "codes"}
KIND: dict[str, type[Asset]] = {segment: kind for kind, segment in SEGMENT.items()} | {"datasets": DataAsset}

#: Name of an environment that a deployment describes in place.
ANONYMOUS_ENVIRONMENT = "CliV2AnonymousEnvironment"

_HASH = "hash_sha256"
_TABULAR = (
    "Tabular datasets are not offered: batch endpoints take a file or a folder. Register the files themselves, as "
    "paths with one file or one folder, and read the table in the scoring script."
)


def to_json(asset: Asset, workspace: Workspace, *, archived: bool | None = None) -> dict[str, Any]:
    """The resource of one version. ``archived`` is told by who answers; a request without it leaves that as it is."""
    arm_id = asset.id or ids.asset_id(workspace, SEGMENT[type(asset)], asset.name or "", asset.version or "")
    return {
        "id": arm_id,
        "name": asset.version,
        "type": ids.type_of(arm_id),
        "systemData": system_data(asset.creation_context),
        "properties": without_none(
            {
                "description": getattr(asset, "description", None),
                "tags": getattr(asset, "tags", {}),
                "properties": getattr(asset, "properties", {}),
                "isAnonymous": False,
                "isArchived": archived,
                "provisioningState": "Succeeded",
                **_own_properties(asset),
            }
        ),
    }


def _own_properties(asset: Asset) -> dict[str, Any]:
    match asset:
        case Model():
            return {
                "modelUri": asset.path,
                "modelType": asset.type,
                "flavors": asset.flavors,
                "stage": asset.stage,
            }
        case DataAsset():
            return {"dataUri": asset.path, "dataType": asset.type}
        case Environment():
            return _environment_to_json(asset)
        case Code():
            return {"codeUri": asset.path, "properties": without_none({_HASH: asset.content_hash})}


def _environment_to_json(environment: Environment) -> dict[str, Any]:
    build_context = environment.build
    return {
        "image": environment.image,
        "condaFile": None if environment.conda_file is None else json.dumps(environment.conda_file, sort_keys=True),
        "build": {"contextUri": build_context.path, "dockerfilePath": build_context.dockerfile_path}
        if build_context
        else None,
        "python": environment.python,
        "osType": environment.os_type.capitalize(),
        "environmentType": "UserCreated",
        "inferenceConfig": environment.inference_config,
    }


def from_json(kind: type[A], body: Body, name: str | None = None, version: str | None = None) -> A:
    """Reads a request (then name and version are those of its URL) or an answer."""
    properties = body.child("properties")
    name_in_id, version_in_id = _names(body.text("id") or "")
    values = {
        "name": name or name_in_id,
        "version": version or version_in_id,
        "id": body.text("id"),
        "creation_context": creation_context(body),
        **_READERS[kind](properties),
    }
    if kind is not Code:
        values["description"] = properties.text("description")
        values["tags"] = properties.texts("tags")
        values["properties"] = kept_properties(properties)
    return build(kind, values)


def _names(arm_id: str) -> tuple[str | None, str | None]:
    segments = arm_id.split("/")
    return (segments[-3], segments[-1]) if len(segments) > 3 and segments[-2].lower() == "versions" else (None, None)


def _read_model(properties: Body) -> dict[str, Any]:
    kind = enum_from_wire(properties.text("modelType") or properties.text("modelFormat"))
    if kind and not kind.endswith("_model"):
        kind = {"mlflow": "mlflow_model", "ml_flow": "mlflow_model", "triton": "triton_model"}.get(kind, "custom_model")
    return {
        "path": properties.text("modelUri"),
        "type": "mlflow_model" if kind == "ml_flow_model" else kind,
        "flavors": properties.mapping("flavors"),
        "stage": properties.text("stage"),
    }


def as_dataset(resource: dict[str, Any]) -> dict[str, Any]:
    """A data version with the ``paths`` in which 2021 says the same."""
    properties = resource["properties"]
    kind = "file" if properties["dataType"] == "uri_file" else "folder"
    return {**resource, "properties": {**properties, "paths": [{kind: properties["dataUri"]}]}}


def _read_data(properties: Body) -> dict[str, Any]:
    """Today's ``dataUri``, or the ``paths`` of 2021."""
    kind = enum_from_wire(properties.text("dataType"))
    path = properties.text("dataUri")
    if "tabular" in {kind, (properties.text("datasetType") or "").lower()}:
        raise NotSupported(_TABULAR, target="properties.datasetType")
    if path is None and properties.has("paths"):
        path, kind = _read_paths(properties.items("paths"))
    return {"path": path, "type": "mltable" if kind in {"ml_table", "m_l_table"} else kind}


def _read_paths(entries: list[Any]) -> tuple[str | None, str]:
    """The one file or folder of a FileDataset, and which of the two it is."""
    if len(entries) != 1 or not isinstance(entries[0], dict):
        raise ValidationFailed("request", (Problem("properties.paths", "must hold exactly one file or folder."),))
    entry = Body(entries[0], "properties.paths[0]")
    if entry.has("pattern"):
        raise NotSupported(_TABULAR, target="properties.paths[0].pattern")
    return entry.text("file") or entry.text("folder"), "uri_file" if entry.has("file") else "uri_folder"


def _read_environment(properties: Body) -> dict[str, Any]:
    context = properties.child("build")
    given = {"path": context.text("contextUri"), "dockerfile_path": context.text("dockerfilePath")}
    os_type = properties.text("osType")
    return {
        "image": properties.text("image"),
        "conda_file": _conda_file(properties),
        "build": without_none(given) if given["path"] else None,
        "python": properties.text("python"),
        "os_type": os_type.lower() if os_type else None,
        "inference_config": properties.mapping("inferenceConfig") or None,
    }


def _conda_file(properties: Body) -> dict[str, Any] | None:
    """An object, or text in YAML or JSON (YAML reads both)."""
    value = properties.raw("condaFile")
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValidationFailed("request", (Problem("properties.condaFile", f"is not YAML: {error}"),)) from error
    if value is not None and not isinstance(value, dict):
        raise ValidationFailed("request", (Problem("properties.condaFile", "must be a conda file."),))
    return value


def _read_code(properties: Body) -> dict[str, Any]:
    return {"path": properties.text("codeUri"), "content_hash": properties.texts("properties").get(_HASH)}


_READERS: dict[type[Any], Callable[[Body], dict[str, Any]]] = {
    Model: _read_model,
    DataAsset: _read_data,
    Environment: _read_environment,
    Code: _read_code,
}


def is_archived(body: Body) -> bool | None:
    """What a request says about hiding a version, a container or a job from lists; None when it says nothing."""
    return body.child("properties").boolean("isArchived")


def container_to_json(asset: Asset, next_version: str, workspace: Workspace, *, archived: bool) -> dict[str, Any]:
    """The container above the versions of one name; ``asset`` is the latest of them."""
    arm_id = f"{workspace.arm_id}/{SEGMENT[type(asset)]}/{asset.name}"
    return {
        "id": arm_id,
        "name": asset.name,
        "type": ids.type_of(arm_id),
        "systemData": system_data(asset.creation_context),
        "properties": without_none(
            {
                "description": getattr(asset, "description", None),
                "tags": getattr(asset, "tags", {}),
                "properties": {},
                "isArchived": archived,
                # Ours: what the latest version is, so that a list needs no further question.
                **_own_properties(asset),
                "latestVersion": asset.version,
                "nextVersion": next_version,
            }
        ),
    }


def environment_version(environment: Environment) -> str:
    """The version of an environment described in place: the hash of its content."""
    content = environment.model_dump_json(exclude={"name", "version", "id", "creation_context", "latest_version"})
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def container_from_json(kind: type[A], body: Body) -> A:
    """The latest version as a list of names shows it: ``latest_version`` instead of ``version``."""
    latest = body.child("properties").text("latestVersion")
    found = from_json(kind, body, body.text("name"), latest)
    listed = {"version": None, "latest_version": latest} if "latest_version" in kind.model_fields else {}
    return cast("A", found.model_copy(update=listed))
