"""The rules of scoring a job again in part: whether it may be, and with whose settings.

The router calls it. The plan of the job stands, so input, output and the size of mini-batches never change.
"""

from collections.abc import Mapping
from pathlib import Path

from batchpoint.arm.envelope import ids
from batchpoint.entities.data import Invocation
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.job import NOTES, Job, JobSettings, JobStatus, step_refusal
from batchpoint.errors import Problem, ResourceConflict, UserError, ValidationFailed
from batchpoint.server.intake.creation import context
from batchpoint.server.intake.data_places import frozen_output
from batchpoint.server.intake.friendly_names import friendly_name
from batchpoint.server.intake.invocation import as_deployed, new_job_name
from batchpoint.server.lookup import Desk
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.records import RequestKey
from batchpoint.store.tables.retention import PRUNED

#: Property of a job that was scored again with another deployment than its own: the name of the latest one.
REDRIVEN_WITH = "batchpoint.redriven_with"
#: Property of a job that repeats another one: the name of that one.
RERUN_OF = "batchpoint.rerun_of"
_COMPUTE = "azureml.defaultComputeName"
#: What belongs to the plan, the output or the job, and the key that a request has for it.
_STAYS = {
    "input": "inputData",
    "output_path": "outputData",
    "output_file_name": "outputFileName",
    "mini_batch_size": "miniBatchSize",
    "provenance": "provenance",
    "output_format": "outputFormat",
    "split": "split",
    "job_name": "name",
    "experiment_name": "experimentName",
    "tags": "tags",
    "properties": "properties",
}
#: What a request may say over the deployment.
_OVERRIDES = (
    "instance_count",
    "max_concurrency_per_instance",
    "max_retries",
    "timeout_s",
    "error_threshold",
    "isolate_failures",
    "max_mini_batches_per_worker",
    "logging_level",
)


def redrive(desk: Desk, name: str, wanted: Invocation, idempotency_key: RequestKey | None = None) -> Job:
    """Score the failed and the unscored items of a job again, with what its deployment, or another one, says now.

    The same ``idempotency_key`` answers the same job again. Raises ResourceConflict for a job that is not fit for it,
    ValidationFailed for a setting that cannot change.
    """
    if idempotency_key and (first := desk.store.job_of_key(desk.key, idempotency_key)):
        return first
    job = _fit_job(desk, name, "redriven", "job redrive")
    if job.status is JobStatus.COMPLETED and not job.progress.items_failed:
        raise ResourceConflict(f"Job {name} has no failed items; there is nothing to score again.", target=name)
    _refuse_what_stays(wanted)
    deployment = _deployment(desk, job, wanted)
    data = job.settings.model_copy(update={"chaos": wanted.chaos})
    if deployment is None:
        return _begin(desk, job, data, job.compute, {}, idempotency_key)
    # The lines that stand in the output already have the columns that they have.
    settings = as_deployed(desk, deployment, wanted, data).model_copy(update={"provenance": job.settings.provenance})
    if why := job.settings.unlike(settings):
        raise ResourceConflict(
            f"Job {name} cannot be redriven with deployment {deployment.name}: {why}. Name one that scores as the job "
            "did, with --deployment-name, or invoke the endpoint again.",
            target=deployment.name,
        )
    properties = {_COMPUTE: ids.last_segment(deployment.compute)}
    if deployment.name != job.deployment_name or REDRIVEN_WITH in job.properties:
        properties[REDRIVEN_WITH] = deployment.name
    return _begin(desk, job, settings, deployment.compute, properties, idempotency_key)


def resume(desk: Desk, name: str, idempotency_key: RequestKey | None = None) -> Job:
    """Go on with a job that failed or was canceled, with its frozen settings; raises as ``redrive`` does."""
    if idempotency_key and (first := desk.store.job_of_key(desk.key, idempotency_key)):
        return first
    job = _fit_job(desk, name, "resumed", "job resume")
    if job.status is JobStatus.COMPLETED:
        raise ResourceConflict(
            f"Job {name} is Completed; nothing of it is left to go on with. Items that failed are scored again with: "
            f"job redrive --name {name}",
            target=name,
        )
    return _begin(desk, job, job.settings, job.compute, {}, idempotency_key)


