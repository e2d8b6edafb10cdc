"""Endpoints from the client's side: create, show, list, delete, invoke, and the jobs that came of it."""

import uuid
from collections.abc import Sequence

from batchpoint.arm import endpoint as wire
from batchpoint.arm import invocation as invocation_wire
from batchpoint.arm import job as job_wire
from batchpoint.client.inputs import InputResolver
from batchpoint.client.requests import Requests, segment
from batchpoint.entities.data import Invocation
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job
from batchpoint.entities.workspace import Workspace


class Endpoints:
    """The batch endpoints of a workspace."""

    def __init__(self, requests: Requests, workspace: Workspace, inputs: InputResolver) -> None:
        self._requests = requests
        self._workspace = workspace
        self._inputs = inputs
        self._path = f"{workspace.arm_id}/batchEndpoints"

    def create_or_update(self, endpoint: Endpoint) -> Endpoint:
        """Create the endpoint, or replace it as a whole."""
        sent = wire.to_json(endpoint, self._workspace)
        return wire.from_json(self._requests.json("PUT", f"{self._path}/{segment(endpoint.name)}", sent))

    def set_default(self, name: str, deployment: str) -> Endpoint:
        """Let invocations that name no deployment go to ``deployment``; the rest of the endpoint stays."""
        sent = {"properties": {"defaults": {"deploymentName": deployment}}}
        return wire.from_json(self._requests.json("PATCH", f"{self._path}/{segment(name)}", sent))

    def get(self, name: str) -> Endpoint:
        return wire.from_json(self._requests.json("GET", f"{self._path}/{segment(name)}"))

    def list(self) -> "list[Endpoint]":
        return [wire.from_json(body) for body in self._requests.pages(self._path)]

    def delete(self, name: str) -> None:
        """Delete the endpoint and its deployments; jobs and their outputs stay."""
        self._requests.delete(f"{self._path}/{segment(name)}", f"endpoint {name}")

    def invoke(self, name: str, invocation: Invocation, *, upload: bool = False) -> Job:
        """Start a job. A local input is read where it is when the server shares our home, unless ``upload`` is set."""
        resolved = invocation
        if invocation.input:
            resolved = invocation.model_copy(update={"input": self._inputs.resolve(invocation.input, upload=upload)})
        headers = {"repeatability_request-id": str(uuid.uuid4())}
        if invocation.deployment_name:
            headers["azureml-model-deployment"] = invocation.deployment_name
        sent = invocation_wire.to_json(resolved)
        return job_wire.from_json(
            self._requests.json("POST", f"{self._path}/{segment(name)}/jobs", sent, headers=headers)
        )

    def list_jobs(self, name: str) -> Sequence[Job]:
        """Newest first."""
        return [job_wire.from_json(body) for body in self._requests.pages(f"{self._path}/{segment(name)}/jobs")]
