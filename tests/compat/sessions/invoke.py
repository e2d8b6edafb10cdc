"""Every way to say what to score and how; the arguments are the address of a website and the name of an earlier job."""

import sys

from azure.ai.ml import Input, Output
from azure.ai.ml.constants import AssetTypes
from session import GROUP, SUBSCRIPTION, WORKSPACE, client, ended, tell

site, output_of = sys.argv[1:]
ml = client()
data = ml.data.get("numbers", version="1")
long = f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/{WORKSPACE}/datastores"
short = data.path[data.path.index("datastores/") :]
inputs = {
    "name_and_version": "azureml:numbers:1",
    "latest": "azureml:numbers@latest",
    "asset_id": data.id,
    "short_uri": f"azureml://{short}",
    "long_uri": data.path,
    "website": f"{site}/numbers/",
}
jobs = {
    how: ml.batch_endpoints.invoke(endpoint_name="digits", input=Input(type=AssetTypes.URI_FOLDER, path=path))
    for how, path in inputs.items()
}
file = Input(type=AssetTypes.URI_FILE, path="azureml:number:1")
jobs["file"] = ml.batch_endpoints.invoke(endpoint_name="digits", input=file)
jobs["local_file"] = ml.batch_endpoints.invoke(
    endpoint_name="digits", input=Input(type=AssetTypes.URI_FILE, path="data/3.txt")
)
folder = Input(type=AssetTypes.URI_FOLDER, path="azureml:numbers:1")
jobs["overridden"] = ml.batch_endpoints.invoke(
    endpoint_name="digits",
    inputs={"numbers": folder},
    outputs={"score": Output(type=AssetTypes.URI_FOLDER, path="azureml://datastores/workspaceblobstore/paths/mine/")},
    params_override=[
        {"mini_batch_size": "3"},
        {"compute.instance_count": "2"},
        {"output_file_name": "own.csv"},
    ],
)
jobs["output_dataset"] = ml.batch_endpoints.invoke(
    endpoint_name="digits",
    input=folder,
    params_override=[
        {"output_dataset.datastore_id": f"azureml:{ml.datastores.get_default().id}"},
        {"output_dataset.path": "/digits/"},
        {"output_file_name": "second.csv"},
    ],
)
statuses = {}
for how, job in jobs.items():
    statuses[how] = ended(ml, job.name).status
    ml.jobs.download(job.name, download_path=f"out/{how}", output_name="score")
changed = ml.jobs.get(jobs["overridden"].name)
tell(statuses=statuses, overridden=[changed.properties["batchpoint.mini_batches"], changed.outputs["score"].path])
