"""From an empty home to a finished job: workspace, compute, assets, endpoint, deployment, invoke, stream, download."""

from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    AmlCompute,
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Data,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)
from session import client, ended, printed, tell

ml = client()
seen = {}

workspace = ml.workspaces.get("default")
seen["workspace"] = [workspace.name, workspace.location, bool(workspace.discovery_url)]
seen["workspaces"] = [one.name for one in ml.workspaces.list()]
seen["default_datastore"] = ml.datastores.get_default().name

cluster = AmlCompute(name="batch-cluster", size="STANDARD_DS3_v2", min_instances=0, max_instances=4)
ml.compute.begin_create_or_update(cluster).result()
found = ml.compute.get("batch-cluster")
seen["compute"] = [found.type, found.provisioning_state, found.max_instances]
seen["computes"] = [one.name for one in ml.compute.list()]

seen["models"] = [
    ml.models.create_or_update(Model(name=name, path=path, type=AssetTypes.CUSTOM_MODEL)).version
    for name, path in (("offset", "model"), ("offset", "model"), ("single", "model/offset.txt"), ("large", "large.bin"))
]
seen["data"] = [
    ml.data.create_or_update(Data(name=name, path=path, type=kind)).version
    for name, path, kind in (
        ("numbers", "data", AssetTypes.URI_FOLDER),
        ("numbers", "data", AssetTypes.URI_FOLDER),
        ("number", "data/3.txt", AssetTypes.URI_FILE),
    )
]
seen["latest"] = [ml.models.get("offset", label="latest").version, ml.data.get("numbers", label="latest").version]

plain = Environment(name="plain", image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04", conda_file="conda.yml")
seen["environment"] = ml.environments.create_or_update(plain).version
# Without a version the SDK overwrites the latest one where it may: the same content stays, another gets a version.
again = Environment(name="plain", image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04", conda_file="conda.yml")
seen["environment_again"] = ml.environments.create_or_update(again).version
other = Environment(name="plain", image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04", conda_file="conda.yml")
seen["environment_other"] = ml.environments.create_or_update(other).version

endpoint = BatchEndpoint(name="digits", description="Adds a hundred", tags={"team": "vision"})
ml.batch_endpoints.begin_create_or_update(endpoint).result()
deployment = ModelBatchDeployment(
    name="blue",
    endpoint_name="digits",
    description="Two files at a time",
    model=ml.models.get("offset", label="latest"),
    environment=ml.environments.get("plain", label="latest"),
    code_configuration=CodeConfiguration(code="code", scoring_script="score.py"),
    compute="batch-cluster",
    settings=ModelBatchDeploymentSettings(
        instance_count=1,
        max_concurrency_per_instance=1,
        mini_batch_size=2,
        output_action=BatchDeploymentOutputAction.APPEND_ROW,
        output_file_name="predictions.csv",
        retry_settings=BatchRetrySettings(max_retries=3, timeout=30),
        logging_level="info",
    ),
)
ml.batch_deployments.begin_create_or_update(deployment).result()
endpoint = ml.batch_endpoints.get("digits")
endpoint.defaults.deployment_name = "blue"
ml.batch_endpoints.begin_create_or_update(endpoint).result()
endpoint = ml.batch_endpoints.get("digits")
seen["endpoint"] = [endpoint.defaults.deployment_name, endpoint.description, endpoint.tags, endpoint.provisioning_state]
found = ml.batch_deployments.get("blue", "digits")
seen["deployment"] = [found.name, found.endpoint_name, found.output_file_name, found.provisioning_state]

job = ml.batch_endpoints.invoke(endpoint_name="digits", input=Input(type=AssetTypes.URI_FOLDER, path="data"))
seen["invoked"] = [job.name, job.status]
seen["streamed"] = printed(lambda: ml.jobs.stream(job.name))
done = ended(ml, job.name)
seen["job"] = [done.status, done.type, done.experiment_name, done.tags, sorted(done.services)]
seen["studio"] = done.services["Studio"].endpoint
children = list(ml.jobs.list(parent_job_name=job.name))
child = children[0].name
seen["children"] = [[one.name, one.display_name, one.status] for one in children]
seen["services"] = ml.jobs.show_services(job.name)
seen["child"] = [ml.jobs.get(child).status, ml.jobs.get(child).display_name]
ml.jobs.download(job.name, download_path="parent", output_name="score")
ml.jobs.download(child, download_path="child", output_name="score")
ml.jobs.download(child, download_path="logs")
ml.jobs.download(child, download_path="everything", all=True)
tell(**seen)
