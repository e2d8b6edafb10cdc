"""Computes: list, get, put, delete."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import compute as wire
from batchpoint.server.intake import creation
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page

router = APIRouter(prefix=f"{WORKSPACE_PATH}/computes")


@router.get("")
def list_computes(request: Request, desk: AtDesk) -> dict[str, Any]:
    return page(request, [wire.to_json(compute, desk.workspace) for compute in desk.store.list_computes(desk.key)])


@router.get("/{compute}")
def get_compute(desk: AtDesk, compute: str) -> dict[str, Any]:
    return wire.to_json(desk.compute(compute), desk.workspace)


@router.put("/{compute}")
def put_compute(desk: AtDesk, compute: str, sent: Sent, response: Response) -> dict[str, Any]:
    response.status_code = 200 if desk.store.get_compute(desk.key, compute) else 201
    return wire.to_json(creation.create_compute(desk, wire.from_json(sent, compute)), desk.workspace)


@router.delete("/{compute}")
def delete_compute(desk: AtDesk, compute: str) -> Response:
    return Response(status_code=200 if desk.store.delete_compute(desk.key, compute) else 204)
