"""Entities from YAML, jobs with files that fail, the end of an endpoint, and a workspace beside the first."""

import azure.ai.ml
from azure.ai.ml import Input, load_batch_deployment, load_batch_endpoint, load_environment, load_model
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Data, Workspace
from azure.ai.ml.entities._load_functions import load_model_batch_deployment
from session import client, ended, printed, refusal, tell

ml = client()
seen = {"version": azure.ai.ml.__version__}
ml.models.create_or_update(load_model("model.yml"))
ml.environments.create_or_update(load_environment("environment.yml"))
ml.batch_endpoints.begin_create_or_update(load_batch_endpoint("endpoint.yml")).result()
seen["flat"] = ml.batch_deployments.begin_create_or_update(load_batch_deployment("flat.yml")).result().mini_batch_size
seen["refused"] = refusal(lambda: load_batch_deployment("settings.yml"))[0]
nested = load_model_batch_deployment("settings.yml")
seen["nested"] = ml.batch_deployments.begin_create_or_update(nested).result().mini_batch_size
endpoint = ml.batch_endpoints.get("from-files")
endpoint.defaults = {"deployment_name": "flat"}
ml.batch_endpoints.begin_create_or_update(endpoint).result()
job = ml.batch_endpoints.invoke(endpoint_name="from-files", input=Input(type=AssetTypes.URI_FOLDER, path="data"))
seen["status"] = ended(ml, job.name).status
ml.jobs.download(job.name, download_path="out/flat", output_name="score")

bad = Input(type=AssetTypes.URI_FOLDER, path="bad")
job = ml.batch_endpoints.invoke(endpoint_name="from-files", input=bad, params_override=[{"error_threshold": "0"}])
heard = []
seen["failed"] = refusal(lambda: heard.append(printed(lambda: ml.jobs.stream(job.name))))
seen["failed_status"] = ended(ml, job.name).status
job = ml.batch_endpoints.invoke(endpoint_name="from-files", input=bad)
seen["warned"] = printed(lambda: ml.jobs.stream(job.name))
seen["warned_status"] = ended(ml, job.name).status

ml.batch_deployments.begin_delete("nested", "from-files").result()
seen["left"] = [one.name for one in ml.batch_deployments.list("from-files")]
ml.batch_endpoints.begin_delete("from-files").result()
seen["endpoints"] = [one.name for one in ml.batch_endpoints.list()]
seen["job_stays"] = ml.jobs.get(job.name).status

second = ml.workspaces.begin_create(Workspace(name="second", display_name="Another", location="local")).result()
seen["second"] = [second.name, second.display_name, sorted(one.name for one in ml.workspaces.list())]
other = client("second")
other.data.create_or_update(Data(name="theirs", path="data", type=AssetTypes.URI_FOLDER))
seen["theirs"] = [[one.name for one in other.data.list()], [one.name for one in other.models.list()]]
seen["ours"] = "theirs" not in [one.name for one in ml.data.list()]
ml.workspaces.begin_delete("second", delete_dependent_resources=False).result()
seen["workspaces"] = [one.name for one in ml.workspaces.list()]
tell(**seen)
