"""Where a data URI leads: to a path on this machine or to a URL.

``creation`` checks places with it, ``invocation`` freezes them. What a data asset refers to is not its business.
"""

from pathlib import Path

from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported, ReferenceInvalid
from batchpoint.server.lookup import Desk
from batchpoint.storage.datastores import LocalFolder, local_path
from batchpoint.storage.uri import (
    SUPPORTED_FORMS,
    DatastorePath,
    HttpUrl,
    JobOutput,
    LocalPath,
    ObjectStoreUrl,
    RunArtifact,
    parse_uri,
    refuse_object_store,
)


def resolve(desk: Desk, uri: str) -> Path | str:
    """An absolute path on this machine, or the http(s) URL itself. Whether anything is there is not checked.

    Raises ReferenceInvalid for what cannot be read, NotSupported for places that are not served.
    """
    match parse_uri(uri):
        case HttpUrl(url):
            return url
        case DatastorePath() as place:
            owner = Workspace(place.subscription, place.resource_group, place.workspace)
            here = Desk(desk.plane, owner, desk.server) if place.workspace else desk
            return local_path(here.datastore(place.datastore), place.path, desk.settings.home)
        case JobOutput(job=job, path=path):
            return LocalFolder(Path(desk.job(job).settings.output_folder)).local_path(path)
        case LocalPath(path) if path.startswith("/"):
            return Path(path)
        case LocalPath(path):
            message = f"{path!r} is a relative path, which means nothing to the server. Give {SUPPORTED_FORMS}."
            raise ReferenceInvalid(message, target=uri)
        case ObjectStoreUrl() as url:
            raise refuse_object_store(url)
        case RunArtifact(run=run):
            message = f"{uri} is an artifact of run {run}, and runs are not kept here. Name the files themselves."
            raise NotSupported(message, target=uri)
        case _:
            raise ReferenceInvalid(f"{uri} names an asset where a place is needed. Give {SUPPORTED_FORMS}.", target=uri)


def local_path_of(desk: Desk, uri: str) -> Path:
    """As ``resolve``, for what must be on this machine by now: code and models."""
    place = resolve(desk, uri)
    if isinstance(place, str):
        raise NotSupported(f"{uri} is not on the server's machine. Register a local copy of it.", target=uri)
    return place
