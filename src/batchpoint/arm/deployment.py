"""The model deployment on the wire. References stay text here; the server resolves them."""

from typing import Any, cast

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.operations import kept_properties
from batchpoint.arm.envelope.reading import (
    Body,
    build,
    creation_context,
    duration_to_iso,
    enum_from_wire,
    enum_to_wire,
    system_data,
    without_none,
)
from batchpoint.entities.deployment import Deployment, Resources
from batchpoint.entities.tables.generated import Generated
from batchpoint.entities.tables.golden_rows import GoldenRows
from batchpoint.entities.tables.output import OutputFormat, default_name
from batchpoint.entities.tables.split import Split
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported, ReferenceInvalid


def to_json(deployment: Deployment, workspace: Workspace, location: str | None = None) -> dict[str, Any]:
    """The resource; the model, code and environment of ``deployment`` must be references by now."""
    arm_id = deployment.id or ids.deployment_id(workspace, deployment.endpoint_name, deployment.name)
    return without_none(
        {
            "id": arm_id,
            "name": deployment.name,
            "type": ids.type_of(arm_id),
            "location": location,
            "tags": deployment.tags,
            "systemData": system_data(deployment.creation_context),
            "properties": _properties(deployment),
        }
    )


def _properties(deployment: Deployment) -> dict[str, Any]:
    code = deployment.code_configuration
    return without_none(
        {
            "description": deployment.description,
            "properties": deployment.properties,
            "model": {"referenceType": "Id", "assetId": _reference(deployment.model, "model")},
            "codeConfiguration": {"codeId": code.code, "scoringScript": code.scoring_script} if code else None,
            "environmentId": None
            if deployment.environment is None
            else _reference(deployment.environment, "environment"),
            "environmentVariables": deployment.environment_variables,
            "compute": deployment.compute,
            "resources": _resources_to_json(deployment.resources),
            "errorThreshold": deployment.error_threshold,
            "loggingLevel": deployment.logging_level.capitalize(),
            "maxConcurrencyPerInstance": deployment.max_concurrency_per_instance,
            "miniBatchSize": deployment.mini_batch_size,
            "outputAction": enum_to_wire(deployment.output_action),
            "outputFileName": _output_file_name(deployment),
            "retrySettings": {
                "maxRetries": deployment.retry_settings.max_retries,
                "timeout": duration_to_iso(deployment.retry_settings.timeout),
            },
            "isolateFailures": deployment.isolate_failures,
            "maxMiniBatchesPerWorker": deployment.max_mini_batches_per_worker,
            "provenance": deployment.provenance,
            "outputFormat": deployment.output_format,
            "passthroughColumns": list(deployment.passthrough_columns) or None,
            "predictionColumns": deployment.prediction_columns,
            "outputShardSize": deployment.output_shard_size,
            "split": _part(deployment.split),
            "goldenRows": _part(deployment.golden_rows),
            "partitionKeys": list(deployment.partition_keys) or None,
            "provisioningState": deployment.provisioning_state,
            "generated": _generated(deployment.generated),
        }
    )


def _generated(generated: Generated | None) -> dict[str, Any] | None:
    """Ours: what only an answer carries."""
    if generated is None:
        return None
    return without_none(
        {
            "scoringScript": generated.scoring_script,
            "condaFile": generated.conda_file,
            "notes": list(generated.notes) or None,
        }
    )


def _read_generated(said: Body) -> dict[str, Any] | None:
    script = said.text("scoringScript")
    if script is None:
        return None
    return {"scoring_script": script, "conda_file": said.mapping("condaFile") or None, "notes": said.items("notes")}


