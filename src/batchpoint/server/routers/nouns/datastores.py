"""Datastores: list, get, put, delete, and their secrets for who asks. The default one is always there."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import datastore as wire
from batchpoint.entities.datastore import Datastore
from batchpoint.errors import ResourceConflict, ResourceNotFound
from batchpoint.server.blobs.offers.signatures import blob_place, signature
from batchpoint.server.intake import datastores as rules
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page
from batchpoint.storage.accounts.account import CONTAINER_OF
from batchpoint.storage.accounts.container_names import container_of
from batchpoint.storage.objects import secrets

router = APIRouter(prefix=f"{WORKSPACE_PATH}/datastores")


@router.get("")
def list_datastores(request: Request, desk: AtDesk) -> dict[str, Any]:
    """By name; ``isDefault``, ``names``, ``searchText``, ``orderBy`` and ``orderByAsc`` choose and sort."""
    asked = {key.lower(): value for key, value in request.query_params.items()}
    found = [datastore for datastore in desk.datastores() if _is_asked_for(datastore, asked)]
    if asked.get("orderby", "").lower() in ("createdat", "modifiedat"):
        found.sort(key=_made_at)
    if asked.get("orderbyasc", "true").lower() == "false":
        found.reverse()
    return page(request, [_answer(request, desk, datastore) for datastore in found])


@router.get("/{datastore}")
def get_datastore(request: Request, desk: AtDesk, datastore: str) -> dict[str, Any]:
    return _answer(request, desk, desk.datastore(datastore))


@router.put("/{datastore}")
def put_datastore(request: Request, desk: AtDesk, datastore: str, sent: Sent, response: Response) -> dict[str, Any]:
    """Create or replace; tried out before unless ``skipValidation`` is true."""
    _keep_own(datastore)
    skip = next((v for k, v in request.query_params.items() if k.lower() == "skipvalidation"), "").lower() == "true"
    response.status_code = 200 if desk.store.get_datastore(desk.key, datastore) else 201
    made = rules.create_datastore(desk, wire.from_json(sent, datastore), skip_validation=skip)
    return _answer(request, desk, made)


@router.post("/{datastore}/listSecrets")
def list_secrets(desk: AtDesk, datastore: str, sent: Sent) -> dict[str, Any]:
    """For a folder of ours a signature that ends after ``expireAfterHours``; for others what was registered."""
    asked = desk.datastore(datastore)
    if asked.is_local:
        return {
            "secretsType": "Sas",
            "sasToken": signature(desk, container_of(asked), sent.integer("expireAfterHours")),
        }
    found = secrets.recall(desk.settings.home, asked)
    if found is None:
        message = f"The datastore {datastore} has no credentials: it is read anonymously, or as the server's identity."
        raise ResourceNotFound(message, target=datastore)
    return wire.secrets_to_json(found)


@router.delete("/{datastore}")
def delete_datastore(desk: AtDesk, datastore: str) -> Response:
    """Removes the registration and its credentials, not the data."""
    _keep_own(datastore)
    return Response(status_code=200 if rules.delete_datastore(desk, datastore) else 204)


def _answer(request: Request, desk: Desk, datastore: Datastore) -> dict[str, Any]:
    place = blob_place(desk, datastore, request.headers.get("user-agent", ""))
    return wire.to_json(datastore, desk.workspace, place)


def _is_asked_for(datastore: Datastore, asked: dict[str, str]) -> bool:
    if asked.get("isdefault", "").lower() not in ("", str(datastore.is_default).lower()):
        return False
    names = [name.strip() for name in asked.get("names", "").split(",") if name.strip()]
    return (not names or datastore.name in names) and asked.get("searchtext", "").lower() in datastore.name.lower()


def _made_at(datastore: Datastore) -> tuple[bool, float]:
    """Sorts the default datastore, which nobody made, before all others."""
    made = datastore.creation_context
    return made is not None, made.created_at.timestamp() if made else 0.0


def _keep_own(name: str) -> None:
    if name in CONTAINER_OF:
        message = f"{name} is a datastore that every workspace has; it can be neither changed nor deleted."
        raise ResourceConflict(message, target=name)
