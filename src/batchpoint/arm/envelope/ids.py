"""The ids of every noun, and what can be read off one. References in general are ``entities.reference``'s business."""

from batchpoint.entities.workspace import PROVIDER, Workspace

#: The plural words of ARM paths; ``data`` has the 2021 alias ``datasets``.
SEGMENTS = (
    *("batchEndpoints", "deployments", "codes", "computes", "data", "datasets", "datastores", "environments"),
    *("jobs", "models"),
)

LATEST = "latest"


def endpoint_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/batchEndpoints/{name}"


def deployment_id(workspace: Workspace, endpoint: str, name: str) -> str:
    return f"{workspace.arm_id}/batchEndpoints/{endpoint}/deployments/{name}"


def asset_id(workspace: Workspace, kind: str, name: str, version: str) -> str:
    """The id of a model, environment, data or code version; ``kind`` is the ARM segment."""
    return f"{workspace.arm_id}/{kind}/{name}/versions/{version}"


def compute_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/computes/{name}"


def datastore_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/datastores/{name}"


def job_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/jobs/{name}"


def deployment_job_id(workspace: Workspace, endpoint: str, deployment: str, name: str) -> str:
    return f"{deployment_id(workspace, endpoint, deployment)}/jobs/{name}"


def type_of(arm_id: str) -> str:
    """The ARM type of an id, e.g. ``Microsoft.MachineLearningServices/workspaces/models/versions``."""
    segments = arm_id.partition(f"{PROVIDER}/")[2].split("/")
    return "/".join([PROVIDER, *segments[::2]])


def last_segment(arm_id: str) -> str:
    """The name at the end of an id, or the text itself: ``azureml:cpu`` and ``…/computes/cpu`` both give ``cpu``."""
    return arm_id.rstrip("/").rpartition("/")[2].removeprefix("azureml:")
