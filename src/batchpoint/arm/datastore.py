"""The datastore on the wire. ``LocalFolder`` is ours; the Azure kinds come with object storage."""

from typing import Any

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import (
    Body,
    build,
    creation_context,
    enum_from_wire,
    enum_to_wire,
    system_data,
    without_none,
)
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported


def to_json(datastore: Datastore, workspace: Workspace) -> dict[str, Any]:
    """The resource."""
    arm_id = datastore.id or ids.datastore_id(workspace, datastore.name)
    return {
        "id": arm_id,
        "name": datastore.name,
        "type": ids.type_of(arm_id),
        "systemData": system_data(datastore.creation_context),
        "properties": without_none(
            {
                "datastoreType": enum_to_wire(datastore.type),
                "path": datastore.path,
                "description": datastore.description,
                "tags": datastore.tags,
                "properties": {},
                "isDefault": datastore.is_default,
                "credentials": {"credentialsType": "None"},
            }
        ),
    }


def from_json(body: Body, name: str | None = None) -> Datastore:
    """Reads a request (then ``name`` is that of its URL) or an answer."""
    properties = body.child("properties")
    kind = enum_from_wire(properties.text("datastoreType")) or "local_folder"
    if kind != "local_folder":
        raise NotSupported(f"Datastores of type {kind} are not offered yet; use local_folder.", target="datastoreType")
    values = {
        "name": name or body.text("name"),
        "type": kind,
        "path": properties.text("path"),
        "description": properties.text("description"),
        "tags": properties.texts("tags"),
        "is_default": properties.boolean("isDefault"),
        "id": body.text("id"),
        "creation_context": creation_context(body),
    }
    return build(Datastore, values)
