"""Datastores: list, get, put, delete. The default one is there without being created."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import datastore as wire
from batchpoint.errors import ResourceConflict
from batchpoint.server.intake import creation
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page
from batchpoint.storage.datastores import DEFAULT_DATASTORE

router = APIRouter(prefix=f"{WORKSPACE_PATH}/datastores")


@router.get("")
def list_datastores(request: Request, desk: AtDesk) -> dict[str, Any]:
    only_default = (request.query_params.get("isDefault") or "").lower() == "true"
    found = [d for d in desk.datastores() if d.is_default or not only_default]
    return page(request, [wire.to_json(datastore, desk.workspace) for datastore in found])


@router.get("/{datastore}")
def get_datastore(desk: AtDesk, datastore: str) -> dict[str, Any]:
    return wire.to_json(desk.datastore(datastore), desk.workspace)


@router.put("/{datastore}")
def put_datastore(desk: AtDesk, datastore: str, sent: Sent, response: Response) -> dict[str, Any]:
    _keep_default(datastore)
    response.status_code = 200 if desk.store.get_datastore(desk.key, datastore) else 201
    return wire.to_json(creation.create_datastore(desk, wire.from_json(sent, datastore)), desk.workspace)


@router.delete("/{datastore}")
def delete_datastore(desk: AtDesk, datastore: str) -> Response:
    """Removes the registration, not the data."""
    _keep_default(datastore)
    return Response(status_code=200 if desk.store.delete_datastore(desk.key, datastore) else 204)


def _keep_default(name: str) -> None:
    if name == DEFAULT_DATASTORE:
        message = f"{name} is the default datastore of every workspace; it can be neither replaced nor deleted."
        raise ResourceConflict(message, target=name)
