"""The batch endpoint on the wire."""

from typing import Any

from batchpoint.arm.envelope import identity, ids
from batchpoint.arm.envelope.operations import kept_properties
from batchpoint.arm.envelope.reading import Body, build, creation_context, enum_from_wire, system_data, without_none
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.workspace import Workspace

_AUTH_MODE = {"aad_token": "AADToken", "aml_token": "AMLToken", "key": "Key"}


def to_json(endpoint: Endpoint, workspace: Workspace) -> dict[str, Any]:
    """The resource. ``defaults`` and ``properties`` are objects even when empty: clients write into them."""
    arm_id = endpoint.id or ids.endpoint_id(workspace, endpoint.name)
    return without_none(
        {
            "id": arm_id,
            "name": endpoint.name,
            "type": ids.type_of(arm_id),
            "location": endpoint.location,
            "tags": endpoint.tags,
            "identity": identity.to_wire(endpoint.identity),
            "systemData": system_data(endpoint.creation_context),
            "properties": without_none(
                {
                    "authMode": _AUTH_MODE[endpoint.auth_mode],
                    "description": endpoint.description,
                    "properties": endpoint.properties,
                    "defaults": without_none({"deploymentName": endpoint.defaults.deployment_name}),
                    "scoringUri": endpoint.scoring_uri,
                    "swaggerUri": endpoint.openapi_uri,
                    "provisioningState": endpoint.provisioning_state,
                }
            ),
        }
    )


def from_json(body: Body, name: str | None = None) -> Endpoint:
    """Reads a request (then ``name`` is that of its URL) or an answer."""
    properties = body.child("properties")
    values = {
        "name": name or body.text("name"),
        "description": properties.text("description"),
        "tags": body.texts("tags"),
        "properties": kept_properties(properties),
        "auth_mode": auth_mode_from_wire(properties.text("authMode")),
        "identity": identity.from_wire(body),
        "location": body.text("location"),
        "defaults": {"deployment_name": properties.child("defaults").text("deploymentName")},
        "id": body.text("id"),
        "provisioning_state": properties.text("provisioningState"),
        "scoring_uri": properties.text("scoringUri"),
        "openapi_uri": properties.text("swaggerUri"),
        "creation_context": creation_context(body),
    }
    return build(Endpoint, values)


def auth_mode_from_wire(text: str | None) -> str | None:
    """``AADToken``, ``aadToken`` and ``aad_token`` alike."""
    squeezed = (text or "").replace("_", "").lower()
    known = {wire.lower(): word for word, wire in _AUTH_MODE.items()}
    return known.get(squeezed, enum_from_wire(text))
