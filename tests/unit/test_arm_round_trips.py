"""Every noun survives its own spelling on the wire, and foreign spellings of it are understood."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from batchpoint.arm import assets, compute, datastore, deployment, endpoint, invocation, job
from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.assets import Code, Environment, EnvironmentBuild, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Input, Invocation
from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.entities.deployment import CodeConfiguration, Deployment, Resources, RetrySettings
from batchpoint.entities.endpoint import Endpoint, EndpointDefaults
from batchpoint.entities.job import FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.entities.noun import created_now
from batchpoint.entities.tables.split import Split
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import InternalError, NotSupported, ReferenceInvalid, ValidationFailed

WS = Workspace("sub", "Group", "ws")
MADE = created_now("ada", datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
SERVER = "http://localhost:1"


def travelled(resource: dict[str, Any]) -> Body:
    return Body(json.loads(json.dumps(resource)))


ENDPOINT = Endpoint(
    name="ep1",
    description="d",
    tags={"Team": "A"},
    properties={"p": "q"},
    location="local",
    identity={"type": "system_assigned"},
    defaults=EndpointDefaults(deployment_name="dp"),
    id=ids.endpoint_id(WS, "ep1"),
    provisioning_state="Succeeded",
    scoring_uri="http://x/jobs",
    creation_context=MADE,
)
DEPLOYMENT = Deployment(
    name="dp1",
    endpoint_name="ep1",
    description="d",
    tags={"a": "b"},
    properties={"p": "q"},
    model=ids.asset_id(WS, "models", "m", "1"),
    code_configuration=CodeConfiguration(code=ids.asset_id(WS, "codes", "c", "1"), scoring_script="sub/score.py"),
    environment=ids.asset_id(WS, "environments", "e", "1"),
    environment_variables={"LOWER_and_Upper": "1"},
    compute=ids.compute_id(WS, "cpu"),
    resources=Resources(instance_count=2, instance_type="x", locations=("here",), shm_size="2g"),
    max_concurrency_per_instance=3,
    mini_batch_size=7,
    output_file_name="rows.csv",
    retry_settings=RetrySettings(max_retries=1, timeout=90),
    error_threshold=5,
    logging_level="debug",
    isolate_failures=False,
    max_mini_batches_per_worker=500,
    provenance=True,
    id=ids.deployment_id(WS, "ep1", "dp1"),
    provisioning_state="Succeeded",
    creation_context=MADE,
)
COMPUTE = Compute(
    name="cpu",
    size="Standard_DS3_v2",
    tier="low_priority",
    min_instances=1,
    max_instances=5,
    idle_time_before_scale_down=90,
    tags={"a": "b"},
    location="local",
    ssh_public_access_enabled=False,
    network_settings={"subnet": "s"},
    enable_node_public_ip=False,
    id=ids.compute_id(WS, "cpu"),
    provisioning_state="Succeeded",
    creation_context=MADE,
)
RAY = Compute(
    name="farm",
    type="ray",
    address="ray://head:10001",
    cpus_per_instance=2.5,
    gpus_per_instance=1,
    memory_per_instance="2g",
    resources_per_instance={"fast_disk": 1},
    token_path="/etc/ray/token",
    max_instances=3,
    id=ids.compute_id(WS, "farm"),
)
DATASTORE = Datastore(name="ds", path="/data", tags={"a": "b"}, is_default=True, id=ids.datastore_id(WS, "ds"))
JOB = Job(
    name="j1",
    display_name="calm_fig_1",
    endpoint_name="ep1",
    deployment_name="dp1",
    experiment_name="ep1",
    compute=ids.compute_id(WS, "cpu"),
    tags={"azureml.batchrun": "true"},
    properties={"a": "b"},
    settings=JobSettings(
        code_path="/c",
        scoring_script="score.py",
        environment=Environment(name="e", version="1", conda_file={"name": "x", "dependencies": ["pip"]}),
        input=Input(path="/in", include=("*.png",)),
        output_folder="/out",
        output_uri="azureml://datastores/workspaceblobstore/paths/o/",
    ),
    status=JobStatus.FAILED,
    revision=2,
    progress=Progress(items=10, items_succeeded=7, items_failed=3),
    failures=(FailureReason(code="ScriptRaised", message="ValueError: x", mini_batches=1, items=3, example="a"),),
    error=JobError(code="ErrorThresholdExceeded", message="too many"),
    started_at=datetime(2026, 1, 2, tzinfo=UTC),
    creation_context=MADE,
    id=ids.job_id(WS, "j1"),
)


def test_an_endpoint_comes_back_as_it_went() -> None:
    assert endpoint.from_json(travelled(endpoint.to_json(ENDPOINT, WS))) == ENDPOINT


def test_an_empty_endpoint_carries_objects_where_clients_write_into_them() -> None:
    properties = endpoint.to_json(Endpoint(name="ep1"), WS)["properties"]
    assert (properties["defaults"], properties["properties"]) == ({}, {})


@pytest.mark.parametrize("spelling", ["AADToken", "aadToken", "aad_token", "AadToken"])
def test_the_one_auth_mode_is_read_in_every_spelling(spelling: str) -> None:
    assert endpoint.from_json(Body({"properties": {"authMode": spelling}}), "ep1").auth_mode == "aad_token"


def test_a_deployment_comes_back_as_it_went() -> None:
    assert deployment.from_json(travelled(deployment.to_json(DEPLOYMENT, WS))) == DEPLOYMENT


def test_summary_only_carries_no_file_name_even_if_the_client_sends_the_default_one() -> None:
    without = DEPLOYMENT.model_copy(update={"output_action": "summary_only", "output_file_name": None})
    sent = deployment.to_json(without, WS)
    assert "outputFileName" not in sent["properties"]
    sent["properties"]["outputFileName"] = "predictions.csv"
    assert deployment.from_json(travelled(sent)) == without


def test_the_defaults_of_a_deployment_are_filled_in() -> None:
    sent = {"properties": {"model": {"assetId": "azureml:m:1"}, "compute": "azureml:cpu"}}
    read = deployment.from_json(Body(sent), "ep1", "dp1")
    assert (read.mini_batch_size, read.retry_settings.timeout, read.resources.instance_count) == (10, 30, 1)


def test_a_deployment_is_read_from_pascal_case_text_numbers_and_lower_case_enums() -> None:
    sent = {
        "Properties": {
            "Model": {"ReferenceType": "id", "AssetId": "azureml:m:1"},
            "Compute": "azureml:cpu",
            "MiniBatchSize": "5",
            "MaxConcurrencyPerInstance": "4",
            "ErrorThreshold": "10",
            "LoggingLevel": "INFO",
            "OutputAction": "summaryOnly",
            "RetrySettings": {"MaxRetries": "2", "Timeout": "PT1M"},
            "Resources": {"InstanceCount": "3"},
            "somethingNew": {"a": 1},
        }
    }
    read = deployment.from_json(Body(sent), "ep1", "dp1")
    assert (read.mini_batch_size, read.max_concurrency_per_instance, read.error_threshold) == (5, 4, 10)
    assert (read.logging_level, read.output_action, read.resources.instance_count) == ("info", "summary_only", 3)
    assert (read.retry_settings.max_retries, read.retry_settings.timeout) == (2, 60)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ({"referenceType": "DataPath", "datastoreId": "/ds", "path": "/a/b"}, "/ds/paths/a/b"),
        (
            {"referenceType": "OutputPath", "jobId": f"{WS.arm_id}/jobs/j1", "path": "m"},
            "azureml://jobs/j1/outputs/score/paths/m",
        ),
    ],
)
def test_a_model_may_be_named_by_its_place(model: dict[str, str], path: str) -> None:
    read = deployment.from_json(Body({"properties": {"model": model, "compute": "cpu"}}), "ep1", "dp1")
    assert isinstance(read.model, Model)
    assert read.model.path == path


def test_every_bad_property_of_a_deployment_is_named_as_it_was_sent() -> None:
    sent = {"properties": {"model": "azureml:m:1", "miniBatchSize": 0, "retrySettings": {"timeout": "PT0S"}}}
    with pytest.raises(ValidationFailed) as caught:
        deployment.from_json(Body(sent), "ep1", "dp1")
    keys = {problem.key for problem in caught.value.problems}
    assert keys == {"properties.compute", "properties.miniBatchSize", "properties.retrySettings.timeout"}


def test_pipeline_deployments_are_refused_with_a_sentence() -> None:
    with pytest.raises(NotSupported, match="Pipeline component deployments"):
        deployment.from_json(Body({"properties": {"deploymentConfiguration": {"a": 1}}}), "ep1", "dp1")


def test_a_deployment_with_a_model_in_place_cannot_travel() -> None:
    with pytest.raises(ReferenceInvalid, match="register it first"):
        deployment.to_json(DEPLOYMENT.model_copy(update={"model": Model(path="./m")}), WS)


def test_a_compute_comes_back_as_it_went() -> None:
    assert compute.from_json(travelled(compute.to_json(COMPUTE, WS))) == COMPUTE


def test_a_ray_compute_comes_back_as_it_went() -> None:
    assert compute.from_json(travelled(compute.to_json(RAY, WS))) == RAY
    assert RAY.place.memory == 2 * 1024**3


def test_a_key_of_the_other_type_is_refused_by_its_name() -> None:
    sent = {"properties": {"computeType": "Ray", "properties": {"address": "auto", "vmSize": "big"}}}
    with pytest.raises(ValidationFailed, match="size: this key belongs to type: amlcompute"):
        compute.from_json(Body(sent), "c")
    sent = {"properties": {"computeType": "AmlCompute", "properties": {"address": "auto"}}}
    with pytest.raises(ValidationFailed, match="address: this key belongs to type: ray"):
        compute.from_json(Body(sent), "c")


def test_a_ray_compute_without_an_address_is_refused_with_an_example() -> None:
    with pytest.raises(ValidationFailed, match=r"address: .*ray://<host>:10001"):
        compute.from_json(Body({"properties": {"computeType": "Ray"}}), "c")


def test_other_computes_are_refused() -> None:
    with pytest.raises(NotSupported, match="ComputeInstance"):
        compute.from_json(Body({"properties": {"computeType": "ComputeInstance"}}), "c")


def test_a_compute_with_too_many_instances_at_least_is_refused_by_its_own_key() -> None:
    sent = {"properties": {"properties": {"scaleSettings": {"minNodeCount": 3, "maxNodeCount": 2}}}}
    with pytest.raises(ValidationFailed, match="minInstances: 3 is more than max_instances, which is 2"):
        compute.from_json(Body(sent), "c")


BLOBS = Datastore(name="b", type="azure_blob", account_name="acct", container_name="box", tags={"a": "b"})
LAKE = Datastore(name="l", type="azure_data_lake_gen2", account_name="acct", filesystem="fs", protocol="http")
BUCKET = Datastore(name="s", type="s3", bucket="b", prefix="team/", endpoint_url="http://minio:9000", region="r")


@pytest.mark.parametrize("sent", [DATASTORE, BLOBS, LAKE, BUCKET], ids=lambda sent: sent.type)
def test_a_datastore_comes_back_as_it_went(sent: Datastore) -> None:
    back = datastore.from_json(travelled(datastore.to_json(sent, WS)))
    assert back == sent.model_copy(update={"credentials_type": "none", "id": ids.datastore_id(WS, sent.name)})


@pytest.mark.parametrize(
    ("store", "secrets"),
    [
        (BLOBS, {"account_key": "K"}),
        (BLOBS, {"sas_token": "?sig=x"}),
        (LAKE, {"tenant_id": "t", "client_id": "c", "client_secret": "S", "authority_url": "https://login"}),
        (BUCKET, {"access_key": "A", "secret_key": "S"}),
        (BUCKET, {"access_key": "A", "secret_key": "S", "session_token": "T"}),
    ],
)
def test_the_secrets_of_a_datastore_travel_in_requests_only(store: Datastore, secrets: dict[str, str]) -> None:
    full = store.model_copy(update={"credentials": Credentials.model_validate(secrets)})
    read = datastore.from_json(travelled(datastore.request_to_json(full, WS)))
    assert read.credentials is not None
    assert read.credentials.revealed() == secrets
    answered = datastore.to_json(full, WS)
    assert not {"K", "?sig=x", "S", "A", "T"} & set(answered["properties"]["credentials"].values())
    # What was read from a server is sent back without a word about credentials, so that they stay.
    kept = full.model_copy(update={"credentials": None, "credentials_type": read.credentials.type})
    assert "credentials" not in datastore.request_to_json(kept, WS)["properties"]


@pytest.mark.parametrize(
    "asset",
    [
        Model(name="m", version="1", path="azureml://datastores/d/paths/m/", type="mlflow_model", flavors={"a": {}}),
        Model(name="m", version="1", path="/m", description="d", tags={"a": "b"}, properties={"c": "d"}, stage="Prod"),
        DataAsset(name="d", version="v.1", path="/in", type="uri_file", tags={"a": "b"}),
        DataAsset(name="d", version="1", path="/in", type="mltable"),
        Environment(name="e", version="1", image="img", conda_file={"dependencies": ["pip"]}, tags={"a": "b"}),
        Environment(name="e", version="1", build=EnvironmentBuild(path="/ctx", dockerfile_path="D")),
        Environment(name="e", version="1", python="/usr/bin/python3", inference_config={"a": 1}),
        Code(name="c", version="1", path="/code", content_hash="0" * 64),
    ],
    ids=lambda asset: type(asset).__name__,
)
def test_an_asset_comes_back_as_it_went(asset: assets.Asset) -> None:
    stored = asset.model_copy(
        update={
            "id": ids.asset_id(WS, assets.SEGMENT[type(asset)], asset.name or "", asset.version or ""),
            "creation_context": MADE,
        }
    )
    assert assets.from_json(type(stored), travelled(assets.to_json(stored, WS))) == stored


def test_a_model_version_always_carries_flavors() -> None:
    assert assets.to_json(Model(name="m", version="1", path="/m"), WS)["properties"]["flavors"] == {}


@pytest.mark.parametrize(
    ("properties", "kind"),
    [
        ({"modelFormat": "MLFlow"}, "mlflow_model"),
        ({"modelFormat": "Custom"}, "custom_model"),
        ({"modelFormat": "OpenAI"}, "custom_model"),
        ({"modelFormat": "Triton"}, "triton_model"),
        ({"modelType": "mlflow_model"}, "mlflow_model"),
        ({"modelType": "CustomModel"}, "custom_model"),
        ({"modelType": "MLFlowModel"}, "mlflow_model"),
        ({"modelType": "TritonModel"}, "triton_model"),
        ({}, None),
    ],
)
def test_every_era_names_the_type_of_a_model(properties: dict[str, str], kind: str | None) -> None:
    assert assets.from_json(Model, Body({"properties": {"modelUri": "/m", **properties}}), "m", "1").type == kind


@pytest.mark.parametrize(
    ("properties", "path", "kind"),
    [
        ({"paths": [{"folder": "/in"}]}, "/in", "uri_folder"),
        ({"paths": [{"file": "/in/a"}]}, "/in/a", "uri_file"),
        ({"dataUri": "/in", "dataType": "UriFolder"}, "/in", "uri_folder"),
        ({"dataUri": "/in/a", "dataType": "uri_file"}, "/in/a", "uri_file"),
        ({"dataUri": "/in/a", "dataType": "MLTable"}, "/in/a", "mltable"),
        ({"dataUri": "/in"}, "/in", "uri_folder"),
    ],
)
def test_data_is_read_in_the_spellings_of_2021_and_today(properties: dict[str, Any], path: str, kind: str) -> None:
    read = assets.from_json(DataAsset, Body({"properties": properties}), "d", "1")
    assert (read.path, read.type) == (path, kind)


@pytest.mark.parametrize("paths", [[], [{"file": "a"}, {"file": "b"}], ["a"], "a"])
def test_a_dataset_of_2021_has_exactly_one_path(paths: object) -> None:
    with pytest.raises(ValidationFailed, match=r"properties\.paths"):
        assets.from_json(DataAsset, Body({"properties": {"paths": paths}}), "d", "1")


def test_a_conda_file_is_read_as_yaml_json_or_object() -> None:
    wanted = {"name": "x", "dependencies": ["pip"]}
    for sent in ("name: x\ndependencies: [pip]\n", json.dumps(wanted), wanted):
        assert assets.from_json(Environment, Body({"properties": {"condaFile": sent}}), "e", "1").conda_file == wanted
    with pytest.raises(ValidationFailed, match="condaFile"):
        assets.from_json(Environment, Body({"properties": {"condaFile": "a: [b"}}), "e", "1")


def test_a_container_names_its_latest_and_next_version() -> None:
    latest = Model(name="m", version="3", path="/m", type="custom_model")
    sent = assets.container_to_json(latest, "4", WS, archived=False)
    assert (sent["properties"]["latestVersion"], sent["properties"]["nextVersion"]) == ("3", "4")
    read = assets.container_from_json(Model, travelled(sent))
    assert (read.name, read.version, read.latest_version, read.path) == ("m", None, "3", "/m")


@pytest.mark.parametrize("write", [job.to_json, job.batch_job_to_json])
def test_a_job_comes_back_whole(write: Any) -> None:
    sent = write(JOB, WS, SERVER)
    assert job.from_json(travelled(sent)).model_copy(update={"id": JOB.id}) == JOB
    assert sent["id"].startswith("/")
    assert sent["id"].endswith("/j1")


def test_counts_failures_and_the_error_of_a_job_can_be_read_without_knowing_us() -> None:
    properties = job.to_json(JOB, WS, SERVER)["properties"]
    assert properties["error"] == {"code": "ErrorThresholdExceeded", "message": "too many"}
    assert properties["properties"]["batchpoint.items_succeeded"] == "7"
    assert json.loads(properties["properties"]["batchpoint.failures"])[0]["message"] == "ValueError: x"
    assert all(isinstance(value, str) for value in properties["properties"].values())


def test_what_a_newer_server_adds_to_a_job_is_ignored() -> None:
    sent = json.loads(json.dumps(job.to_json(JOB, WS, SERVER)))
    sent["properties"]["batchpoint"]["settings"]["new"] = 1
    sent["properties"]["batchpoint"]["new"] = {"a": 1}
    assert job.from_json(Body(sent)) == JOB


def test_an_answer_that_is_no_job_of_ours_says_so() -> None:
    with pytest.raises(InternalError, match="one version"):
        job.from_json(Body({"name": "j", "properties": {}}))


def test_an_invocation_comes_back_as_it_went() -> None:
    sent = Invocation(
        job_name="j1",
        experiment_name="x",
        input=Input(path="azureml:d:1", type="uri_file", include=("*.png",), exclude=("b*",)),
        output_path="azureml://datastores/d/paths/o",
        output_file_name="p.csv",
        mini_batch_size=5,
        instance_count=2,
        max_concurrency_per_instance=3,
        error_threshold=-1,
        logging_level="debug",
        isolate_failures=False,
        max_mini_batches_per_worker=3,
        provenance=True,
        split=Split(rows=500),
        max_retries=0,
        timeout_s=90,
        tags={"a": "b"},
        properties={"k": "v"},
    )
    assert invocation.from_json(travelled(invocation.to_json(sent))) == sent
    assert invocation.to_json(Invocation()) == {"properties": {}}


FOLDER = "azureml://datastores/workspaceblobstore/paths/out"


@pytest.mark.parametrize(
    ("properties", "path", "kind"),
    [
        ({"InputData": {"x": {"JobInputType": "UriFile", "Uri": "https://h/a.png"}}}, "https://h/a.png", "uri_file"),
        (
            {"inputData": {"UriFolder": {"jobInputType": "UriFolder", "uri": "azureml:d:1"}}},
            "azureml:d:1",
            "uri_folder",
        ),
        ({"inputData": {"x": {"jobInputType": "uri_file", "uri": "a"}}}, "a", "uri_file"),
        ({"inputData": {"x": {"uri": "a"}}}, "a", None),
        ({"dataset": {"dataInputType": "DataUrl", "Path": "https://h/f/"}}, "https://h/f/", None),
        (
            {"dataset": {"dataInputType": "DatasetVersion", "datasetName": "m", "datasetVersion": "7"}},
            "azureml:m:7",
            None,
        ),
        ({"dataset": {"dataInputType": "DatasetId", "datasetId": "/subscriptions/x"}}, "/subscriptions/x", None),
    ],
)
def test_the_input_is_read_in_every_form(properties: dict[str, Any], path: str, kind: str | None) -> None:
    read = invocation.from_json(Body({"properties": properties})).input
    assert read is not None
    assert (read.path, read.type if "type" in read.model_fields_set else None) == (path, kind)


@pytest.mark.parametrize(
    ("properties", "folder", "file_name"),
    [
        ({"outputData": {"o": {"jobOutputType": "UriFile", "uri": f"{FOLDER}/p1.csv"}}}, f"{FOLDER}/", "p1.csv"),
        ({"OutputData": {"o": {"JobOutputType": "UriFolder", "Uri": FOLDER}}}, FOLDER, None),
        ({"outputData": {"o": {"jobOutputType": "UriFolder", "uri": FOLDER}}, "outputFileName": "f"}, FOLDER, "f"),
        (
            {"outputDataset": {"datastoreId": f"{WS.arm_id}/datastores/ds", "path": "/ep1/"}, "outputFileName": "p2"},
            "azureml://datastores/ds/paths/ep1/",
            "p2",
        ),
        ({"outputFileName": "p3"}, None, "p3"),
    ],
)
def test_the_output_is_read_in_every_form(
    properties: dict[str, Any], folder: str | None, file_name: str | None
) -> None:
    read = invocation.from_json(Body({"properties": properties}))
    assert (read.output_path, read.output_file_name) == (folder, file_name)


def test_overrides_are_read_from_text_and_their_bare_names() -> None:
    sent = {
        "properties": {
            "MiniBatchSize": "20",
            "compute": {"isLocal": True, "instanceCount": "5"},
            "maxRetries": 1,
            "timeout": "PT1M",
            "name": "j",
            "properties": {"ExperimentName": "x", "k": "v"},
        }
    }
    read = invocation.from_json(Body(sent))
    assert (read.mini_batch_size, read.instance_count, read.max_retries, read.timeout_s) == (20, 5, 1, 60)
    assert (read.job_name, read.experiment_name, read.properties) == ("j", "x", {"k": "v"})


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"inputData": {"x": {"jobInputType": "Literal", "value": 1}}}, "UriFileJobInput, UriFolderJobInput"),
        ({"inputData": {"x": {"uri": "a"}, "y": {"uri": "b"}}}, "takes one input"),
        ({"inputData": {"x": {"jobInputType": "UriFile"}}}, "Say where the input is"),
        ({"inputData": {"x": "text"}}, "must be an object"),
        ({"inputData": {"x": {"jobInputType": "MLTable", "uri": "a"}}}, "MLTable are not offered"),
        ({"dataset": {"dataInputType": "Other"}}, "DataUrl, DatasetVersion or DatasetId"),
        ({"dataset": {"dataInputType": "DataUrl"}}, "Say where the input is"),
        ({"miniBatchSize": 0}, "miniBatchSize"),
        ({"loggingLevel": "loud"}, "loggingLevel"),
        ({"outputData": {"x": {"uri": "a"}, "y": {"uri": "b"}}}, "one output"),
    ],
)
def test_what_no_model_deployment_takes_is_refused(properties: dict[str, Any], message: str) -> None:
    with pytest.raises((ValidationFailed, NotSupported), match=message):
        invocation.from_json(Body({"properties": properties}))
