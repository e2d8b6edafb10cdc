"""The run on the wire: a job, or the one step of it, as the run history of its workspace tells it.

Official clients stream and download by it. ``server.routers.dataplane`` calls it; it knows no HTTP and no files.
"""

import re
from collections.abc import Mapping
from typing import Any

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import Body, without_none
from batchpoint.arm.job import services
from batchpoint.entities.job import OUTPUT, FailureReason, Job, JobEdit, is_of_the_service, shown_properties
from batchpoint.entities.workspace import Workspace

#: What the version of an output is called that belongs to one run: ``azureml_<run>_output_data_score``.
_OUTPUT_ASSET = re.compile(rf"(?:^|/)data/azureml_(?P<run>[^/]+)_output_data_{OUTPUT}/versions/1$")


def run_to_json(job: Job, workspace: Workspace, server: str, output: str | None = None) -> dict[str, Any]:
    """The job as a run; ``output`` is the type of what its step has published (``uri_folder``, ``uri_file``)."""
    context = job.creation_context
    began, ended = job.started_at, job.ended_at
    return without_none(
        {
            "runId": job.name,
            "rootRunId": job.parent_job_name or job.name,
            "parentRunId": job.parent_job_name or None,
            "experimentId": job.experiment_name or job.endpoint_name,
            "status": str(job.status),
            "displayName": job.display_name or job.name,
            "description": job.description,
            "createdUtc": context.created_at.isoformat() if context else None,
            "createdBy": {"userName": context.created_by} if context else None,
            "startTimeUtc": began.isoformat() if began else None,
            "endTimeUtc": ended.isoformat() if ended else None,
            "lastModifiedUtc": _touched(job),
            "lastModifiedBy": {"userName": context.last_modified_by} if context else None,
            "runType": "azureml.StepRun" if job.parent_job_name else "azureml.PipelineRun",
            "hidden": job.archived,
            "target": ids.last_segment(job.compute),
            "compute": {"target": ids.last_segment(job.compute), "instanceCount": job.settings.instance_count},
            "tags": _tags(job),
            "properties": shown_properties(job),
            "services": _services(job, workspace, server),
            "outputs": {OUTPUT: {"assetId": output_asset_id(job.name, workspace), "type": output}} if output else {},
            "inputs": {},
            "error": error_to_json(job),
            "warnings": warnings_to_json(job),
        }
    )


def _services(job: Job, workspace: Workspace, server: str) -> dict[str, Any]:
    found = services(job, workspace, server)
    return {kind: {"type": kind, "endpoint": one["endpoint"], "properties": {}} for kind, one in found.items()}


def details_to_json(run: Mapping[str, Any], logs: Mapping[str, str]) -> dict[str, Any]:
    """What clients ask again and again while they stream; ``logs`` are addresses that open without a token."""
    return {**run, "createdTimeUtc": run.get("createdUtc"), "logFiles": dict(logs)}


def error_to_json(job: Job) -> dict[str, Any] | None:
    """Why the run failed; None for one that did not."""
    if job.error is None:
        return None
    return {"error": {"code": job.error.code, "message": job.error.message, "details": []}}


def warnings_to_json(job: Job) -> list[dict[str, str]]:
    """One sentence for each cause of failed items."""
    return [{"source": one.code, "message": _sentence(one)} for one in job.failures]


def _sentence(cause: FailureReason) -> str:
    example = f", for example {cause.example}" if cause.example else ""
    return f"{cause.items} item{'s' if cause.items != 1 else ''} failed: {cause.message} ({cause.code}){example}."


def _touched(job: Job) -> str | None:
    moments = [job.ended_at, job.started_at, job.creation_context.last_modified_at if job.creation_context else None]
    return max((moment.isoformat() for moment in moments if moment), default=None)


def _tags(job: Job) -> dict[str, str]:
    """Those of the service mark the job, not its step: clients tell the two apart by them."""
    if not job.parent_job_name:
        return job.tags
    return {name: value for name, value in job.tags.items() if not is_of_the_service(name)}


def output_asset_id(step: str, workspace: Workspace) -> str:
    """By what the output of a step is asked for; ``step_of_output`` is the way back."""
    return f"azureml://locations/local/workspaces/{workspace.key}/data/azureml_{step}_output_data_{OUTPUT}/versions/1"


def step_of_output(asset_id: str) -> str | None:
    """The step whose output ``asset_id`` is; None for an asset that somebody registered."""
    found = _OUTPUT_ASSET.search(asset_id)
    return found["run"] if found else None


def edit_from_json(body: Body, before: JobEdit) -> JobEdit:
    """What a PATCH makes of a run; tags and properties are added to."""
    tags = {**before.tags, **(body.texts("tags") if body.has("tags") else {})}
    properties = {**before.properties, **(body.texts("properties") if body.has("properties") else {})}
    changed = {"display_name": body.text("displayName"), "description": body.text("description")}
    return before.model_copy(update={"tags": tags, "properties": properties, **without_none(changed)})
