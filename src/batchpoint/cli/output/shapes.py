"""The JSON that the command line prints for each noun: snake_case, references with ``azureml:``."""

from typing import Any

from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.job import OUTPUT, STEP, Job, shown_properties, step_of
from batchpoint.entities.noun import Noun
from batchpoint.entities.tables.output import default_name

#: Printed even when empty; every other empty map or list is left out.
_KEPT_EMPTY = frozenset({"tags", "properties", "defaults", "environment_variables"})
#: Nouns whose ``id`` is printed with the prefix ``azureml:``.
_PREFIXED = (Model, Environment, Code, Job)


def shaped(value: object, server: str = "") -> Any:
    """``value`` as plain JSON: nouns in their printed shape, everything else as it is.

    ``server`` is the URL that the pages of jobs stand under.
    """
    if isinstance(value, Noun):
        return noun_shape(value, server)
    if isinstance(value, list | tuple):
        return [shaped(element, server) for element in value]
    if isinstance(value, dict):
        return {key: shaped(element, server) for key, element in value.items()}
    return value


def noun_shape(noun: Noun, server: str = "") -> dict[str, Any]:
    """The printed shape of one noun."""
    shape = _without_empty(noun.model_dump(mode="json", exclude_none=True))
    if isinstance(noun, Deployment):
        shape = _deployment(shape)
    elif isinstance(noun, Compute | Datastore):
        shape = {key: value for key, value in shape.items() if key not in noun.foreign_keys}
    elif isinstance(noun, Job):
        shape = _job(noun, shape, server)
    arm_id = shape.get("id")
    if arm_id:
        group = resource_group(arm_id)
        shape |= {"resourceGroup": group} if group else {}
        shape["id"] = _reference(arm_id) if isinstance(noun, _PREFIXED) else arm_id
    return shape


def resource_group(arm_id: str) -> str:
    """The resource group inside an ARM id, or nothing."""
    segments = arm_id.split("/")
    lowered = [segment.lower() for segment in segments]
    at = lowered.index("resourcegroups") + 1 if "resourcegroups" in lowered else len(segments)
    return segments[at] if at < len(segments) else ""


def _without_empty(shape: dict[str, Any]) -> dict[str, Any]:
    inner = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in shape.items()}
    return {key: value for key, value in inner.items() if value not in ({}, []) or key in _KEPT_EMPTY}


def _reference(value: Any) -> Any:
    return f"azureml:{value}" if isinstance(value, str) and value.startswith("/subscriptions/") else value


def _deployment(shape: dict[str, Any]) -> dict[str, Any]:
    for key in ("model", "environment", "compute"):
        if key in shape:
            shape[key] = _reference(shape[key])
    if "code_configuration" in shape:
        code = shape["code_configuration"]
        shape["code_configuration"] = {**code, "code": _reference(code.get("code"))}
    # The service answers in this spelling, whatever the file said.
    shape["logging_level"] = str(shape["logging_level"]).capitalize()
    if shape["output_action"] == "append_row":
        shape.setdefault("output_file_name", default_name(shape.get("output_format", "azure")))
    else:
        shape.pop("output_file_name", None)
    return shape


def _job(job: Job, shape: dict[str, Any], server: str) -> dict[str, Any]:
    settings = shape.pop("settings")
    services = {"Studio": {"endpoint": f"{server}/runs/{job.parent_job_name or job.name}", "type": "Studio"}}
    step = {} if job.parent_job_name else {STEP: {"name": step_of(job).name, "status": str(job.status)}}
    shape |= {
        "type": "command" if job.parent_job_name else "pipeline",
        "jobs": step,
        "archived": job.archived or None,
        # Also here, for tables show what stands at the top: a completed job does not tell by its status.
        "items_failed": job.progress.items_failed or None,
        "display_name": job.display_name or job.name,
        "experiment_name": job.experiment_name or job.endpoint_name,
        "compute": _reference(job.compute),
        "settings": settings,
        "properties": shown_properties(job),
        "inputs": {"input": settings["input"]},
        "outputs": {OUTPUT: {"type": "uri_folder", "path": job.settings.output_uri or job.settings.output_folder}},
        # Three spellings of one thing: today's, that of 2021, and the one that the articles of 2021 query.
        "services": services,
        "interaction_endpoints": services,
        "interactionEndpoints": services,
    }
    return _without_empty({key: value for key, value in shape.items() if value not in ("", None)})
