"""The deployments of an endpoint: list, get, put, delete."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import deployment as wire
from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.deployment import Deployment
from batchpoint.server.intake import creation
from batchpoint.server.intake.models.without_script import generated
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page
from batchpoint.server.routers.cloud.operations import answered

router = APIRouter(prefix=f"{WORKSPACE_PATH}/batchEndpoints/{{endpoint}}/deployments")


@router.get("")
def list_deployments(request: Request, desk: AtDesk, endpoint: str) -> dict[str, Any]:
    desk.endpoint(endpoint)
    return page(request, [_shown(desk, d) for d in desk.store.list_deployments(desk.key, endpoint)])


@router.get("/{deployment}")
def get_deployment(desk: AtDesk, endpoint: str, deployment: str) -> dict[str, Any]:
    return _shown_whole(desk, desk.deployment(endpoint, deployment))


@router.put("/{deployment}")
def put_deployment(desk: AtDesk, endpoint: str, deployment: str, sent: Sent, response: Response) -> dict[str, Any]:
    response.status_code = 200 if desk.store.get_deployment(desk.key, endpoint, deployment) else 201
    made = creation.create_deployment(desk, wire.from_json(sent, endpoint, deployment))
    return answered(desk, response, _shown_whole(desk, made))


@router.patch("/{deployment}")
def patch_deployment(desk: AtDesk, endpoint: str, deployment: str, sent: Sent, response: Response) -> dict[str, Any]:
    """Replaces what is sent, keeps the rest."""
    merged = Body(wire.to_json(desk.deployment(endpoint, deployment), desk.workspace)).overlaid(sent)
    changed = creation.create_deployment(desk, wire.from_json(merged, endpoint, deployment))
    return answered(desk, response, _shown_whole(desk, changed))


@router.delete("/{deployment}")
def delete_deployment(desk: AtDesk, endpoint: str, deployment: str) -> Response:
    return Response(status_code=200 if desk.store.delete_deployment(desk.key, endpoint, deployment) else 204)


def _shown(desk: Desk, deployment: Deployment) -> dict[str, Any]:
    return wire.to_json(deployment, desk.workspace, desk.settings.location)


def _shown_whole(desk: Desk, deployment: Deployment) -> dict[str, Any]:
    """With what stands in for a script where there is none."""
    return _shown(desk, deployment.model_copy(update={"generated": generated(desk, deployment)}))
