"""Where a data URI leads: to a path on this machine, into a datastore elsewhere, or to a URL.

``creation`` checks places with it, ``invocation`` freezes them. What a data asset refers to is not its business.
"""

import os
from pathlib import Path

from batchpoint.entities.datastore import Datastore
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import LocalPathNotAllowed, NotSupported, ReferenceInvalid
from batchpoint.server.identity.actions import ML
from batchpoint.server.intake.addresses.opened_folders import OpenedFolders
from batchpoint.server.intake.addresses.own_blobs import own_place
from batchpoint.server.lookup import Desk
from batchpoint.storage.datastores import LocalFolder, StoredPath, local_path
from batchpoint.storage.uri import (
    SUPPORTED_FORMS,
    DatastorePath,
    HttpUrl,
    JobOutput,
    LocalPath,
    ObjectStoreUrl,
    RegisteredModel,
    RunArtifact,
    datastore_to_register,
    parse_uri,
    relative_parts,
)

#: A path on this machine, a path in a datastore elsewhere, or the http(s) URL itself.
Location = Path | StoredPath | str


def resolve(desk: Desk, uri: str, use: str = "read") -> Location:
    """Where ``uri`` leads. Whether anything is there is not checked.

    ``use`` is what the caller must be allowed with the datastores of another workspace: ``read`` or ``write``. Raises
    ReferenceInvalid for what cannot be read, NotSupported for places that are not served, LocalPathNotAllowed.
    """
    match parse_uri(uri):
        case HttpUrl(url):
            return own_place(desk, url, use) or url
        case DatastorePath() as place:
            owner = Workspace(place.subscription, place.resource_group, place.workspace)
            here = desk.at(owner, f"{ML}/datastores/{use}") if place.workspace else desk
            return in_datastore(desk, here.datastore(place.datastore), place.path)
        case JobOutput(job=job, path=path):
            return _job_output(desk, job, path)
        case LocalPath(path) if path.startswith("/"):
            return allowed_path(desk, path)
        case LocalPath(path):
            message = f"{path!r} is a relative path, which means nothing to the server. Give {SUPPORTED_FORMS}."
            raise ReferenceInvalid(message, target=uri)
        case ObjectStoreUrl() as url:
            return _registered(desk, url)
        case RunArtifact() | RegisteredModel():
            message = f"{uri} is known to a tracking server of MLflow's, and only models are fetched from those."
            raise NotSupported(f"{message} Name the files themselves.", target=uri)
        case _:
            raise ReferenceInvalid(f"{uri} names an asset where a place is needed. Give {SUPPORTED_FORMS}.", target=uri)


def allowed_path(desk: Desk, path: str, *, is_read: bool = True) -> Path:
    """A path on this machine. Raises LocalPathNotAllowed where it is not for the caller to name it.

    ``is_read``: what lies below it is read, so that no link in it may lead out either.
    """
    if desk.caller.is_owner:
        return Path(path)
    # With every link followed: one that leads out of an allowed folder is a path outside.
    real = Path(os.path.realpath(path))
    opened = OpenedFolders(desk.settings)
    stray = path if not opened.has(real) else opened.way_out(real) if is_read else None
    if stray is None:
        return real
    raise LocalPathNotAllowed(
        f"{stray} is a path on the server's machine, or a link to one, and only the owner of its home may name those. "
        "Upload the files, or name them in a datastore (azureml://datastores/<name>/paths/<path>); the operator of the "
        "server can open a folder to all with the setting local_roots_allowed.",
        target=path,
    )


def in_datastore(desk: Desk, datastore: Datastore, path: str) -> Path | StoredPath:
    """The place of ``path`` in a datastore of any kind."""
    if datastore.is_local:
        return local_path(datastore, path)
    return StoredPath(datastore, path)


def _job_output(desk: Desk, job: str, path: str) -> Path | StoredPath:
    settings = desk.job(job).settings
    if settings.output_store is None:
        place = LocalFolder(Path(settings.output_folder)).local_path(path)
        # What others keep in such a folder is no output of the job.
        is_named = bool(settings.output_uri) and isinstance(parse_uri(settings.output_uri), LocalPath)
        return allowed_path(desk, str(place)) if is_named else place
    tail = "/" if path.endswith("/") or not path else ""
    inside = "/".join(relative_parts(f"{settings.output_folder}/{path}"))
    return StoredPath(settings.output_store, inside + tail)


def _registered(desk: Desk, url: ObjectStoreUrl) -> StoredPath:
    """The same place by the name of its datastore: credentials belong to datastores, never to URLs."""
    every = ((datastore, _path_inside(datastore, url)) for datastore in desk.datastores())
    known = [StoredPath(datastore, inside) for datastore, inside in every if inside is not None]
    if known:
        # One with credentials may do there what one without may, and more.
        return min(known, key=lambda place: place.datastore.credentials_type in (None, "none"))
    what = f"bucket {url.container}" if not url.account else f"container {url.container} of account {url.account}"
    raise ReferenceInvalid(
        f"{url.url} is in the {what}, and no datastore of workspace {desk.workspace.name} stands for it. Register one "
        f"({datastore_to_register(url)}) with: datastore create --file <datastore.yml>",
        target=url.url,
    )


def _path_inside(datastore: Datastore, url: ObjectStoreUrl) -> str | None:
    if datastore.is_local or datastore.container != url.container or (datastore.account_name or "") != url.account:
        return None
    start = "/".join(relative_parts(datastore.prefix))
    if not start:
        return url.path
    return url.path.removeprefix(start).removeprefix("/") if f"{url.path}/".startswith(f"{start}/") else None


def local_path_of(desk: Desk, uri: str) -> Path:
    """As ``resolve``, for what must be on this machine by now: code and models."""
    place = resolve(desk, uri)
    if not isinstance(place, Path):
        raise NotSupported(f"{uri} is not on the server's machine. Register a local copy of it.", target=uri)
    return place
