"""What one invocation reads and where it writes: references looked up, places found and frozen.

``invocation`` calls it. Whether anything is at a place elsewhere is seen by the driver, which has to read it anyway.
"""

from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.data import DataAsset, Input
from batchpoint.entities.datastore import Datastore
from batchpoint.errors import NotSupported, Problem, ReferenceInvalid, ValidationFailed
from batchpoint.server.intake.locations import Location, resolve
from batchpoint.server.lookup import Desk
from batchpoint.storage.content import UPLOADS
from batchpoint.storage.datastores import DEFAULT_DATASTORE, StoredPath
from batchpoint.storage.uri import (
    AssetReference,
    DatastorePath,
    HttpUrl,
    LocalPath,
    ObjectStoreUrl,
    kind_of_url,
    parse_uri,
    relative_parts,
    strip_marker,
)


@dataclass(frozen=True)
class FrozenInput:
    """An input that later changes elsewhere do not reach."""

    input: Input
    #: The datastore that it is in, when it is not on this machine.
    store: Datastore | None = None


@dataclass(frozen=True)
class FrozenOutput:
    """Where a job's files go."""

    #: Absolute folder on this machine, or a path in ``store``.
    folder: str
    store: Datastore | None
    #: The same place as people read it.
    uri: str


def frozen_output(desk: Desk, job: str, wanted: str | None) -> FrozenOutput:
    """The output folder; without a wish the job's own in the default datastore."""
    uri = wanted or f"azureml://datastores/{DEFAULT_DATASTORE}/paths/azureml/{job}/score/"
    text, _ = strip_marker(uri)
    message = f"The output path {uri!r} must be a folder in a datastore: azureml://datastores/<name>/paths/<path>."
    if not isinstance(parse_uri(text), DatastorePath | LocalPath | ObjectStoreUrl | HttpUrl):
        raise ReferenceInvalid(message, target="output_path")
    place = resolve(desk, text, "write")
    if isinstance(place, str):
        raise ReferenceInvalid(message, target="output_path")
    if isinstance(place, StoredPath):
        return FrozenOutput("/".join(relative_parts(place.path)), place.datastore, place.uri)
    _refuse_uploads(desk, place, uri)
    # An address may carry a signature, which nobody needs to see once its place is known.
    return FrozenOutput(str(place), None, text.partition("?")[0] if text.lower().startswith("http") else text)


def _refuse_uploads(desk: Desk, place: Path, uri: str) -> None:
    """What lies by its content must stay what it is: a file beside a script could be taken for a module of it."""
    home = desk.settings.home
    if place.is_relative_to(home) and UPLOADS.lower() in (part.lower() for part in place.relative_to(home).parts):
        message = f"The output path {uri!r} is below {UPLOADS}, where models, code and data lie. Choose another folder."
        raise ReferenceInvalid(message, target="output_path")


def frozen_input(desk: Desk, given: Input | None) -> FrozenInput:
    """The input with its asset looked up and its place found; its type decided by looking where nobody said it."""
    if given is None:
        message = "Say what to score: a folder, a file, a URL or a data asset (--input)."
        raise ValidationFailed("invocation", (Problem("properties.inputData", message),))
    path, kind = strip_marker(given.path)
    kind = kind or (given.type if "type" in given.model_fields_set else None)
    if isinstance(parse_uri(path), AssetReference):
        asset = desk.referenced(DataAsset, path)
        if asset.type == "mltable":
            message = f"The data asset {asset.name} is an mltable; batch endpoints take uri_file and uri_folder."
            raise NotSupported(message, target=path)
        path, kind, desk = asset.path, asset.type, desk.keeping(asset)
    place = resolve(desk, path)
    text = place.uri if isinstance(place, StoredPath) else str(place)
    found = given.model_copy(update={"path": text, "type": _kind_of(place, kind)})
    return FrozenInput(found, place.datastore if isinstance(place, StoredPath) else None)


def _kind_of(place: Location, kind: str | None) -> str:
    if isinstance(place, Path):
        return _kind_of_path(place, kind)
    if isinstance(place, StoredPath):
        return kind or "uri_folder"
    return kind or kind_of_url(place)


def _kind_of_path(path: Path, kind: str | None) -> str:
    if path.is_dir():
        if kind == "uri_file":
            raise ReferenceInvalid(
                f"{path} is a folder, not a file; invoke with --input-type uri_folder.", target="input"
            )
        return "uri_folder"
    if not path.exists():
        raise ReferenceInvalid(f"There is no folder or file at {path} on the server's machine.", target="input")
    # Clients say uri_folder when their user said nothing.
    return "uri_file"
