"""Batch endpoints: list, get, put, patch, delete."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import endpoint as wire
from batchpoint.entities.endpoint import Endpoint
from batchpoint.server.intake import creation
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page
from batchpoint.server.routers.cloud.operations import answered

router = APIRouter(prefix=f"{WORKSPACE_PATH}/batchEndpoints")


@router.get("")
def list_endpoints(request: Request, desk: AtDesk) -> dict[str, Any]:
    return page(request, [_shown(desk, endpoint) for endpoint in desk.store.list_endpoints(desk.key)])


@router.get("/{endpoint}")
def get_endpoint(desk: AtDesk, endpoint: str) -> dict[str, Any]:
    return _shown(desk, desk.endpoint(endpoint))


@router.put("/{endpoint}")
def put_endpoint(desk: AtDesk, endpoint: str, sent: Sent, response: Response) -> dict[str, Any]:
    response.status_code = 200 if desk.store.get_endpoint(desk.key, endpoint) else 201
    return answered(desk, response, _shown(desk, creation.create_endpoint(desk, wire.from_json(sent, endpoint))))


@router.patch("/{endpoint}")
def patch_endpoint(desk: AtDesk, endpoint: str, sent: Sent, response: Response) -> dict[str, Any]:
    """Replaces what is sent, keeps the rest."""
    existing = desk.endpoint(endpoint)
    sent_properties = sent.child("properties")
    changed = wire.from_json(sent, existing.name)
    fields = [name for name in ("tags", "identity", "location") if sent.has(name)]
    fields += [name for name in ("description", "properties", "defaults") if sent_properties.has(name)]
    updates = {name: getattr(changed, name) for name in fields}
    changed = creation.create_endpoint(desk, existing.model_copy(update=updates))
    return answered(desk, response, _shown(desk, changed))


@router.post("/{endpoint}/listKeys")
def list_keys(desk: AtDesk, endpoint: str) -> dict[str, Any]:
    """An endpoint has no keys of its own: callers show tokens."""
    desk.endpoint(endpoint)
    return {"primaryKey": "", "secondaryKey": ""}


@router.delete("/{endpoint}")
def delete_endpoint(desk: AtDesk, endpoint: str) -> Response:
    return Response(status_code=200 if desk.store.delete_endpoint(desk.key, endpoint) else 204)


def _shown(desk: Desk, endpoint: Endpoint) -> dict[str, Any]:
    # The address is that of the server that answers, not of the one that was asked to create it.
    uri = f"{desk.server}/endpoints/{endpoint.name}/jobs"
    return wire.to_json(endpoint.model_copy(update={"scoring_uri": uri}), desk.workspace)
