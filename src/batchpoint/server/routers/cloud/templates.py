"""Workspaces made from a template of resources: the one way in which the official SDK creates them.

Of the template only the workspace counts. Key vaults and registries are not needed here, and a storage account of its
own every workspace has.
"""

from typing import Any

from fastapi import APIRouter

from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.workspace import Workspace
from batchpoint.entities.workspace_record import WorkspaceRecord
from batchpoint.errors import NotSupported, UserError
from batchpoint.server.identity.actions import ML
from batchpoint.server.identity.policy import refusal
from batchpoint.server.intake import workspaces
from batchpoint.server.routers.asked import AtPlane, By, Sent

router = APIRouter(prefix="/subscriptions/{subscription}/resourceGroups/{group}")


@router.put("/providers/Microsoft.Resources/deployments/{deployment}", status_code=201)
def deploy(plane: AtPlane, caller: By, subscription: str, group: str, deployment: str, sent: Sent) -> dict[str, Any]:
    """Done when it is answered: nothing has to be waited for."""
    record = _workspace_in(sent, group)
    place = Workspace(subscription, group, record.name)
    if not caller.may(f"{ML}/write", place.arm_id):
        raise refusal(caller, f"{ML}/write", place.arm_id)
    workspaces.put(plane, caller, place, record)
    kind = "Microsoft.Resources/deployments"
    return {
        "id": f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{deployment}",
        "name": deployment,
        "type": kind,
        "properties": {"provisioningState": "Succeeded", "mode": "Incremental", "duration": "PT0S"},
    }


@router.get("/deployments/{deployment}/operations")
def list_operations(subscription: str, group: str, deployment: str) -> dict[str, Any]:
    """Its single steps: none are left to be followed."""
    return {"value": []}


def _workspace_in(sent: Body, group: str) -> WorkspaceRecord:
    parameters = sent.child("properties").child("parameters")
    name, kind = _text(parameters, "workspaceName"), _text(parameters, "kind") or "default"
    if not name:
        raise UserError(
            "This template names no workspace (its parameter workspaceName), and nothing else is made from templates "
            "here. Create the workspace with: workspace create --name NAME",
            target="properties.parameters.workspaceName",
        )
    if kind.lower() != "default":
        raise NotSupported(f"A workspace of kind {kind} is not offered. Leave the kind out.", target="kind")
    return WorkspaceRecord(
        name=name,
        resource_group=group,
        location=_text(parameters, "location"),
        display_name=_text(parameters, "friendlyName"),
        description=_text(parameters, "description"),
        tags=parameters.child("tagValues").texts("value"),
    )


def _text(parameters: Body, name: str) -> str | None:
    return parameters.child(name).text("value")
