"""Models, data (``datasets`` in 2021), environments and codes: containers and versions, the same routes for each."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import assets as wire
from batchpoint.arm.assets import KIND, Asset
from batchpoint.entities.assets import Code
from batchpoint.errors import ResourceNotFound
from batchpoint.server.intake import creation
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page

router = APIRouter(prefix=WORKSPACE_PATH)

VIEWS = {"archivedonly": "ArchivedOnly", "all": "All"}


def list_containers(request: Request, desk: AtDesk, segment: str) -> dict[str, Any]:
    newest = desk.store.list_assets(desk.key, _kind(segment), _view(request))
    return page(request, [_container(desk, asset) for asset in newest])


def get_container(desk: AtDesk, segment: str, name: str) -> dict[str, Any]:
    return _container(desk, desk.latest(_kind(segment), name))


def list_versions(request: Request, desk: AtDesk, segment: str, name: str) -> dict[str, Any]:
    """Newest first. Codes can be looked for by content: ``?hash=<sha256>``."""
    kind, content_hash = _kind(segment), request.query_params.get("hash")
    if kind is Code and content_hash:
        found = desk.store.find_code(desk.key, content_hash)
        return {"value": [wire.to_json(found, desk.workspace)] if found else []}
    versions = desk.store.list_versions(desk.key, kind, name, _view(request))
    return page(request, [wire.to_json(asset, desk.workspace) for asset in versions])


def get_version(desk: AtDesk, segment: str, name: str, version: str) -> dict[str, Any]:
    return wire.to_json(desk.asset(_kind(segment), name, version), desk.workspace)


def get_labelled(desk: AtDesk, segment: str, name: str, label: str) -> dict[str, Any]:
    if label != "latest":
        raise ResourceNotFound(f"There is no label {label}; the one label is latest.", target=label)
    return wire.to_json(desk.latest(_kind(segment), name), desk.workspace)


def put_version(desk: AtDesk, segment: str, name: str, version: str, sent: Sent, response: Response) -> dict[str, Any]:
    kind = _kind(segment)
    response.status_code = 200 if desk.store.get_asset(desk.key, kind, name, version) else 201
    return wire.to_json(creation.create_asset(desk, wire.from_json(kind, sent, name, version)), desk.workspace)


def _container(desk: Desk, asset: Asset) -> dict[str, Any]:
    kind: Any = type(asset)
    next_version = desk.store.next_version(desk.key, kind, asset.name or "")
    return wire.container_to_json(asset, next_version, desk.workspace)


def _kind(segment: str) -> Any:
    kind = KIND.get(segment)
    if kind is None:
        raise ResourceNotFound(f"There are no {segment} here; assets are {', '.join(KIND)}.", target=segment)
    return kind


def _view(request: Request) -> Any:
    return VIEWS.get((request.query_params.get("listViewType") or "").lower(), "ActiveOnly")


router.get("/{segment}")(list_containers)
router.get("/{segment}/{name}")(get_container)
router.get("/{segment}/{name}/versions")(list_versions)
router.get("/{segment}/{name}/versions/labels/{label}")(get_labelled)
router.get("/{segment}/{name}/versions/{version}")(get_version)
router.get("/{segment}/{name}/labels/{label}")(get_labelled)
router.put("/{segment}/{name}/versions/{version}")(put_version)
