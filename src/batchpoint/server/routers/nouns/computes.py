"""Computes: list, get, put, patch, delete, and what their instances do at this moment."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import compute as wire
from batchpoint.entities.compute import Compute
from batchpoint.errors import NotSupported, ResourceNotFound
from batchpoint.server import capacity
from batchpoint.server.intake import creation
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page
from batchpoint.server.routers.cloud.operations import answered

router = APIRouter(prefix=f"{WORKSPACE_PATH}/computes")

_POWER = frozenset({"start", "stop", "restart"})


@router.get("")
def list_computes(request: Request, desk: AtDesk) -> dict[str, Any]:
    return page(request, [_shown(desk, compute) for compute in desk.store.list_computes(desk.key)])


@router.get("/{compute}")
def get_compute(desk: AtDesk, compute: str) -> dict[str, Any]:
    return _shown(desk, desk.compute(compute))


@router.put("/{compute}")
def put_compute(desk: AtDesk, compute: str, sent: Sent, response: Response) -> dict[str, Any]:
    response.status_code = 200 if desk.store.get_compute(desk.key, compute) else 201
    return answered(desk, response, _shown(desk, creation.create_compute(desk, wire.from_json(sent, compute))))


@router.patch("/{compute}")
def patch_compute(desk: AtDesk, compute: str, sent: Sent, response: Response) -> dict[str, Any]:
    changed = creation.create_compute(desk, wire.rescaled(desk.compute(compute), sent))
    return answered(desk, response, _shown(desk, changed))


@router.delete("/{compute}")
def delete_compute(desk: AtDesk, compute: str) -> Response:
    return Response(status_code=200 if desk.store.delete_compute(desk.key, compute) else 204)


@router.post("/{compute}/listNodes")
def list_nodes(desk: AtDesk, compute: str) -> dict[str, Any]:
    found = desk.compute(compute)
    situation = desk.store.situation(desk.key, found.name)
    nodes = capacity.nodes(found, situation, datetime.now(UTC), keeps_idle=desk.plane.keeps_idle)
    return {"nodes": [wire.node_to_json(node) for node in nodes]}


@router.post("/{compute}/listKeys")
def list_keys(desk: AtDesk, compute: str) -> dict[str, Any]:
    """Nobody logs in to the instances of a compute: there are no keys."""
    return {"computeType": wire.type_of(desk.compute(compute))}


@router.post("/{compute}/{verb}")
def refuse_power(desk: AtDesk, compute: str, verb: str) -> None:
    """``start``, ``stop`` and ``restart`` are for machines that are rented."""
    name = desk.compute(compute).name
    if verb not in _POWER:
        raise ResourceNotFound(f"There is no {verb} of a compute.", target=verb)
    raise NotSupported(
        f"There is nothing to {verb} at compute {name}: its instances come with jobs and go when they are idle. To "
        f"have some ready all the time: compute update --name {name} --min-instances N",
        target=verb,
    )


def _shown(desk: Desk, compute: Compute) -> dict[str, Any]:
    situation = desk.store.situation(desk.key, compute.name)
    now = datetime.now(UTC)
    return wire.to_json(capacity.with_counts(compute, situation, now, keeps_idle=desk.plane.keeps_idle), desk.workspace)
