"""Resource groups: list, get, put, patch, delete. A group holds workspaces and nothing else."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import workspace as wire
from batchpoint.entities.workspace_record import ResourceGroup
from batchpoint.server.intake import workspaces
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.asked import AtPlane, By, Sent, page

router = APIRouter(prefix="/subscriptions/{subscription}/resourceGroups")


@router.get("")
def list_groups(request: Request, plane: AtPlane, by: By, subscription: str) -> dict[str, Any]:
    return page(request, [wire.group_to_json(one, subscription) for one in workspaces.groups(plane, by, subscription)])


@router.get("/{group}")
def get_group(plane: AtPlane, subscription: str, group: str) -> dict[str, Any]:
    return wire.group_to_json(workspaces.group(plane, subscription, group), subscription)


@router.head("/{group}")
def has_group(plane: AtPlane, subscription: str, group: str) -> Response:
    """204 where there is one, as ``az group exists`` asks."""
    workspaces.group(plane, subscription, group)
    return Response(status_code=204)


@router.put("/{group}")
def put_group(plane: AtPlane, subscription: str, group: str, sent: Sent, response: Response) -> dict[str, Any]:
    response.status_code = 200 if plane.store.get_group(f"{subscription}/{group}".lower()) else 201
    return _kept(plane, subscription, wire.group_from_json(sent, group))


@router.patch("/{group}")
def patch_group(plane: AtPlane, subscription: str, group: str, sent: Sent) -> dict[str, Any]:
    """Replaces the tags, if some are sent."""
    found = workspaces.group(plane, subscription, group)
    tags = {"tags": sent.texts("tags")} if sent.has("tags") else {}
    return _kept(plane, subscription, found.model_copy(update=tags))


@router.delete("/{group}")
def delete_group(plane: AtPlane, subscription: str, group: str) -> Response:
    return Response(status_code=200 if workspaces.delete_group(plane, subscription, group) else 204)


def _kept(plane: ControlPlane, subscription: str, group: ResourceGroup) -> dict[str, Any]:
    return wire.group_to_json(workspaces.put_group(plane, subscription, group), subscription)
