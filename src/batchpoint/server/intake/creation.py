"""The rules of creating a noun: names, references that must exist and are pinned to ids, what is refused.

Routers call it with what was sent; it answers what the store now holds. It knows no HTTP and no JSON.
"""

import getpass
import hashlib
from functools import partial
from pathlib import Path
from typing import TypeVar

from batchpoint.arm.assets import ANONYMOUS_ENVIRONMENT, SEGMENT, environment_version
from batchpoint.arm.envelope import ids
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, created_now
from batchpoint.errors import NotSupported, Problem, ResourceNotFound, ValidationFailed
from batchpoint.server.environments.buildable import with_credentials
from batchpoint.server.environments.isolation import check_environment, with_kept_context
from batchpoint.server.identity.caller import Caller
from batchpoint.server.intake import limits
from batchpoint.server.intake.golden.keeping import kept_golden_rows
from batchpoint.server.intake.keeping import kept
from batchpoint.server.intake.locations import allowed_path, local_path_of, resolve
from batchpoint.server.intake.models.without_script import environment_wanted
from batchpoint.server.lookup import Desk
from batchpoint.storage.uri import is_in_registry

A = TypeVar("A", Model, DataAsset, Environment, Code)

ENDPOINT_CREATION_API = "2023-10-01"

#: What the engine refuses in the name of the gathered file.
FORBIDDEN_IN_FILE_NAME = '~"#%&*:<>?\\/{|}'


def create_endpoint(desk: Desk, wanted: Endpoint) -> Endpoint:
    """Create or replace an endpoint; its name is lowered."""
    name = names.ENDPOINT.checked(wanted.name)
    if wanted.auth_mode != "aad_token":
        raise NotSupported(
            f"auth_mode {wanted.auth_mode} is not offered for batch endpoints; write aad_token, or leave it out.",
            target="auth_mode",
        )
    existing = desk.store.get_endpoint(desk.key, name)
    arm_id = existing.id if existing and existing.id else ids.endpoint_id(desk.workspace, name)
    service = {"BatchEndpointCreationApiVersion": ENDPOINT_CREATION_API, "azureml.onlineendpointid": arm_id}
    complete = wanted.model_copy(
        update={
            "name": name,
            "id": arm_id,
            "location": wanted.location or desk.settings.location,
            "properties": {**wanted.properties, **service},
            "provisioning_state": "Succeeded",
            "scoring_uri": None,
            "openapi_uri": None,
            "creation_context": context(desk.caller, existing.creation_context if existing else None),
        }
    )
    desk.store.put_endpoint(desk.key, complete, partial(limits.check_new_endpoint, desk))
    return complete


def create_deployment(desk: Desk, wanted: Deployment) -> Deployment:
    """Create or replace a deployment: everything it names must exist, and versions are pinned."""
    endpoint = desk.endpoint(wanted.endpoint_name)
    names.DEPLOYMENT.checked(wanted.name)
    if wanted.type != "model":
        raise NotSupported("Deployments of type pipeline are not offered here; deploy a model.", target="type")
    if wanted.output_file_name is not None:
        check_output_file_name("deployment", wanted.output_file_name)
    existing = desk.store.get_deployment(desk.key, endpoint.name, wanted.name)
    model, compute = _pinned_model(desk, wanted.model), _compute(desk, wanted.compute)
    limits.check_instance_count(desk.settings, wanted.resources.instance_count)
    limits.check_workers(desk.settings, wanted.max_concurrency_per_instance)
    complete = wanted.model_copy(
        update={
            "endpoint_name": endpoint.name,
            "id": ids.deployment_id(desk.workspace, endpoint.name, wanted.name),
            "model": str(model.id),
            "code_configuration": _pinned_code(desk, wanted.code_configuration),
            "environment": _pinned_environment(desk, environment_wanted(desk, wanted, model), compute),
            "compute": compute.id or ids.compute_id(desk.workspace, compute.name),
            "golden_rows": kept_golden_rows(desk, wanted.golden_rows),
            "generated": None,
            "provisioning_state": "Succeeded",
            "creation_context": context(desk.caller, existing.creation_context if existing else None),
        }
    )
    desk.store.put_deployment(desk.key, complete, partial(limits.check_new_deployment, desk, endpoint.name))
    return complete


def _pinned_model(desk: Desk, model: str | Model) -> Model:
    if isinstance(model, str) and is_in_registry(model):
        model = Model(path=model)
    if isinstance(model, Model):
        if not model.name and is_in_registry(model.path):
            # An alias may mean another version tomorrow: what it means now is known by where its content is kept.
            model = model.model_copy(update={"path": kept(desk, model.path)[0]})
        name = model.name or hashlib.sha256(model.path.encode()).hexdigest()
        model = create_asset(desk, model.model_copy(update={"name": name, "version": model.version or "1"}))
    else:
        model = desk.referenced(Model, model)
    local_path_of(desk.keeping(model), model.path)
    return model


def _pinned_code(desk: Desk, code: CodeConfiguration | None) -> CodeConfiguration | None:
    if code is None:
        return None
    asset = desk.referenced(Code, code.code)
    folder = local_path_of(desk.keeping(asset), asset.path)
    script = folder / code.scoring_script
    if not script.resolve().is_relative_to(folder.resolve()) or not script.is_file():
        message = f"There is no file {code.scoring_script} in the code folder; the path is relative to that folder."
        raise ValidationFailed("deployment", (Problem("properties.codeConfiguration.scoringScript", message),))
    return code.model_copy(update={"code": asset.id})


