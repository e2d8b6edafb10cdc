"""The job on the wire: as a batch job of its endpoint, and as the pipeline job of the workspace.

Both carry, beside Azure's fields:

- ``properties.error`` ``{code, message}`` of a failed job,
- ``properties.properties["batchpoint.<count>"]`` as text for every count of ``Progress`` (``batchpoint.items``,
  ``batchpoint.items_succeeded``, ``batchpoint.items_failed``, ``batchpoint.mini_batches`` …), ``batchpoint.failures``
  (the grouped reasons as JSON) and ``batchpoint.output_uri``,
- ``properties.batchpoint``, of a step ``batchpoint``: the whole job with its frozen settings, from which ``from_json``
  restores it.
"""

from typing import Any

from pydantic import ValidationError

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import Body, build, duration_to_iso, enum_to_wire, system_data, without_none
from batchpoint.entities.job import ARTIFACT_STORE, OUTPUT, Job, JobEdit, artifact_folder, shown_properties
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import InternalError

_OURS = "batchpoint"


def batch_job_to_json(job: Job, workspace: Workspace, server: str) -> dict[str, Any]:
    """The job as its endpoint answers it; ``.name`` is the job's name, ``.properties.name`` the friendly one."""
    arm_id = ids.deployment_job_id(workspace, job.endpoint_name, job.deployment_name, job.name)
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
            "outputData": {OUTPUT: _output_by_id(job, workspace)} if job.has_published else {},
            "output": _artifacts(job, workspace) if job.status.is_terminal else {},
            "outputFileName": settings.output_file_name,
            "miniBatchSize": settings.mini_batch_size,
            "errorThreshold": settings.error_threshold,
            "maxConcurrencyPerInstance": settings.max_concurrency_per_instance,
            "loggingLevel": settings.logging_level.capitalize(),
            "retrySettings": {"maxRetries": settings.max_retries, "timeout": duration_to_iso(settings.timeout_s)},
            "interactionEndpoints": services(job, workspace, server),
        },
    }


def to_json(job: Job, workspace: Workspace, server: str) -> dict[str, Any]:
    """The pipeline job of the workspace.

    Of its one step the run history tells: official clients ask there when they find no properties here.
    """
    arm_id = job.id or ids.job_id(workspace, job.name)
    resource = {
        "id": arm_id,
        "name": job.name,
        "type": ids.type_of(arm_id),
        "systemData": system_data(job.creation_context),
    }
    if job.parent_job_name:
        return {**resource, "properties": None, _OURS: _whole(job)}
    return {
        **resource,
        "properties": {
            **_shared(job),
            "jobType": "Pipeline",
            "displayName": job.display_name or job.name,
            "experimentName": job.experiment_name or job.endpoint_name,
            "computeId": job.compute,
            # Jobs spell these types with underscores, batch jobs without.
            "inputs": {"input": {"jobInputType": job.settings.input.type, "uri": job.settings.input.path}},
            "outputs": {OUTPUT: {**_output(job), "jobOutputType": _output_type(job)}},
            "jobs": {},
            "settings": {},
            "services": services(job, workspace, server),
            "isArchived": job.archived,
        },
    }


def _shared(job: Job) -> dict[str, Any]:
    return without_none(
        {
            "status": str(job.status),
            "description": job.description,
            "tags": job.tags,
            "properties": shown_properties(job),
            "error": job.error.model_dump() if job.error else None,
            _OURS: _whole(job),
        }
    )


def _whole(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", exclude_none=True)


def _output(job: Job) -> dict[str, str]:
    settings = job.settings
    name = settings.output_file_name if _output_type(job) == "uri_file" else ""
    uri = f"{settings.output_uri.rstrip('/')}/{name}" if name else settings.output_uri
    return {"jobOutputType": enum_to_wire(_output_type(job)), "mode": "ReadWriteMount", "uri": uri}


def _output_type(job: Job) -> str:
    return "uri_file" if job.settings.has_one_file else "uri_folder"


def _output_by_id(job: Job, workspace: Workspace) -> dict[str, str]:
    """Listed jobs name the datastore by its id."""
    output, short = _output(job), "azureml://datastores/"
    if not output["uri"].startswith(short):
        return output
    store, _, path = output["uri"].removeprefix(short).partition("/paths/")
    return {**output, "uri": f"{ids.datastore_id(workspace, store)}/paths/{path}"}


def _artifacts(job: Job, workspace: Workspace) -> dict[str, str]:
    """Where clients that speak to the storage find the logs of the step."""
    return {"datastoreId": ids.datastore_id(workspace, ARTIFACT_STORE), "path": artifact_folder(job.name)}


def services(job: Job, workspace: Workspace, server: str) -> dict[str, Any]:
    """Where a job is looked at. Clients append ``&tid=`` to the address of its page."""
    name, host = job.parent_job_name or job.name, server.partition("://")[2]
    page = f"{server}/runs/{name}?wsid={workspace.arm_id}"
    tracking = f"azureml://{host}/mlflow/v1.0{workspace.arm_id}?"
    return {kind: _service(kind, address) for kind, address in (("Studio", page), ("Tracking", tracking))}


def _service(kind: str, address: str) -> dict[str, Any]:
    return {"endpoint": address, "jobEndpointType": kind, "jobServiceType": kind, "properties": {}}


def from_json(body: Body) -> Job:
    """The job in an answer of ours, of either kind. What a newer server adds is ignored."""
    values = body.child("properties").mapping(_OURS) or body.mapping(_OURS)
    try:
        job = Job.model_validate(values, extra="ignore")
    except ValidationError as error:
        message = f"The answer about job {body.text('name')} cannot be read: {error.error_count()} fields differ."
        raise InternalError(f"{message} Client and server must be of one version.") from error
    return job.model_copy(update={"id": body.text("id") or job.id})


def edit_to_json(edit: JobEdit) -> dict[str, Any]:
    """The body of a PUT that changes a job."""
    return {
        "properties": {
            "displayName": edit.display_name,
            "description": edit.description or "",
            "tags": edit.tags,
            "properties": edit.properties,
        }
    }


def edit_from_json(body: Body, before: JobEdit) -> JobEdit:
    """What a PUT makes of the job that is edited; what it does not name stays."""
    properties = body.child("properties")
    sent = {
        "display_name": properties.text("displayName"),
        "description": properties.text("description"),
        "tags": properties.texts("tags") if properties.has("tags") else None,
        "properties": properties.texts("properties") if properties.has("properties") else None,
    }
    return build(JobEdit, {**before.model_dump(), **without_none(sent)})
