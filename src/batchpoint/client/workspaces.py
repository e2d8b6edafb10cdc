"""Workspaces and resource groups from the client's side."""

from collections.abc import Sequence

from batchpoint.arm import workspace as wire
from batchpoint.arm.envelope.reading import Body
from batchpoint.client.requests import Requests, segment
from batchpoint.entities.workspace import PROVIDER, Workspace
from batchpoint.entities.workspace_record import ResourceGroup, WorkspaceRecord


class Workspaces:
    """The workspaces of a subscription; names are looked for in the resource group of the client."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._workspace = workspace

    def create_or_update(self, record: WorkspaceRecord) -> WorkspaceRecord:
        """Create the workspace, in the group that the record names, or replace what is kept about it."""
        path = self._path(record.name, record.resource_group)
        return wire.from_json(self._requests.json("PUT", path.arm_id, wire.to_json(record, path)))

    def get(self, name: str) -> WorkspaceRecord:
        return wire.from_json(self._requests.json("GET", self._path(name).arm_id))

    def list(self, group: str | None = None) -> Sequence[WorkspaceRecord]:
        """Those of a group, or of the whole subscription."""
        below = f"/resourceGroups/{segment(group)}" if group else ""
        path = f"/subscriptions/{segment(self._workspace.subscription)}{below}/providers/{PROVIDER}/workspaces"
        return [wire.from_json(body) for body in self._requests.pages(path)]

    def delete(self, name: str) -> None:
        """Forget the workspace and what it holds; jobs and their outputs stay. ResourceConflict while jobs are open."""
        self._requests.delete(self._path(name).arm_id, f"workspace {name}")

    def diagnose(self, name: str) -> Body:
        """What keeps the workspace from working, by kind; every list empty when nothing does."""
        return self._requests.json("POST", f"{self._path(name).arm_id}/diagnose").child("value")

    def list_keys(self, name: str) -> Body:
        return self._requests.json("POST", f"{self._path(name).arm_id}/listKeys")

    def sync_keys(self, name: str) -> None:
        self._requests.json("POST", f"{self._path(name).arm_id}/resyncKeys")

    def _path(self, name: str, group: str | None = None) -> Workspace:
        segment(name)
        return Workspace(self._workspace.subscription, group or self._workspace.resource_group, name)


class ResourceGroups:
    """The resource groups of a subscription."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._path = f"/subscriptions/{workspace.subscription}/resourceGroups"

    def create_or_update(self, group: ResourceGroup) -> ResourceGroup:
        sent = {"location": group.location, "tags": group.tags}
        return wire.group_from_json(self._requests.json("PUT", f"{self._path}/{segment(group.name)}", sent))

    def get(self, name: str) -> ResourceGroup:
        return wire.group_from_json(self._requests.json("GET", f"{self._path}/{segment(name)}"))

    def list(self) -> Sequence[ResourceGroup]:
        return [wire.group_from_json(body) for body in self._requests.pages(self._path)]
