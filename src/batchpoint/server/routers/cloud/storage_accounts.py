"""The storage accounts of workspaces as resources: list, get, and their keys for who may have them."""

from typing import Any

from fastapi import APIRouter, Request

from batchpoint.arm.cloud import storage_account as wire
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceNotFound
from batchpoint.server.identity.caller import Caller
from batchpoint.server.identity.policy import refusal
from batchpoint.server.intake import workspaces
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.asked import AtPlane, By, page, server_of
from batchpoint.storage.accounts.account import account_of, opened
from batchpoint.storage.accounts.keys import keys_of

router = APIRouter()

_ACCOUNTS = "providers/Microsoft.Storage/storageAccounts"
_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/{_ACCOUNTS}"
_READ, _KEYS = (f"Microsoft.Storage/storageAccounts/{verb}" for verb in ("read", "listKeys/action"))


@router.get(f"/subscriptions/{{subscription}}/{_ACCOUNTS}")
def list_accounts(request: Request, plane: AtPlane, caller: By, subscription: str) -> dict[str, Any]:
    return page(request, [_shown(request, plane, one) for one in _seen(plane, caller, subscription, None)])


@router.get(_GROUP)
def list_of_group(request: Request, plane: AtPlane, caller: By, subscription: str, group: str) -> dict[str, Any]:
    return page(request, [_shown(request, plane, one) for one in _seen(plane, caller, subscription, group)])


@router.get(f"{_GROUP}/{{account}}")
def get_account(
    request: Request, plane: AtPlane, caller: By, subscription: str, group: str, account: str
) -> dict[str, Any]:
    return _shown(request, plane, _found(plane, caller, subscription, group, account))


@router.post(f"{_GROUP}/{{account}}/listKeys")
def list_keys(plane: AtPlane, caller: By, subscription: str, group: str, account: str) -> dict[str, Any]:
    """Both; whoever has one can do everything with the blobs of the workspace."""
    workspace = _found(plane, caller, subscription, group, account)
    if not caller.may(_KEYS, workspace.arm_id):
        raise refusal(caller, _KEYS, workspace.arm_id)
    return wire.keys_to_json(keys_of(opened(plane.settings.home, workspace)))


def _seen(plane: ControlPlane, caller: Caller, subscription: str, group: str | None) -> list[Workspace]:
    """Workspaces whose account the caller may see."""
    records = workspaces.list_of(plane, caller, subscription, group)
    found = [Workspace(subscription, one.resource_group or workspaces.DEFAULT_GROUP, one.name) for one in records]
    return [one for one in found if caller.may(_READ, one.arm_id)]


def _found(plane: ControlPlane, caller: Caller, subscription: str, group: str, account: str) -> Workspace:
    for workspace in _seen(plane, caller, subscription, group):
        if account_of(plane.settings.home, workspace).name == account.lower():
            return workspace
    names = "each workspace has one of its own, and its default datastore names it"
    message = f"There is no storage account {account} in resource group {group}; {names}."
    raise ResourceNotFound(message, target=account)


def _shown(request: Request, plane: ControlPlane, workspace: Workspace) -> dict[str, Any]:
    name = account_of(plane.settings.home, workspace).name
    return wire.to_json(workspace, name, f"{server_of(request)}/{name}/", plane.settings.location)
