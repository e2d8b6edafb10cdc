"""The rules of workspaces and resource groups: which exist without a record, and how the others come and go.

Routers call it; it knows no HTTP and no JSON.
"""

from pathlib import Path

from batchpoint.entities.naming import names
from batchpoint.entities.workspace import Workspace
from batchpoint.entities.workspace_record import ResourceGroup, WorkspaceRecord
from batchpoint.errors import ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.server.identity.actions import ML
from batchpoint.server.identity.caller import Caller
from batchpoint.server.intake.creation import context
from batchpoint.server.lookup import ControlPlane, Desk, no_workspace
from batchpoint.storage.accounts.account import account_of
from batchpoint.storage.accounts.keys import forget_keys
from batchpoint.storage.objects import secrets

#: The group that exists without being created; the default workspace is in it.
DEFAULT_GROUP = "default"
_GROUP_MAX = 90


def find(plane: ControlPlane, workspace: Workspace) -> WorkspaceRecord:
    """The record of a workspace; ResourceNotFound when nobody created it."""
    found = plane.store.get_workspace(workspace.key)
    if found is None and workspace.is_default:
        found = WorkspaceRecord(name=workspace.name, resource_group=workspace.resource_group)
    if found is None:
        raise no_workspace(workspace)
    return found.model_copy(update={"location": found.location or plane.settings.location})


def list_of(plane: ControlPlane, caller: Caller, subscription: str, group: str | None) -> list[WorkspaceRecord]:
    """The workspaces of a subscription or of one of its groups that the caller may read, the default one first."""
    default = Workspace(subscription, DEFAULT_GROUP, "default")
    found = plane.store.list_workspaces(subscription, group)
    has_default = any(_path(subscription, one).key == default.key for one in found)
    if not has_default and (group is None or group.lower() == DEFAULT_GROUP):
        found = [find(plane, default), *found]
    seen = (one for one in found if caller.may(f"{ML}/read", _path(subscription, one).arm_id))
    return [one.model_copy(update={"location": one.location or plane.settings.location}) for one in seen]


def _path(subscription: str, record: WorkspaceRecord) -> Workspace:
    return Workspace(subscription, record.resource_group or DEFAULT_GROUP, record.name)


def put(plane: ControlPlane, caller: Caller, workspace: Workspace, wanted: WorkspaceRecord) -> WorkspaceRecord:
    """Create the workspace, and its group if need be; or replace what is kept about it."""
    names.WORKSPACE.checked(workspace.name)
    _check_group_name(workspace.resource_group)
    existing = plane.store.get_workspace(workspace.key)
    group = _group_key(workspace.subscription, workspace.resource_group)
    if plane.store.get_group(group) is None:
        plane.store.put_group(group, ResourceGroup(name=workspace.resource_group))
    complete = wanted.model_copy(
        update={
            "name": existing.name if existing else workspace.name,
            "resource_group": existing.resource_group if existing else workspace.resource_group,
            "location": wanted.location or plane.settings.location,
            "id": existing.id if existing else workspace.arm_id,
            "creation_context": context(caller, existing.creation_context if existing else None),
        }
    )
    return plane.store.put_workspace(workspace.key, complete)


def delete(plane: ControlPlane, workspace: Workspace) -> bool:
    """Forget the workspace and all that it holds but its jobs and their outputs, and who may do what in it.

    False if there is none.
    """
    if workspace.is_default:
        raise ResourceConflict(
            "The default workspace is always there and cannot be deleted. Delete what is in it one by one, for "
            "example: batch-endpoint delete --name NAME --yes",
            target=workspace.name,
        )
    for datastore in plane.store.list_datastores(workspace.key):
        secrets.forget(plane.settings.home, datastore)
    forget_keys(account_of(plane.settings.home, workspace))
    # Whoever makes another one of this name decides anew who may do what in it.
    for given in plane.store.list_assignments():
        if given.scope.lower() == workspace.arm_id.lower():
            plane.store.delete_assignment(given.id)
    return plane.store.delete_workspace(workspace.key)


def faults(desk: Desk) -> list[str]:
    """What keeps the workspace from working, as sentences: folders of its datastores that are not there."""
    found = []
    for datastore in desk.store.list_datastores(desk.key):
        path = Path(datastore.path) if datastore.path else None
        if path is not None and not path.is_dir():
            found.append(f"The datastore {datastore.name} is the folder {path}, and there is none. Make it.")
    return found


def group(plane: ControlPlane, subscription: str, name: str) -> ResourceGroup:
    """A resource group; ResourceNotFound when nobody created it."""
    found = plane.store.get_group(_group_key(subscription, name))
    if found is None and (name.lower() == DEFAULT_GROUP or plane.store.list_workspaces(subscription, name)):
        found = ResourceGroup(name=name)
    if found is None:
        raise ResourceNotFound(
            f"There is no resource group {name}. Create it with: group create --name {name}", target=name
        )
    return found.model_copy(update={"location": found.location or plane.settings.location})


def groups(plane: ControlPlane, caller: Caller, subscription: str) -> list[ResourceGroup]:
    """The resource groups of a subscription in which the caller may do anything, the default one first."""
    found = {one.name.lower(): one for one in plane.store.list_groups(subscription)}
    for record in plane.store.list_workspaces(subscription):
        name = record.resource_group or DEFAULT_GROUP
        found.setdefault(name.lower(), ResourceGroup(name=name))
    default = found.pop(DEFAULT_GROUP, ResourceGroup(name=DEFAULT_GROUP))
    location = plane.settings.location
    every = (one.model_copy(update={"location": one.location or location}) for one in (default, *found.values()))
    return [one for one in every if caller.knows_of(f"/subscriptions/{subscription}/resourceGroups/{one.name}")]


def put_group(plane: ControlPlane, subscription: str, wanted: ResourceGroup) -> ResourceGroup:
    """Create a resource group, or replace what is kept about it."""
    _check_group_name(wanted.name)
    complete = wanted.model_copy(update={"location": wanted.location or plane.settings.location})
    return plane.store.put_group(_group_key(subscription, wanted.name), complete)


def delete_group(plane: ControlPlane, subscription: str, name: str) -> bool:
    """Forget a group that holds no workspace; False if there is none. ResourceConflict while it holds one."""
    held = plane.store.list_workspaces(subscription, name)
    if held or name.lower() == DEFAULT_GROUP:
        what = f"the workspace {held[0].name}" if held else "the default workspace, which is always there"
        raise ResourceConflict(f"The resource group {name} holds {what}, and cannot be deleted with it.", target=name)
    return plane.store.delete_group(_group_key(subscription, name))


def account_id(plane: ControlPlane, workspace: Workspace) -> str:
    """The id of the storage account of a workspace."""
    group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.resource_group}"
    name = account_of(plane.settings.home, workspace).name
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"


def _group_key(subscription: str, name: str) -> str:
    return f"{subscription}/{name}".lower()


def _check_group_name(name: str) -> None:
    allowed = all(c.isalnum() or c in "-_.()" for c in name)
    if not allowed or not 1 <= len(name) <= _GROUP_MAX or name.endswith("."):
        raise ReferenceInvalid(
            f'"{name[:60]}" is not the name of a resource group: use 1 to {_GROUP_MAX} letters, digits, dashes, '
            "underscores, parentheses and dots, not ending with a dot.",
            target="resource_group",
        )
