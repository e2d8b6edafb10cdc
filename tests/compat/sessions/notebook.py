"""The cells of a notebook about batch endpoints, top to bottom, as somebody writes them who has never heard of us."""

# %% What is needed
import os
import random
import string
import time
from pathlib import Path

from azure.ai.ml import Input, MLClient
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
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from session import tell

# %% Connect to the workspace that config.json names
ml_client = MLClient.from_config(credential=DefaultAzureCredential())

# %% A cluster, unless there is one
compute_name = "notebook-cluster"
try:
    ml_client.compute.get(compute_name)
except ResourceNotFoundError:
    ml_client.compute.begin_create_or_update(AmlCompute(name=compute_name, min_instances=0, max_instances=5))
while ml_client.compute.get(compute_name).provisioning_state == "Creating":
    time.sleep(1)

# %% An endpoint with a name that nobody has
endpoint_name = "mnist-batch-" + "".join(random.choices(string.ascii_lowercase, k=5))
endpoint = BatchEndpoint(name=endpoint_name, description="Reads digits", tags={"type": "deep-learning"})
ml_client.begin_create_or_update(endpoint).result()

# %% The model, its environment and its script
model = ml_client.models.create_or_update(
    Model(name="mnist-classifier", path="model", type=AssetTypes.CUSTOM_MODEL, tags={"framework": "none"})
)
environment = Environment(
    name="batch-plain-py311",
    conda_file="conda.yml",
    image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest",
)
deployment = ModelBatchDeployment(
    name="mnist-plain-dpl",
    description="A deployment that adds a hundred",
    endpoint_name=endpoint_name,
    model=model,
    code_configuration=CodeConfiguration(code="code/", scoring_script="score.py"),
    environment=environment,
    compute=compute_name,
    settings=ModelBatchDeploymentSettings(
        instance_count=2,
        max_concurrency_per_instance=2,
        mini_batch_size=10,
        output_action=BatchDeploymentOutputAction.APPEND_ROW,
        output_file_name="predictions.csv",
        retry_settings=BatchRetrySettings(max_retries=3, timeout=30),
        logging_level="info",
    ),
)
ml_client.begin_create_or_update(deployment).result()

# %% It answers from now on
endpoint = ml_client.batch_endpoints.get(endpoint_name)
endpoint.defaults.deployment_name = deployment.name
ml_client.batch_endpoints.begin_create_or_update(endpoint).result()
print(f"The default deployment is {endpoint.defaults.deployment_name}")

# %% The data to score
dataset = Data(path="data", type=AssetTypes.URI_FOLDER, description="Digits", name="mnist-sample")
ml_client.data.create_or_update(dataset)
dataset = ml_client.data.get(name="mnist-sample", label="latest")

# %% Score it, and watch
job = ml_client.batch_endpoints.invoke(
    endpoint_name=endpoint_name, inputs={"data": Input(path=dataset.id, type=AssetTypes.URI_FOLDER)}
)
ml_client.jobs.get(job.name)
ml_client.jobs.stream(name=job.name)
scoring_job = next(iter(ml_client.jobs.list(parent_job_name=job.name)))
print("Job name:", scoring_job.name, "Job status:", scoring_job.status)

# %% Read the predictions
ml_client.jobs.download(name=scoring_job.name, download_path="notebook", output_name="score")
predictions = Path("notebook/named-outputs/score/predictions.csv").read_text()

# %% Once more, with an output of one's own
filename = f"predictions-{random.randint(0, 99999)}.csv"
batch_ds = ml_client.datastores.get_default()
job = ml_client.batch_endpoints.invoke(
    endpoint_name=endpoint_name,
    inputs={"input": Input(type=AssetTypes.URI_FOLDER, path=dataset.path)},
    params_override=[
        {"mini_batch_size": "20"},
        {"compute.instance_count": "5"},
        {"output_dataset.datastore_id": f"azureml:{batch_ds.id}"},
        {"output_dataset.path": f"/{endpoint_name}/"},
        {"output_file_name": filename},
    ],
)
ml_client.jobs.stream(name=job.name)
ml_client.jobs.download(name=job.name, download_path="notebook-own")
own = (Path("notebook-own") / filename).read_text()

# %% Tidy up
ml_client.batch_endpoints.begin_delete(name=endpoint_name).result()
left = [one.name for one in ml_client.batch_endpoints.list()]

tell(predictions=predictions, own=own, is_gone=endpoint_name not in left, files=sorted(os.listdir("notebook-own")))
