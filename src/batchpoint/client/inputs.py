"""What a caller means by an input: a URL, a data asset, a datastore path, or files on this machine.

``endpoints.invoke`` asks here. What is local becomes a data asset of the server's; the rest the server resolves.
"""

import hashlib
import os
from pathlib import Path

from batchpoint.client.assets import Assets
from batchpoint.client.uploads import Uploads
from batchpoint.entities.data import DataAsset, DataType, Input
from batchpoint.errors import ReferenceInvalid
from batchpoint.storage.uri import SUPPORTED_FORMS, HttpUrl, LocalPath, kind_of_url, parse_uri, strip_marker


class InputResolver:
    """Turns what was typed into an input that the server can find."""

    def __init__(self, data: Assets[DataAsset], uploads: Uploads) -> None:
        self._data = data
        self._uploads = uploads

    def resolve(self, given: Input, *, upload: bool = False, registers: bool = True) -> Input:
        """An input whose path means the same on the server; ``registers``: local files become a data asset there."""
        path, marked = strip_marker(given.path)
        kind = marked or (given.type if "type" in given.model_fields_set else None)
        if not path:
            raise ReferenceInvalid(f"The input is empty. Give {SUPPORTED_FORMS}.", target="input")
        match parse_uri(path):
            case HttpUrl(url):
                return _with(given, url, kind or kind_of_url(url))
            case LocalPath(local):
                place, found = self._placed(local, kind, upload=upload)
                return _with(given, self._registered(place, found) if registers else place, found)
            case _:
                return given.model_copy(update={"path": path}) if kind is None else _with(given, path, kind)

    def _placed(self, path: str, kind: DataType | None, *, upload: bool) -> tuple[str, DataType]:
        """Where the server reads it, in place or sent, and what it is."""
        local = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - links in the path stay as they are
        if not local.exists():
            message = f"There is no folder or file on target path {path} ({local}). Give {SUPPORTED_FORMS}."
            raise ReferenceInvalid(message, target="input")
        found: DataType = "uri_folder" if local.is_dir() else "uri_file"
        if kind == "uri_file" and found == "uri_folder":
            message = f"{path} is a folder, not a file; use --input-type uri_folder, or leave it out."
            raise ReferenceInvalid(message, target="input")
        return self._uploads.place(local, upload=upload), found

    def _registered(self, place: str, found: DataType) -> str:
        """The id of a data asset under a generated name."""
        # Where a file was there may be a folder tomorrow, and an asset keeps its type.
        content = f"{found}:{place}".encode("utf-8", "surrogateescape")
        name = f"input-{hashlib.sha256(content).hexdigest()[:32]}"
        return str(self._data.create_or_update(DataAsset(name=name, version="1", type=found, path=place)).id)


def _with(given: Input, path: str, kind: DataType) -> Input:
    return Input.model_validate({**given.model_dump(), "path": path, "type": kind})
