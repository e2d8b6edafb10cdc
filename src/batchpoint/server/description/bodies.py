"""What requests and answers look like, as schemas with examples: each is what ``arm`` makes of the noun itself.

``document`` puts them beside the routes. Nothing here is written by hand but one small example of each noun.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from batchpoint.arm import assets, compute, datastore, deployment, endpoint, invocation, job, workspace
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job
from batchpoint.entities.noun import Noun
from batchpoint.entities.workspace import Workspace
from batchpoint.entities.workspace_record import WorkspaceRecord
from batchpoint.server.description.samples import choices, filled
from batchpoint.server.description.shapes import Schema, merged, schema_of, with_words

_PLACE = Workspace("00000000-0000-0000-0000-000000000000", "default", "default")
_SERVER = "https://localhost:8443"


@dataclass(frozen=True)
class Described:
    """A noun as it travels."""

    noun: type[Noun]
    to_json: Callable[[Any], dict[str, Any]]
    #: A noun that somebody might send; None for one that only the server makes.
    example: Noun | None = None
    #: What each of those looked at has: fields that would make it another thing.
    fixed: dict[str, Any] = field(default_factory=dict)


_SPACE = f"{_PLACE.arm_id}/"
DESCRIBED = {
    "Workspace": Described(
        WorkspaceRecord,
        lambda noun: workspace.to_json(noun, _PLACE, _SERVER),
        WorkspaceRecord(name="default", location="local", description="Scores digits."),
    ),
    "Endpoint": Described(
        Endpoint,
        lambda noun: endpoint.to_json(noun, _PLACE),
        Endpoint(name="digits", location="local", description="Which digit is it?"),
    ),
    "Deployment": Described(
        Deployment,
        lambda noun: deployment.to_json(noun, _PLACE, "local"),
        Deployment(
            name="blue",
            endpoint_name="digits",
            model=f"{_SPACE}models/digits/versions/1",
            code_configuration={"code": f"{_SPACE}codes/score/versions/1", "scoring_script": "score.py"},
            environment=f"{_SPACE}environments/digits/versions/1",
            compute=f"{_SPACE}computes/batch-cluster",
        ),
    ),
    "Compute": Described(
        Compute,
        lambda noun: compute.to_json(noun, _PLACE),
        Compute(name="batch-cluster", location="local", max_instances=2),
    ),
    "Datastore": Described(
        Datastore,
        lambda noun: _datastore(noun),
        Datastore(name="pictures", type="azure_blob", account_name="account", container_name="pictures"),
    ),
    "Model": Described(
        Model,
        lambda noun: assets.to_json(noun, _PLACE, archived=False),
        Model(name="digits", version="1", path="azureml://datastores/workspaceblobstore/paths/models/digits/"),
    ),
    "Data": Described(
        DataAsset,
        lambda noun: assets.to_json(noun, _PLACE, archived=False),
        DataAsset(name="images", version="1", path="azureml://datastores/workspaceblobstore/paths/images/"),
    ),
    "Environment": Described(
        Environment,
        lambda noun: assets.to_json(noun, _PLACE, archived=False),
        Environment(name="digits", version="1", conda_file={"dependencies": ["python=3.11", "pip"]}),
    ),
    "Code": Described(
        Code,
        lambda noun: assets.to_json(noun, _PLACE, archived=False),
        Code(name="score", version="1", path="azureml://datastores/workspaceblobstore/paths/code/"),
    ),
    "Invocation": Described(
        Invocation,
        invocation.to_json,
        Invocation(
            input={"type": "uri_folder", "path": "azureml://datastores/workspaceblobstore/paths/images/"},
            mini_batch_size=20,
        ),
    ),
    "Container": Described(
        Model, lambda noun: assets.container_to_json(noun, "2", _PLACE, archived=False), fixed={"latest_version": "1"}
    ),
    "Job": Described(Job, lambda noun: job.to_json(noun, _PLACE, _SERVER), fixed={"parent_job_name": ""}),
    "EndpointJob": Described(Job, lambda noun: job.batch_job_to_json(noun, _PLACE, _SERVER)),
}


@cache
def schema(name: str) -> Schema:
    """The schema of one of ``DESCRIBED``. Keys that are not in it are ignored in requests."""
    described = DESCRIBED[name]
    found = schema_of(_shown(described, filled(described.noun)))
    for _, some in choices(described.noun):
        values = [_shown(described, one) for one in some]
        found = with_words(merged([found, *map(schema_of, values)]), values)
    return {**found, "description": (described.noun.__doc__ or "").strip()}


def example(name: str) -> dict[str, Any] | None:
    """A small one, as it may be sent."""
    described = DESCRIBED[name]
    if described.example is None:
        return None
    shown = described.to_json(described.example)
    return {key: value for key, value in shown.items() if key not in ("id", "name", "type", "systemData")}


def _datastore(noun: Datastore) -> dict[str, Any]:
    """With the secrets that only a request has, and what only an answer tells of a folder."""
    sent = datastore.request_to_json(noun, _PLACE)
    if noun.type == "local_folder":
        shown = datastore.to_json(noun, _PLACE, datastore.BlobPlace("text", "text", "text", "text"))
        sent["properties"]["batchpoint"] = shown["properties"]["batchpoint"]
    return sent


def _shown(described: Described, noun: Noun) -> dict[str, Any]:
    with warnings.catch_warnings():
        # Samples stand for any value, not for one that would be accepted.
        warnings.simplefilter("ignore")
        return described.to_json(noun.model_copy(update=described.fixed))
