"""The files of a model, for whoever wants them back: listed, and read one by one."""

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from batchpoint.entities.assets import Model
from batchpoint.errors import ResourceNotFound
from batchpoint.server.intake.locations import local_path_of
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk
from batchpoint.server.routers.jobs import path_inside

router = APIRouter(prefix=f"/batchpoint/v1{WORKSPACE_PATH}/models/{{name}}/versions/{{version}}/files")


@router.get("")
def list_files(desk: AtDesk, name: str, version: str) -> dict[str, Any]:
    place = _place(desk, name, version)
    if place.is_file():
        return {"value": [{"path": place.name, "size": place.stat().st_size}]}
    found = sorted(Path(here, file) for here, _, files in os.walk(place, followlinks=True) for file in files)
    return {"value": [{"path": f.relative_to(place).as_posix(), "size": f.stat().st_size} for f in found]}


@router.get("/{path:path}")
def read_file(desk: AtDesk, name: str, version: str, path: str) -> FileResponse:
    place = _place(desk, name, version)
    file = path_inside(place.parent if place.is_file() else place, path)
    if not file.is_file() or (place.is_file() and path != place.name):
        raise ResourceNotFound(f"Model {name} version {version} has no file {path}.", target=path)
    return FileResponse(file, media_type="application/octet-stream")


def _place(desk: Desk, name: str, version: str) -> Path:
    model = desk.asset(Model, name, version)
    place = local_path_of(desk.keeping(model), model.path)
    if not place.exists():
        raise ResourceNotFound(f"The files of model {name} version {version} are gone from {place}.", target=name)
    return place
