"""A deployment that waits: its job is listed, canceled, archived, restored. Invoked by name: a process of its own."""

import time

from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import BatchDeployment, CodeConfiguration
from session import client, ended, refusal, tell

ml = client()
seen = {}
deployment = BatchDeployment(
    name="slow",
    endpoint_name="digits",
    model="azureml:offset:1",
    environment="azureml:plain:2",
    code_configuration=CodeConfiguration(code="code", scoring_script="score.py"),
    compute="batch-cluster",
    instance_count=1,
    mini_batch_size=1,
    environment_variables={"SLEEP_S": "60"},
)
ml.batch_deployments.begin_create_or_update(deployment).result()
found = ml.batch_deployments.get("slow", "digits")
seen["deployment"] = [found.mini_batch_size, found.environment_variables]
seen["deployments"] = sorted(one.name for one in ml.batch_deployments.list("digits"))

job = ml.batch_endpoints.invoke(
    endpoint_name="digits", deployment_name="slow", input=Input(type=AssetTypes.URI_FOLDER, path="azureml:numbers:1")
)
while ml.jobs.get(job.name).status in ("NotStarted", "Preparing", "Queued"):
    time.sleep(0.2)
seen["early_download"] = refusal(lambda: ml.jobs.download(job.name, output_name="score"))
ml.jobs.begin_cancel(job.name).result()
seen["status"] = ended(ml, job.name).status
seen["of_deployment"] = [[one.name, one.status] for one in ml.batch_deployments.list_jobs("digits", name="slow")]
seen["of_endpoint"] = [one.name for one in ml.batch_endpoints.list_jobs("digits")]
seen["of_workspace"] = [one.name for one in ml.jobs.list()]
seen["job"] = job.name

ml.jobs.archive(job.name)
seen["archived"] = job.name not in [one.name for one in ml.jobs.list()]
ml.jobs.restore(job.name)
seen["restored"] = job.name in [one.name for one in ml.jobs.list()]
changed = ml.jobs.update(job.name, display_name="Cut short", tags={"why": "a test"})
seen["updated"] = [changed.display_name, changed.tags]
for assets, name in ((ml.models, "single"), (ml.data, "number"), (ml.environments, "plain")):
    assets.archive(name=name, version="1")
    assets.restore(name=name, version="1")
tell(**seen)