def _reference(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ReferenceInvalid(f"The {what} is written in place; register it first and send its id.", target=what)
    return value


def _output_file_name(deployment: Deployment) -> str | None:
    if deployment.output_action != "append_row":
        return None
    return deployment.output_file_name or default_name(deployment.output_format)


def _part(noun: Split | GoldenRows | None) -> dict[str, Any] | None:
    return noun.model_dump(mode="json", exclude_none=True) if noun else None


def _resources_to_json(resources: Resources) -> dict[str, Any]:
    return without_none(
        {
            "instanceCount": resources.instance_count,
            "instanceType": resources.instance_type,
            "maxInstanceCount": resources.max_instance_count,
            "properties": resources.properties,
            "locations": list(resources.locations) or None,
            "shmSize": resources.shm_size,
            "dockerArgs": resources.docker_args,
        }
    )


def from_json(body: Body, endpoint: str | None = None, name: str | None = None) -> Deployment:
    """Reads a request (then the names are those of its URL) or an answer."""
    properties = body.child("properties")
    if properties.has("deploymentConfiguration"):
        raise NotSupported(
            "Pipeline component deployments are not offered here; deploy a model with a scoring script.",
            target="properties.deploymentConfiguration",
        )
    output_action = enum_from_wire(properties.text("outputAction"))
    values = {
        "name": name or body.text("name"),
        "endpoint_name": endpoint or endpoint_of(body.text("id") or ""),
        "tags": body.texts("tags"),
        "id": body.text("id"),
        "creation_context": creation_context(body),
        "output_action": output_action,
        # Clients send the default name along with summary_only.
        "output_file_name": None if output_action == "summary_only" else _named(properties),
        **_references(properties),
        **_scalars(properties),
    }
    return build(Deployment, values)


def _named(properties: Body) -> str | None:
    """The name of the gathered file, where it is not the one that its format has anyway: that changes with it."""
    name, chosen = properties.text("outputFileName"), (properties.text("outputFormat") or "azure").lower()
    return None if name == default_name(cast(OutputFormat, chosen)) else name


def _references(properties: Body) -> dict[str, Any]:
    code = properties.child("codeConfiguration")
    given = {"code": code.text("codeId"), "scoring_script": code.text("scoringScript")}
    return {
        "model": _model(properties),
        "code_configuration": without_none(given) if any(given.values()) else None,
        "environment": properties.text("environmentId"),
        "compute": properties.text("compute"),
    }


def _model(properties: Body) -> object:
    """An id, or the place of an unregistered model, which the server registers."""
    if isinstance(properties.raw("model"), str):
        return properties.text("model")
    model = properties.child("model")
    kind = (model.text("referenceType") or "Id").lower()
    if kind == "datapath":
        return {"path": f"{model.text('datastoreId')}/paths/{(model.text('path') or '').lstrip('/')}"}
    if kind == "outputpath":
        job = ids.last_segment(model.text("jobId") or "")
        return {"path": f"azureml://jobs/{job}/outputs/score/paths/{(model.text('path') or '').lstrip('/')}"}
    return model.text("assetId")


def _scalars(properties: Body) -> dict[str, Any]:
    retry, resources = properties.child("retrySettings"), properties.child("resources")
    level = properties.text("loggingLevel")
    return {
        "description": properties.text("description"),
        "properties": kept_properties(properties),
        "environment_variables": properties.texts("environmentVariables"),
        "error_threshold": properties.integer("errorThreshold"),
        "logging_level": level.lower() if level else None,
        "max_concurrency_per_instance": properties.integer("maxConcurrencyPerInstance"),
        "mini_batch_size": properties.integer("miniBatchSize"),
        "retry_settings": without_none(
            {"max_retries": retry.integer("maxRetries"), "timeout": retry.duration("timeout")}
        ),
        "resources": without_none(
            {
                "instance_count": resources.integer("instanceCount"),
                "instance_type": resources.text("instanceType"),
                "max_instance_count": resources.integer("maxInstanceCount"),
                "properties": resources.mapping("properties"),
                "locations": resources.items("locations"),
                "shm_size": resources.text("shmSize"),
                "docker_args": resources.text("dockerArgs"),
            }
        ),
        "isolate_failures": properties.boolean("isolateFailures"),
        "max_mini_batches_per_worker": properties.integer("maxMiniBatchesPerWorker"),
        "provenance": properties.boolean("provenance"),
        "output_format": enum_from_wire(properties.text("outputFormat")),
        "passthrough_columns": properties.items("passthroughColumns"),
        "prediction_columns": enum_from_wire(properties.text("predictionColumns")),
        "output_shard_size": properties.integer("outputShardSize"),
        "split": properties.mapping("split") or None,
        "golden_rows": properties.mapping("goldenRows") or None,
        "partition_keys": properties.items("partitionKeys"),
        "provisioning_state": properties.text("provisioningState"),
        "generated": _read_generated(properties.child("generated")),
    }


def endpoint_of(arm_id: str) -> str | None:
    """The endpoint's name in the id of a deployment or of an endpoint's job."""
    segments = arm_id.split("/")
    lowered = [segment.lower() for segment in segments]
    if "batchendpoints" not in lowered[:-1]:
        return None
    return segments[lowered.index("batchendpoints") + 1] or None
