"""The job on the wire: as a batch job of its endpoint, and as the pipeline job of the workspace.

Both carry, beside Azure's fields:

- ``properties.error`` ``{code, message}`` of a failed job,
- ``properties.properties["batchpoint.<count>"]`` as text for every count of ``Progress`` (``batchpoint.items``,
  ``batchpoint.items_succeeded``, ``batchpoint.items_failed``, ``batchpoint.mini_batches`` …), ``batchpoint.failures``
  (the grouped reasons as JSON) and ``batchpoint.output_uri``,
- ``properties.batchpoint``: the whole job with its frozen settings, from which ``from_json`` restores it.
"""

import json
from typing import Any

from pydantic import ValidationError

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import Body, duration_to_iso, enum_to_wire, system_data, without_none
from batchpoint.entities.job import Job
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import InternalError

_OURS = "batchpoint"
#: Name of the one step and of its output, which scripts and official clients rely on.
OUTPUT = "score"


def batch_job_to_json(job: Job, workspace: Workspace, server: str) -> dict[str, Any]:
    """The job as its endpoint answers it; ``.name`` is the job's name, ``.properties.name`` the friendly one."""
    arm_id = ids.endpoint_job_id(workspace, job.endpoint_name, job.name)
    settings = job.settings
    kind = enum_to_wire(settings.input.type)
    return {
        "id": arm_id,
        "name": job.name,
        "type": ids.type_of(arm_id),
        "systemData": system_data(job.creation_context),
        "properties": {
            **_shared(job),
            "name": job.display_name or job.name,
            "provisioningState": "Succeeded",
            "compute": {"instanceCount": settings.instance_count, "isLocal": False, "target": job.compute},
            "inputData": {kind: {"jobInputType": kind, "uri": settings.input.path}},
            "outputData": {OUTPUT: _output(job)} if job.status == "Completed" else {},
            "output": {},
            "outputFileName": settings.output_file_name,
            "miniBatchSize": settings.mini_batch_size,
            "errorThreshold": settings.error_threshold,
            "maxConcurrencyPerInstance": settings.max_concurrency_per_instance,
            "loggingLevel": settings.logging_level.capitalize(),
            "retrySettings": {"maxRetries": settings.max_retries, "timeout": duration_to_iso(settings.timeout_s)},
            "interactionEndpoints": _services(job, server),
        },
    }


def to_json(job: Job, workspace: Workspace, server: str) -> dict[str, Any]:
    """The pipeline job of the workspace."""
    arm_id = job.id or ids.job_id(workspace, job.name)
    kind = enum_to_wire(job.settings.input.type)
    return {
        "id": arm_id,
        "name": job.name,
        "type": ids.type_of(arm_id),
        "systemData": system_data(job.creation_context),
        "properties": {
            **_shared(job),
            "jobType": "Pipeline",
            "displayName": job.display_name or job.name,
            "experimentName": job.experiment_name or job.endpoint_name,
            "computeId": job.compute,
            "inputs": {"input": {"jobInputType": kind, "uri": job.settings.input.path}},
            "outputs": {OUTPUT: _output(job)},
            "jobs": {},
            "settings": {},
            "services": _services(job, server),
            "isArchived": False,
        },
    }


def _shared(job: Job) -> dict[str, Any]:
    return without_none(
        {
            "status": str(job.status),
            "description": job.description,
            "tags": job.tags,
            "properties": {**job.properties, **_counts(job)},
            "error": job.error.model_dump() if job.error else None,
            _OURS: job.model_dump(mode="json", exclude_none=True),
        }
    )


def _counts(job: Job) -> dict[str, str]:
    counts = {f"{_OURS}.{name}": str(count) for name, count in job.progress.model_dump().items()}
    counts[f"{_OURS}.output_uri"] = job.settings.output_uri
    if job.failures:
        counts[f"{_OURS}.failures"] = json.dumps([reason.model_dump() for reason in job.failures])
    return counts


def _output(job: Job) -> dict[str, str]:
    settings = job.settings
    if settings.output_action == "append_row":
        uri = f"{settings.output_uri.rstrip('/')}/{settings.output_file_name}"
        return {"jobOutputType": "UriFile", "mode": "ReadWriteMount", "uri": uri}
    return {"jobOutputType": "UriFolder", "mode": "ReadWriteMount", "uri": settings.output_uri}


def _services(job: Job, server: str) -> dict[str, Any]:
    return {"Studio": {"endpoint": f"{server}/runs/{job.name}", "jobEndpointType": "Studio", "properties": {}}}


def from_json(body: Body) -> Job:
    """The job in an answer of ours, of either kind. What a newer server adds is ignored."""
    values = body.child("properties").mapping(_OURS)
    try:
        job = Job.model_validate(values, extra="ignore")
    except ValidationError as error:
        message = f"The answer about job {body.text('name')} cannot be read: {error.error_count()} fields differ."
        raise InternalError(f"{message} Client and server must be of one version.") from error
    return job.model_copy(update={"id": body.text("id") or job.id})
