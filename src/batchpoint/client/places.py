"""Computes and datastores from the client's side: what jobs run on, and where bytes are."""

from collections.abc import Iterator

from batchpoint.arm import compute as compute_wire
from batchpoint.arm import datastore as datastore_wire
from batchpoint.arm import machine as machine_wire
from batchpoint.arm.envelope.reading import Body
from batchpoint.client.requests import Requests, segment
from batchpoint.entities.compute import Compute, ComputeNode, MachineSize, Usage
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceNotFound


class Computes:
    """The computes of a workspace."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._workspace = workspace
        self._path = f"{workspace.arm_id}/computes"

    def create_or_update(self, compute: Compute) -> Compute:
        sent = compute_wire.to_json(compute, self._workspace)
        return compute_wire.from_json(self._requests.json("PUT", f"{self._path}/{segment(compute.name)}", sent))

    def get(self, name: str) -> Compute:
        return compute_wire.from_json(self._requests.json("GET", f"{self._path}/{segment(name)}"))

    def delete(self, name: str) -> None:
        self._requests.delete(f"{self._path}/{segment(name)}", f"compute {name}")

    def list_nodes(self, name: str) -> "list[ComputeNode]":
        """The instances that are there now, by number."""
        answer = self._requests.json("POST", f"{self._path}/{segment(name)}/listNodes")
        return [compute_wire.node_from_json(Body(node)) for node in answer.items("nodes")]

    def list_sizes(self, location: str) -> "list[MachineSize]":
        """The machine, once for each name that it goes by."""
        return [machine_wire.size_from_json(body) for body in self._of_location(location, "vmSizes")]

    def list_usage(self, location: str) -> "list[Usage]":
        """How much there is of what is limited."""
        return [machine_wire.usage_from_json(body) for body in self._of_location(location, "usages")]

    def _of_location(self, location: str, what: str) -> "Iterator[Body]":
        path = machine_wire.location_path(self._workspace.subscription, segment(location))
        return self._requests.pages(f"{path}/{what}")

    def list(self) -> "list[Compute]":
        return [compute_wire.from_json(body) for body in self._requests.pages(self._path)]


class Datastores:
    """The datastores of a workspace."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._workspace = workspace
        self._path = f"{workspace.arm_id}/datastores"

    def create_or_update(self, datastore: Datastore, *, skip_validation: bool = False) -> Datastore:
        """Create or replace it; the server tries it out first, unless that is to be skipped."""
        sent = datastore_wire.request_to_json(datastore, self._workspace)
        path, query = f"{self._path}/{segment(datastore.name)}", {"skipValidation": str(skip_validation).lower()}
        return datastore_wire.from_json(self._requests.json("PUT", path, sent, query=query))

    def get(self, name: str) -> Datastore:
        return datastore_wire.from_json(self._requests.json("GET", f"{self._path}/{segment(name)}"))

    def list(self) -> "list[Datastore]":
        return [datastore_wire.from_json(body) for body in self._requests.pages(self._path)]

    def secrets(self, name: str) -> "dict[str, str]":
        """The credentials in clear text; empty where there are none."""
        try:
            found = self._requests.json("POST", f"{self._path}/{segment(name)}/listSecrets")
        except ResourceNotFound:
            return {}
        return datastore_wire.secrets_from_json(found)

    def delete(self, name: str) -> None:
        """Removes the registration, not the data."""
        self._requests.delete(f"{self._path}/{segment(name)}", f"datastore {name}")
