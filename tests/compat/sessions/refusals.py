"""What the SDK raises when something is not there, with our sentence in it."""

from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import BatchEndpoint, CodeConfiguration, ModelBatchDeployment
from session import client, refusal, tell

ml = client()
folder = Input(type=AssetTypes.URI_FOLDER, path="azureml:numbers:1")
seen = {
    "model": refusal(lambda: ml.models.get("nothing", version="1")),
    "data": refusal(lambda: ml.data.get("nothing", version="1")),
    "endpoint": refusal(lambda: ml.batch_endpoints.get("nothing")),
    "deployment": refusal(lambda: ml.batch_deployments.get("nothing", "digits")),
    "job": refusal(lambda: ml.jobs.get("nothing")),
    "compute": refusal(lambda: ml.compute.get("nothing")),
    "workspace": refusal(lambda: ml.workspaces.get("nothing")),
    "default_deployment": refusal(lambda: ml.batch_deployments.begin_delete("blue", "digits").result()),
    "version": refusal(
        lambda: ml.batch_endpoints.invoke(
            endpoint_name="digits", input=Input(type=AssetTypes.URI_FOLDER, path="azureml:numbers:77")
        )
    ),
}
ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name="empty")).result()
seen["no_default"] = refusal(lambda: ml.batch_endpoints.invoke(endpoint_name="empty", input=folder))
wrong = ModelBatchDeployment(
    name="wrong",
    endpoint_name="empty",
    model="azureml:offset:77",
    environment="azureml:plain:1",
    code_configuration=CodeConfiguration(code="code", scoring_script="score.py"),
    compute="batch-cluster",
)
seen["model_of_deployment"] = refusal(lambda: ml.batch_deployments.begin_create_or_update(wrong).result())
# The SDK sends the name of a deployment with every later invocation of its process: this one comes last.
seen["deployment_invoked"] = refusal(
    lambda: ml.batch_endpoints.invoke(endpoint_name="digits", deployment_name="nothing", input=folder)
)
tell(**seen)
