"""Copies models and code into the default datastore, under the hash of their content, wherever they come from.

``creation`` calls it before a version is stored: what is registered must not change when somebody changes the
original, and must still be there when the original is gone.
"""

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batchpoint.errors import JobFailed, ReferenceInvalid, ResourceNotFound
from batchpoint.server.intake.locations import resolve
from batchpoint.server.intake.models.registry import fetch_registered
from batchpoint.server.lookup import Desk
from batchpoint.storage.atomic import aside_path
from batchpoint.storage.bring import Choice, Place, bring, bring_file
from batchpoint.storage.content import UPLOADS, StoredContent, store_content
from batchpoint.storage.datastores import DEFAULT_DATASTORE, StoredPath, default_datastore, open_datastore
from batchpoint.storage.listing import Found
from batchpoint.storage.uri import is_in_registry, kind_of_url

#: Whatever the names begin with.
_WHOLE = Choice(keeps_hidden=True)


def kept(desk: Desk, uri: str) -> tuple[str, str]:
    """The URI of the copy, and the hash of its content; "" for what was a copy already.

    Raises ReferenceInvalid, ResourceNotFound and DatastoreUnavailable for what cannot be read.
    """
    place = uri if is_in_registry(uri) else resolve(desk, uri)
    root = Path(default_datastore(desk.settings.home, desk.workspace).path or "")
    if isinstance(place, Path):
        if not place.exists():
            raise ResourceNotFound(f"There is no file or folder at {uri} on the server's machine.", target=uri)
        if place.is_relative_to(root / UPLOADS):
            return _without_address(uri, place.relative_to(root), is_folder=place.is_dir()), ""
        stored = store_content(place, root)
    else:
        stored = _fetched(desk, place, root)
    return f"azureml://datastores/{DEFAULT_DATASTORE}/paths/{stored.path}", stored.content_hash


def _without_address(uri: str, path: Path, *, is_folder: bool) -> str:
    """How a copy is named that was named by its address, which may carry a signature."""
    if not uri.lower().startswith("http"):
        return uri
    return f"azureml://datastores/{DEFAULT_DATASTORE}/paths/{path}{'/' if is_folder else ''}"


def _fetched(desk: Desk, place: StoredPath | str, root: Path) -> StoredContent:
    staging = desk.settings.home / "uploads"
    staging.mkdir(exist_ok=True)
    aside = aside_path(staging)
    aside.mkdir()
    try:
        if isinstance(place, StoredPath):
            fetched = _from_store(desk, place, aside)
        elif is_in_registry(place):
            fetched = fetch_registered(desk, place.strip(), aside)
        else:
            fetched = _from_web(desk, place, aside)
        return store_content(fetched, root)
    except JobFailed as error:
        raise ReferenceInvalid(error.message, target=error.target) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _from_store(desk: Desk, place: StoredPath, aside: Path) -> Path:
    store = open_datastore(place.datastore, desk.settings.home)
    path = place.path.rstrip("/")
    target = aside / (path.rpartition("/")[2] or place.datastore.container)
    size = None if place.path.endswith("/") or not path else store.size(path)
    if size is not None:
        bring_file(store, Found(path, size), target, lambda: None)
        return target
    return _folder(store, f"{path}/".removeprefix("/"), target)


def _from_web(desk: Desk, url: str, aside: Path) -> Path:
    from batchpoint.storage.web.fetch import fetch_file
    from batchpoint.storage.web.folder import WebFolder

    allowed = desk.settings.input_hosts_allowed
    if kind_of_url(url) == "uri_file":
        return fetch_file(url, aside, allowed)
    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    with WebFolder(url, allowed) as folder:
        return _folder(folder, "", aside / (name if name not in ("", ".", "..") else "content"))


def _folder(place: Place, folder: str, target: Path) -> Path:
    brought = bring(place, folder, target, _WHOLE)
    if not brought.items:
        message = f"There is no file or folder {place.shown(folder)}. Check the path."
        raise ResourceNotFound(message, target=place.shown(folder))
    for reason in brought.failed.values():
        raise ReferenceInvalid(f"{place.shown(folder)} is not whole: {reason}", target=place.shown(folder))
    return target