def rerun(desk: Desk, name: str, idempotency_key: RequestKey | None = None) -> Job:
    """Start a new job with the frozen settings of one that has ended, and an output folder of its own.

    The same ``idempotency_key`` answers the same job again. Raises ResourceConflict when something that the job
    needs is gone.
    """
    if idempotency_key and (first := desk.store.job_of_key(desk.key, idempotency_key)):
        return first
    before = desk.job_or_step(name)
    if before.parent_job_name:
        raise step_refusal(name, "run again", "job rerun")
    _refuse_what_is_gone(before)
    desk.compute(before.compute)
    new = new_job_name()
    place = frozen_output(desk, new, None)
    output = {"output_folder": place.folder, "output_store": place.store, "output_uri": place.uri}
    kept = {key: value for key, value in before.properties.items() if not key.startswith(NOTES)}
    job = Job(
        name=new,
        display_name=friendly_name(),
        endpoint_name=before.endpoint_name,
        deployment_name=before.deployment_name,
        experiment_name=before.experiment_name,
        compute=before.compute,
        description=before.description,
        tags=before.tags,
        properties={**kept, RERUN_OF: name},
        settings=before.settings.model_copy(update={**output, "chaos": {}}),
        creation_context=context(desk.caller),
        id=ids.job_id(desk.workspace, new),
    )
    accepted = desk.store.create_job(desk.key, job, idempotency_key)
    desk.plane.job_arrived()
    return accepted


def _refuse_what_is_gone(job: Job) -> None:
    settings = job.settings
    needed = {"code": settings.code_path, "model": settings.model_path}
    if settings.input_store is None and "://" not in settings.input.path:
        needed["input"] = settings.input.path
    gone = [f"its {what} {path}" for what, path in needed.items() if path and not Path(path).exists()]
    if job.status.is_terminal and not gone and PRUNED not in job.properties:
        return
    if not job.status.is_terminal:
        why = f"it is {job.status}. Wait for it (job stream --name {job.name}), then run it again"
    elif gone:
        why = (
            f"{' and '.join(gone)} is gone from the server's machine. Put it back, or invoke the endpoint with what is"
        )
        why += " there now"
    else:
        why = f"it was pruned on {job.properties[PRUNED][:10]}. Invoke the endpoint again"
    raise ResourceConflict(f"Job {job.name} cannot be run again: {why}.", target=job.name)


def _begin(
    desk: Desk,
    job: Job,
    settings: JobSettings,
    compute: str,
    properties: Mapping[str, str],
    idempotency_key: RequestKey | None,
) -> Job:
    desk.compute(compute)
    begun = desk.store.reopen_job(desk.key, job.name, settings, properties, compute, idempotency_key)
    desk.plane.job_arrived()
    return begun


def _fit_job(desk: Desk, name: str, done: str, command: str) -> Job:
    job = desk.job_or_step(name)
    if job.parent_job_name:
        raise step_refusal(name, done, command)
    if not job.status.is_terminal:
        raise ResourceConflict(
            f"Job {name} is {job.status}; only a job that has ended can be {done}. "
            f"Wait for it (job stream --name {name}), or stop it: job cancel --name {name}",
            target=name,
        )
    folder = job_folder(desk.settings.home, name)
    if PRUNED in job.properties:
        lost = f"its plan and what it had scored were removed to make room ({job.properties[PRUNED]})"
    elif job.progress.items and not folder.plan_header.is_file():
        lost = f"its plan is gone from {folder.path}"
    else:
        return job
    raise ResourceConflict(f"Job {name} cannot be {done}: {lost}. Invoke the endpoint again.", target=name)


def _refuse_what_stays(wanted: Invocation) -> None:
    stays = "stays as it is: the job's plan and its output stand. Remove it, or invoke the endpoint for a new job."
    problems = [Problem(f"properties.{key}", stays) for field, key in _STAYS.items() if getattr(wanted, field)]
    if problems:
        raise ValidationFailed("redrive", tuple(problems))


def _deployment(desk: Desk, job: Job, wanted: Invocation) -> Deployment | None:
    """The one to score with, as it stands now; None when nobody named one and the job's own is gone."""
    if wanted.deployment_name:
        return desk.deployment(job.endpoint_name, wanted.deployment_name)
    found = desk.store.get_deployment(desk.key, job.endpoint_name, job.deployment_name)
    if found is None and any(getattr(wanted, field) is not None for field in _OVERRIDES):
        raise UserError(
            f"Deployment {job.deployment_name} of job {job.name} is gone, and without one the settings of the job stay "
            "as they are. Name another deployment of the endpoint with --deployment-name, or leave out --set.",
            target=job.deployment_name,
        )
    return found
