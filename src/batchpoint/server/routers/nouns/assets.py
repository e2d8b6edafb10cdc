"""Models, data (``datasets`` in 2021), environments and codes: containers and versions, the same routes for each."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import assets as wire
from batchpoint.arm.assets import KIND, Asset
from batchpoint.arm.cloud.storage_account import account_id, pending_upload_to_json
from batchpoint.entities.assets import Code, Environment
from batchpoint.errors import ResourceNotFound
from batchpoint.server.blobs.offers.signatures import pending_upload
from batchpoint.server.environments.buildable import without_credentials
from batchpoint.server.intake import creation
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page, view_of
from batchpoint.server.routers.cloud.operations import answered
from batchpoint.server.routers.nouns.asset_lists import chosen
from batchpoint.storage.accounts.account import account_of

router = APIRouter(prefix=WORKSPACE_PATH)


def list_containers(request: Request, desk: AtDesk, segment: str) -> dict[str, Any]:
    kind = _kind(segment)
    archived = desk.store.archived_names(desk.key, kind)
    newest = desk.store.list_assets(desk.key, kind, view_of(request))
    return page(request, [_container(desk, asset, asset.name in archived) for asset in newest])


def get_container(desk: AtDesk, segment: str, name: str) -> dict[str, Any]:
    kind = _kind(segment)
    return _container(desk, desk.latest(kind, name), name in desk.store.archived_names(desk.key, kind))


def put_container(desk: AtDesk, segment: str, name: str, sent: Sent) -> dict[str, Any]:
    """Archives or restores all versions at once; description and tags are those of the latest version."""
    kind, archived = _kind(segment), wire.is_archived(sent)
    if desk.store.latest_asset(desk.key, kind, name) is None:
        message = (
            f"There is no {name} among the {segment}: it comes with its first version. PUT {segment}/{name}/versions/1."
        )
        raise ResourceNotFound(message, target=name)
    if archived is not None:
        desk.store.archive_asset(desk.key, kind, name, None, archived)
    return get_container(desk, segment, name)


def delete_container(desk: AtDesk, segment: str, name: str) -> Response:
    return Response(status_code=200 if desk.store.delete_asset(desk.key, _kind(segment), name) else 204)


def list_versions(request: Request, desk: AtDesk, segment: str, name: str) -> dict[str, Any]:
    """Newest first. Codes can be looked for by content: ``?hash=<sha256>``."""
    kind, content_hash = _kind(segment), request.query_params.get("hash")
    if kind is Code and content_hash:
        found = desk.store.find_code(desk.key, content_hash)
        return {"value": [_shown(desk, found, segment)] if found else []}
    archived = desk.store.archived_versions(desk.key, kind, name)
    versions = chosen(request, desk.store.list_versions(desk.key, kind, name, view_of(request)))
    return page(request, [_shown(desk, one, segment, archived=one.version in archived) for one in versions])


def get_version(desk: AtDesk, segment: str, name: str, version: str) -> dict[str, Any]:
    return _version(desk, desk.asset(_kind(segment), name, version), segment)


def get_labelled(desk: AtDesk, segment: str, name: str, label: str) -> dict[str, Any]:
    if label != "latest":
        raise ResourceNotFound(f"There is no label {label}; the one label is latest.", target=label)
    return _version(desk, desk.latest(_kind(segment), name), segment)


def put_version(desk: AtDesk, segment: str, name: str, version: str, sent: Sent, response: Response) -> dict[str, Any]:
    """Creates the version, or changes what may be changed of it; ``isArchived`` hides it from lists."""
    kind, archived = _kind(segment), wire.is_archived(sent)
    response.status_code = 200 if desk.store.get_asset(desk.key, kind, name, version) else 201
    asset = creation.create_asset(desk, wire.from_json(kind, sent, name, version))
    is_now = version in desk.store.archived_versions(desk.key, kind, name)
    if archived is not None and archived != is_now:
        desk.store.archive_asset(desk.key, kind, name, version, archived)
    return answered(desk, response, _version(desk, asset, segment))


def start_pending_upload(desk: AtDesk, segment: str) -> dict[str, Any]:
    """A container of its own for files of a version that is not registered yet."""
    _kind(segment)
    upload = pending_upload(desk)
    account = account_id(desk.workspace, account_of(desk.settings.home, desk.workspace).name)
    return pending_upload_to_json(upload.id, upload.url, upload.signed_url, account)


def delete_version(desk: AtDesk, segment: str, name: str, version: str) -> Response:
    return Response(status_code=200 if desk.store.delete_asset(desk.key, _kind(segment), name, version) else 204)


def _version(desk: Desk, asset: Asset, segment: str) -> dict[str, Any]:
    kind: Any = type(asset)
    archived = desk.store.archived_versions(desk.key, kind, asset.name or "")
    return _shown(desk, asset, segment, archived=asset.version in archived)


def _shown(desk: Desk, asset: Asset, segment: str, *, archived: bool | None = None) -> dict[str, Any]:
    shown = wire.to_json(_showable(asset), desk.workspace, archived=archived)
    return wire.as_dataset(shown) if segment == "datasets" else shown


def _container(desk: Desk, asset: Asset, archived: bool) -> dict[str, Any]:
    kind: Any = type(asset)
    next_version = desk.store.next_version(desk.key, kind, asset.name or "")
    return wire.container_to_json(_showable(asset), next_version, desk.workspace, archived=archived)


def _showable(asset: Asset) -> Asset:
    return without_credentials(asset) if isinstance(asset, Environment) else asset


def _kind(segment: str) -> Any:
    kind = KIND.get(segment)
    if kind is None:
        raise ResourceNotFound(f"There are no {segment} here; assets are {', '.join(KIND)}.", target=segment)
    return kind


router.get("/{segment}")(list_containers)
router.get("/{segment}/{name}")(get_container)
router.put("/{segment}/{name}")(put_container)
router.delete("/{segment}/{name}")(delete_container)
router.get("/{segment}/{name}/versions")(list_versions)
router.get("/{segment}/{name}/versions/labels/{label}")(get_labelled)
router.get("/{segment}/{name}/versions/{version}")(get_version)
router.get("/{segment}/{name}/labels/{label}")(get_labelled)
router.put("/{segment}/{name}/versions/{version}")(put_version)
router.delete("/{segment}/{name}/versions/{version}")(delete_version)
router.post("/{segment}/{name}/versions/{version}/startPendingUpload")(start_pending_upload)
