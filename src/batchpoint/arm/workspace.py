"""The workspace and the resource group on the wire."""

from typing import Any

from batchpoint.arm.envelope import identity, ids
from batchpoint.arm.envelope.reading import Body, build, creation_context, system_data, without_none
from batchpoint.entities.workspace import Workspace
from batchpoint.entities.workspace_record import ResourceGroup, WorkspaceRecord

#: Key of the noun → property of the wire, where both are plain text.
_TEXTS = {
    "display_name": "friendlyName",
    "description": "description",
    "storage_account": "storageAccount",
    "key_vault": "keyVault",
    "application_insights": "applicationInsights",
    "container_registry": "containerRegistry",
    "public_network_access": "publicNetworkAccess",
}


def to_json(record: WorkspaceRecord, workspace: Workspace, server: str = "") -> dict[str, Any]:
    """The resource; ``server`` is the URL of who answers, empty in a request."""
    properties = {wire: getattr(record, key) for key, wire in _TEXTS.items()}
    if server:
        properties |= {
            "discoveryUrl": f"{server}/discovery",
            "mlFlowTrackingUri": f"azureml://{server.partition('://')[2]}/mlflow/v1.0{workspace.arm_id}",
            "provisioningState": "Succeeded",
            "workspaceId": workspace.key,
        }
    return without_none(
        {
            "id": workspace.arm_id,
            "name": record.name,
            "type": ids.type_of(workspace.arm_id),
            "location": record.location,
            "tags": record.tags,
            "identity": identity.to_wire(record.identity),
            "systemData": system_data(record.creation_context),
            "properties": without_none(properties | {"hbiWorkspace": record.hbi_workspace}),
        }
    )


def from_json(body: Body, name: str | None = None, group: str | None = None) -> WorkspaceRecord:
    """Reads a request (then the names are those of its URL) or an answer."""
    properties = body.child("properties")
    segments = (body.text("id") or "").split("/")
    values = {
        **{key: properties.text(wire) for key, wire in _TEXTS.items()},
        "name": name or body.text("name"),
        "resource_group": group or (segments[4] if len(segments) > 4 else None),
        "location": body.text("location"),
        "tags": body.texts("tags"),
        "identity": identity.from_wire(body),
        "hbi_workspace": properties.boolean("hbiWorkspace"),
        "id": body.text("id"),
        "discovery_url": properties.text("discoveryUrl"),
        "mlflow_tracking_uri": properties.text("mlFlowTrackingUri"),
        "provisioning_state": properties.text("provisioningState"),
        "creation_context": creation_context(body),
    }
    return build(WorkspaceRecord, values)


def group_to_json(group: ResourceGroup, subscription: str) -> dict[str, Any]:
    """The resource of a group."""
    return without_none(
        {
            "id": f"/subscriptions/{subscription}/resourceGroups/{group.name}",
            "name": group.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": group.location,
            "tags": group.tags,
            "properties": {"provisioningState": "Succeeded"},
        }
    )


def group_from_json(body: Body, name: str | None = None) -> ResourceGroup:
    """Reads a request (then ``name`` is that of its URL) or an answer."""
    values = {
        "name": name or body.text("name"),
        "location": body.text("location"),
        "tags": body.texts("tags"),
        "id": body.text("id"),
    }
    return build(ResourceGroup, values)