def _pinned_environment(desk: Desk, environment: str | Environment | None, compute: Compute) -> str | None:
    if environment is None:
        check_environment(desk, None, compute)
        return None
    if isinstance(environment, str) and environment.startswith("/") and not environment.startswith("/subscriptions/"):
        environment = Environment(python=environment)
    if isinstance(environment, Environment):
        environment = with_kept_context(desk, environment)
        name = environment.name or ANONYMOUS_ENVIRONMENT
        version = environment.version or environment_version(environment)
        if environment.python:
            allowed_path(desk, environment.python, is_read=False)
        _check_runnable(desk, environment, compute)
        found = create_asset(desk, environment.model_copy(update={"name": name, "version": version}))
    else:
        found = desk.referenced(Environment, environment)
        _check_runnable(desk, found, compute)
    return str(found.id)


def _check_runnable(desk: Desk, environment: Environment, compute: Compute) -> None:
    """Refuses what no job could run in."""
    if environment.python and compute.isolation == "process":
        _check_interpreter(environment.python)
    else:
        check_environment(desk, environment, compute)


def _check_interpreter(python: str) -> None:
    if not Path(python).exists():
        message = f"There is no interpreter or folder {python} on the server's machine."
        raise ResourceNotFound(message, target="environment")


def _compute(desk: Desk, reference: str) -> Compute:
    if reference.strip().lower().removeprefix("azureml:") == "local":
        raise NotSupported("compute: local is not offered; create an amlcompute and name it.", target="compute")
    return desk.compute(reference)


def create_compute(desk: Desk, wanted: Compute) -> Compute:
    """Create or replace a compute; it exists at once, instances come with jobs."""
    names.COMPUTE.checked(wanted.name)
    existing = desk.store.get_compute(desk.key, wanted.name)
    complete = wanted.model_copy(
        update={
            "id": ids.compute_id(desk.workspace, wanted.name),
            "location": wanted.location or desk.settings.location,
            "provisioning_state": "Succeeded",
            "allocation_state": None,
            "current_node_count": None,
            "target_node_count": None,
            "node_state_counts": None,
            "creation_context": context(desk.caller, existing.creation_context if existing else None),
        }
    )
    desk.store.put_compute(desk.key, complete)
    return complete


def create_asset(desk: Desk, wanted: A) -> A:
    """Create a version, or answer the one that stands there with the same content."""
    kind = SEGMENT[type(wanted)]
    names.ASSET.checked(wanted.name or "")
    names.VERSION.checked(wanted.version or "")
    if isinstance(wanted, DataAsset):
        _check_place(desk, wanted.path)
    elif isinstance(wanted, Environment) and wanted.python:
        allowed_path(desk, wanted.python, is_read=False)
        # One that is registered may be archived and described although its interpreter has gone.
        if desk.store.get_asset(desk.key, Environment, wanted.name or "", wanted.version or "") is None:
            _check_interpreter(wanted.python)
    elif isinstance(wanted, Environment):
        wanted = with_credentials(
            wanted, desk.store.get_asset(desk.key, Environment, wanted.name or "", wanted.version or "")
        )
    elif isinstance(wanted, Environment):
        wanted = with_kept_context(desk, wanted)
    elif isinstance(wanted, Code | Model):
        wanted = _with_content(desk, wanted)
    if isinstance(wanted, Model) and wanted.type is None:
        wanted = wanted.model_copy(update={"type": _model_type(desk, wanted.path)})
    complete = wanted.model_copy(
        update={
            "id": ids.asset_id(desk.workspace, kind, wanted.name or "", wanted.version or ""),
            "creation_context": context(desk.caller),
        }
    )
    return desk.store.put_asset(desk.key, complete)


def _with_content(desk: Desk, wanted: A) -> A:
    """Models and code are always copied: a version means the same for ever."""
    assert isinstance(wanted, Code | Model)
    path, content_hash = kept(desk, wanted.path)
    update = {"path": path}
    # Clients look for their code again by a hash of their own.
    if isinstance(wanted, Code) and not wanted.content_hash and content_hash:
        update["content_hash"] = content_hash
    return wanted.model_copy(update=update)


def _check_place(desk: Desk, path: str) -> None:
    """A path on this machine must exist; one that is elsewhere is looked at when a job needs it."""
    place = resolve(desk, path)
    if isinstance(place, Path) and not place.exists():
        raise ResourceNotFound(f"There is no file or folder at {path} on the server's machine.", target=path)


def _model_type(desk: Desk, path: str) -> str:
    """Files of 2021 do not say what a model is: a folder with an MLmodel is an MLflow model."""
    place = resolve(desk, path)
    return "mlflow_model" if isinstance(place, Path) and (place / "MLmodel").is_file() else "custom_model"


def context(caller: Caller, existing: CreationContext | None = None) -> CreationContext:
    """Who makes or changes a noun, and when; the owner of the home is known by the name of the operating system."""
    now = created_now(_user() if caller.is_owner else caller.name, kind=caller.kind)
    if existing is None:
        return now
    return existing.model_copy(
        update={
            "last_modified_at": now.last_modified_at,
            "last_modified_by": now.last_modified_by,
            "last_modified_by_type": now.last_modified_by_type,
        }
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A user id without an entry, as in containers.
        return ""


def check_output_file_name(noun: str, name: str) -> None:
    """Raises ValidationFailed for a name that the gathered file cannot have."""
    bad = sorted({c for c in name if c in FORBIDDEN_IN_FILE_NAME or ord(c) < 32})
    if bad or name.strip() in {"", ".", ".."} or len(name.encode("utf-8", "surrogateescape")) > 255:
        what = f"must not contain {' '.join(bad)}" if bad else "is no name for a file"
        message = f"{name!r} {what}; give a plain file name, and the folder as the output path."
        raise ValidationFailed(noun, (Problem("outputFileName", message),))
