"""Builds of registered environments: begun by name, followed by their log, and what is built of a workspace."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from batchpoint.entities.assets import Environment
from batchpoint.errors import NotSupported
from batchpoint.server.environments.buildable import check_buildable
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import AtDesk

router = APIRouter(prefix="/batchpoint/v1/environments/{subscription}/{group}/{workspace}")


@router.get("")
def list_built(desk: AtDesk) -> dict[str, Any]:
    """Each version of the workspace that is built, or is being built."""
    found = []
    for name in desk.store.list_assets(desk.key, Environment, "All"):
        for version in desk.store.list_versions(desk.key, Environment, name.name or "", "All"):
            try:
                state = desk.plane.builds.state(version)
            except NotSupported:
                continue
            if state.state in ("built", "building"):
                found.append(state.model_dump(mode="json"))
    return {"value": found}


@router.get("/{name}/versions/{version}")
def get_state(desk: AtDesk, name: str, version: str) -> dict[str, Any]:
    return desk.plane.builds.state(_environment(desk, name, version)).model_dump(mode="json")


@router.post("/{name}/versions/{version}/build", status_code=202)
def begin(desk: AtDesk, name: str, version: str) -> dict[str, Any]:
    """Begins a build, or finds the one that is under way; its end shows in the log's answer."""
    environment = _environment(desk, name, version)
    check_buildable(desk, environment)
    return desk.plane.builds.begin(environment, f"environment {name}:{version}").model_dump(mode="json")


@router.get("/{name}/versions/{version}/build/log")
def read_log(
    desk: AtDesk, name: str, version: str, offset: Annotated[int, Query(ge=0, le=1 << 40)] = 0
) -> dict[str, Any]:
    """The log from a byte on, and how things stand: what ``state`` says happened before the text was read."""
    environment = _environment(desk, name, version)
    state = desk.plane.builds.state(environment)
    part = desk.plane.builds.log(environment, offset)
    return {"state": state.model_dump(mode="json"), "text": part.text, "next": part.next}


def _environment(desk: Desk, name: str, version: str) -> Environment:
    return desk.asset(Environment, name, version)
