"""The rules of invoking an endpoint: which deployment, which settings, which input and output.

Everything a job needs is resolved and frozen here, once: later changes of endpoint, deployment, assets or datastores
never reach the job. It knows no HTTP and no JSON.
"""

import uuid
from typing import TypeVar

from batchpoint.arm.envelope import ids
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.data import Invocation
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import NOTES, STEP, Job, JobSettings, job_of_step
from batchpoint.entities.naming import names
from batchpoint.entities.tables.output import default_name
from batchpoint.errors import Problem, ReferenceInvalid, ResourceNotFound, UserError, ValidationFailed
from batchpoint.server.environments.isolation import frozen
from batchpoint.server.identity.actions import ML
from batchpoint.server.intake import limits
from batchpoint.server.intake.creation import check_output_file_name, context
from batchpoint.server.intake.data_places import frozen_input, frozen_output
from batchpoint.server.intake.friendly_names import friendly_name
from batchpoint.server.intake.golden.keeping import frozen_golden_rows
from batchpoint.server.intake.locations import local_path_of
from batchpoint.server.lookup import Desk
from batchpoint.storage.datastores import DEFAULT_DATASTORE
from batchpoint.store.records import RequestKey

T = TypeVar("T", int, bool)


def create_job(
    desk: Desk, endpoint_name: str, invocation: Invocation, idempotency_key: RequestKey | None = None
) -> Job:
    """Accept an invocation: answers the job, which waits for a driver.

    The same ``idempotency_key`` answers the same job again.
    """
    if idempotency_key and (first := desk.store.job_of_key(desk.key, idempotency_key)):
        return first
    limits.check_queue(desk)
    endpoint = desk.endpoint(endpoint_name)
    deployment = _route(desk, endpoint, invocation.deployment_name)
    limits.check_words(desk.settings, invocation.tags, {k: str(v) for k, v in invocation.properties.items()})
    name = _job_name(invocation.job_name)
    job = Job(
        name=name,
        display_name=friendly_name(),
        endpoint_name=endpoint.name,
        deployment_name=deployment.name,
        experiment_name=invocation.experiment_name or endpoint.name,
        compute=deployment.compute,
        tags={**invocation.tags, "azureml.batchrun": "true", "azureml.deploymentname": deployment.name},
        properties={
            # What the service notes of a job itself, it believes later.
            **{key: str(value) for key, value in invocation.properties.items() if not key.startswith(NOTES)},
            **_service_properties(deployment),
        },
        settings=_freeze(desk, name, deployment, invocation),
        creation_context=context(desk.caller),
        id=ids.job_id(desk.workspace, name),
    )
    accepted = desk.store.create_job(desk.key, job, idempotency_key)
    desk.plane.job_arrived()
    return accepted


def _service_properties(deployment: Deployment) -> dict[str, str]:
    """What clients read off the jobs of batch deployments."""
    own = {
        "DatasetAccessMode": "Asset",
        "DevPlatv2": "true",
        "continue_on_failed_optional_input": "True",
        "continue_on_step_failure": "True",
        "defaultComputeName": ids.last_segment(deployment.compute),
        "defaultDataStoreName": DEFAULT_DATASTORE,
        "deploymentname": deployment.name,
        "endpointname": deployment.endpoint_name,
        "enforceRerun": "False",
        "parameters": "{}",
        "pipelineComponent": "pipelinerun",
        "runLineageType": "batchDeployment",
        "runsource": "azureml.PipelineRun",
    }
    return {**{f"azureml.{name}": v for name, v in own.items()}, "runSource": "BatchDeployment", "runType": "HTTP"}


def _route(desk: Desk, endpoint: Endpoint, wanted: str | None) -> Deployment:
    if wanted:
        return desk.deployment(endpoint.name, wanted)
    if endpoint.defaults.deployment_name:
        return desk.deployment(endpoint.name, endpoint.defaults.deployment_name)
    names = [d.name for d in desk.store.list_deployments(desk.key, endpoint.name)]
    if names and not desk.may(f"{ML}/batchEndpoints/deployments/read"):
        message = (
            f"Endpoint {endpoint.name} has no default deployment. Name one in the header azureml-model-deployment."
        )
    elif not names:
        message = (
            f"No deployment exists for this endpoint. Create one with: "
            f"batch-deployment create --endpoint-name {endpoint.name} --file <deployment.yml> --set-default"
        )
    else:
        message = (
            f"Endpoint {endpoint.name} has no default deployment. Name one ({', '.join(names)}) with --deployment-name "
            f"or the header azureml-model-deployment, or set the default: batch-endpoint update "
            f"--name {endpoint.name} --set defaults.deployment_name={names[0]}"
        )
    raise ResourceNotFound(message, target=endpoint.name)


def new_job_name() -> str:
    """A name that no job has."""
    return f"batchjob-{uuid.uuid4()}"


def _job_name(wanted: str | None) -> str:
    if wanted is None:
        return new_job_name()
    if job_of_step(wanted):
        raise ReferenceInvalid(
            f'A job cannot be called "{wanted}": names that end in -{STEP} belong to the steps of jobs.',
            target="job_name",
        )
    return names.JOB.checked(wanted)


