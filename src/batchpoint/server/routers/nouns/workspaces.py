"""Workspaces: list, get, put, patch, delete; and what clients ask a workspace about itself."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import workspace as wire
from batchpoint.entities.workspace import PROVIDER, Workspace
from batchpoint.entities.workspace_record import WorkspaceRecord
from batchpoint.server.intake import workspaces
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, AtPlane, By, Sent, page, plane, server_of
from batchpoint.storage.accounts.account import opened
from batchpoint.storage.accounts.keys import keys_of

router = APIRouter()

_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_LIST = f"providers/{PROVIDER}/workspaces"


@router.get("/discovery")
def discover(request: Request) -> dict[str, str]:
    """Where the services of a workspace answer: all on this server."""
    return dict.fromkeys(("api", "history", "experimentation", "modelmanagement"), server_of(request))


@router.get(f"{_SUBSCRIPTION}/{_LIST}")
def list_workspaces(request: Request, plane: AtPlane, by: By, subscription: str) -> dict[str, Any]:
    found = workspaces.list_of(plane, by, subscription, None)
    return page(request, [_shown(request, subscription, one) for one in found])


@router.get(f"{_GROUP}/{_LIST}")
def list_of_group(request: Request, plane: AtPlane, by: By, subscription: str, group: str) -> dict[str, Any]:
    found = workspaces.list_of(plane, by, subscription, group)
    return page(request, [_shown(request, subscription, one) for one in found])


@router.get(WORKSPACE_PATH)
def get_workspace(request: Request, plane: AtPlane, subscription: str, group: str, workspace: str) -> dict[str, Any]:
    return _shown(request, subscription, workspaces.find(plane, Workspace(subscription, group, workspace)))


@router.put(WORKSPACE_PATH)
def put_workspace(
    request: Request,
    plane: AtPlane,
    by: By,
    subscription: str,
    group: str,
    workspace: str,
    sent: Sent,
    response: Response,
) -> dict[str, Any]:
    path = Workspace(subscription, group, workspace)
    response.status_code = 200 if path.is_default or plane.store.get_workspace(path.key) else 201
    return _shown(request, subscription, workspaces.put(plane, by, path, wire.from_json(sent, workspace, group)))


@router.patch(WORKSPACE_PATH)
def patch_workspace(
    request: Request, plane: AtPlane, by: By, subscription: str, group: str, workspace: str, sent: Sent
) -> dict[str, Any]:
    """Replaces what is sent, keeps the rest."""
    path = Workspace(subscription, group, workspace)
    existing = workspaces.find(plane, path)
    changed = wire.from_json(sent, workspace, group)
    fields = [key for key in ("tags", "identity") if sent.has(key)]
    properties = sent.child("properties")
    fields += [
        key for key, name in (("description", "description"), ("display_name", "friendlyName")) if properties.has(name)
    ]
    merged = existing.model_copy(update={key: getattr(changed, key) for key in fields})
    return _shown(request, subscription, workspaces.put(plane, by, path, merged))


@router.delete(WORKSPACE_PATH)
def delete_workspace(plane: AtPlane, subscription: str, group: str, workspace: str) -> Response:
    gone = workspaces.delete(plane, Workspace(subscription, group, workspace))
    return Response(status_code=200 if gone else 204)


@router.post(f"{WORKSPACE_PATH}/diagnose")
def diagnose(desk: AtDesk) -> dict[str, Any]:
    """What keeps the workspace from working, in the lists that clients know; an empty list is a clean bill."""
    faults = [{"code": "DatastoreFolderMissing", "level": "Error", "message": one} for one in workspaces.faults(desk)]
    kinds = ("applicationInsights", "containerRegistry", "dnsResolution", "keyVault", "networkSecurityRule", "other")
    return {"value": {**{f"{kind}Results": [] for kind in kinds}, "storageAccountResults": faults}}


@router.post(f"{WORKSPACE_PATH}/listKeys")
def list_keys(desk: AtDesk) -> dict[str, Any]:
    """A workspace has no keys of its own: whoever has the token of the home has all."""
    return {"userStorageKey": "", "userStorageResourceId": "", "appInsightsInstrumentationKey": ""}


@router.post(f"{WORKSPACE_PATH}/listStorageAccountKeys")
def list_storage_keys(desk: AtDesk) -> dict[str, Any]:
    """The first key of the workspace's storage account."""
    return {"userStorageKey": keys_of(opened(desk.settings.home, desk.workspace))[0]}


@router.post(f"{WORKSPACE_PATH}/resyncKeys")
def resync_keys(desk: AtDesk) -> Response:
    return Response(status_code=200)


def _shown(request: Request, subscription: str, record: WorkspaceRecord) -> dict[str, Any]:
    path = Workspace(subscription, record.resource_group or workspaces.DEFAULT_GROUP, record.name)
    account = record.storage_account or workspaces.account_id(plane(request), path)
    return wire.to_json(record.model_copy(update={"storage_account": account}), path, server_of(request))
