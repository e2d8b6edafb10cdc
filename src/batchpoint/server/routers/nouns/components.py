"""Components, of which there are none: deployments are of models. Lists are empty, and creating one says what to do."""

from typing import Any

from fastapi import APIRouter

from batchpoint.errors import NotSupported, ResourceNotFound
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk

router = APIRouter(prefix=f"{WORKSPACE_PATH}/components")


@router.get("")
def list_components(desk: AtDesk) -> dict[str, Any]:
    return {"value": []}


@router.get("/{name}")
@router.get("/{name}/versions")
@router.get("/{name}/versions/{version}")
def find_component(desk: AtDesk, name: str) -> None:
    raise ResourceNotFound(f"There is no component {name}; pipeline components are not offered here.", target=name)


@router.put("/{name}")
@router.put("/{name}/versions/{version}")
def refuse_component(desk: AtDesk, name: str) -> None:
    raise NotSupported(
        "Pipeline components are not offered here. Deploy a model with a scoring script instead.", target=name
    )