def _freeze(desk: Desk, job: str, deployment: Deployment, invocation: Invocation) -> JobSettings:
    source = frozen_input(desk, invocation.input)
    output = frozen_output(desk, job, invocation.output_path)
    data = JobSettings(
        code_path="",
        scoring_script="",
        input=source.input,
        input_store=source.store,
        output_folder=output.folder,
        output_store=output.store,
        output_uri=output.uri,
        output_action=deployment.output_action,
        output_file_name=_output_file_name(deployment, invocation),
        mini_batch_size=_either(invocation.mini_batch_size, deployment.mini_batch_size),
        provenance=_either(invocation.provenance, deployment.provenance),
        output_format=invocation.output_format or deployment.output_format,
        passthrough_columns=deployment.passthrough_columns,
        prediction_columns=deployment.prediction_columns,
        output_shard_size=deployment.output_shard_size,
        split=invocation.split or deployment.split,
        chaos=_chaos(desk, deployment, invocation),
    )
    return as_deployed(desk, deployment, invocation, data)


def as_deployed(desk: Desk, deployment: Deployment, invocation: Invocation, data: JobSettings) -> JobSettings:
    """What ``data`` says of input, plan and output, and everything else as the deployment has it now."""
    code = deployment.code_configuration
    assert isinstance(deployment.model, str)
    assert not isinstance(deployment.environment, Environment)
    compute, retries = desk.compute(deployment.compute), deployment.retry_settings
    # Whoever made the deployment may use what it names; who invokes it need not.
    vouched = desk.vouched
    script = vouched.referenced(Code, code.code) if code else None
    model = vouched.referenced(Model, deployment.model)
    concurrency = _either(invocation.max_concurrency_per_instance, deployment.max_concurrency_per_instance)
    limits.check_workers(desk.settings, concurrency)
    said: dict[str, object] = {
        "code_path": str(local_path_of(desk.keeping(script), script.path)) if script else "",
        "scoring_script": code.scoring_script if code else "",
        "model_path": str(local_path_of(desk.keeping(model), model.path)),
        "environment": frozen(desk, vouched.referenced(Environment, deployment.environment))
        if deployment.environment
        else None,
        "golden_rows": frozen_golden_rows(desk, deployment),
        "environment_variables": deployment.environment_variables,
        "instance_count": _instance_count(desk, deployment, invocation),
        "max_concurrency_per_instance": concurrency,
        "max_retries": _either(invocation.max_retries, retries.max_retries),
        "timeout_s": _either(invocation.timeout_s, retries.timeout),
        "error_threshold": _either(invocation.error_threshold, deployment.error_threshold),
        "isolate_failures": _either(invocation.isolate_failures, deployment.isolate_failures),
        "max_mini_batches_per_worker": (
            invocation.max_mini_batches_per_worker or deployment.max_mini_batches_per_worker
        ),
        "logging_level": invocation.logging_level or deployment.logging_level,
        "lifetime_s": limits.lifetime_s(desk.settings, compute),
        "place": compute.place,
    }
    return data.model_copy(update=said)


def _chaos(desk: Desk, deployment: Deployment, invocation: Invocation) -> dict[str, float]:
    """Refuses harm to processes that are not on this machine."""
    if invocation.chaos and desk.compute(deployment.compute).place.type == "ray":
        raise UserError(
            f"chaos is done to processes of this machine, and the workers of compute {deployment.compute} are on the "
            "nodes of a Ray cluster. Try the deployment on another compute: batch-deployment update "
            f"--name {deployment.name} --endpoint-name {deployment.endpoint_name} --set compute=azureml:NAME",
            target="chaos",
        )
    return invocation.chaos


def _either(override: T | None, own: T) -> T:
    return own if override is None else override


def _instance_count(desk: Desk, deployment: Deployment, invocation: Invocation) -> int:
    """Refuses at once what the compute could never give."""
    count = _either(invocation.instance_count, deployment.resources.instance_count)
    compute = desk.compute(deployment.compute)
    limits.check_instance_count(desk.settings, count)
    if count > compute.max_instances:
        remedy = "Ask for fewer, or raise it" if compute.max_instances else "Raise it"
        raise UserError(
            f"instance_count is {count}, but compute {compute.name} has at most {compute.max_instances} instances. "
            f"{remedy}: compute update --name {compute.name} --max-instances {count}",
            target="instance_count",
        )
    return count


def _output_file_name(deployment: Deployment, invocation: Invocation) -> str:
    if deployment.output_action == "summary_only":
        if invocation.output_file_name:
            message = f"need not be given: {deployment.name} has output_action summary_only. Remove it."
            raise ValidationFailed("invocation", (Problem("properties.outputFileName", message),))
        if invocation.output_format:
            message = (
                f"cannot be given: {deployment.name} has output_action summary_only, and its script writes the files."
            )
            raise ValidationFailed("invocation", (Problem("properties.outputFormat", f"{message} Remove it."),))
        return default_name("azure")
    chosen = default_name(invocation.output_format or deployment.output_format)
    name = invocation.output_file_name or deployment.output_file_name or chosen
    check_output_file_name("invocation", name)
    return name
