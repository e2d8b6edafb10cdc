"""How local files come to the server: named where they are, copied on the same machine, or sent, once per content."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from batchpoint.client.requests import Requests
from batchpoint.errors import ReferenceInvalid, ResourceNotFound
from batchpoint.storage.content import content_hash, files_of

_UPLOADS = "/batchpoint/v1/uploads"
_CHUNK = 1 << 20


class Uploads:
    """Brings files and folders to where the server finds them."""

    def __init__(self, requests: Requests, shares_home: Callable[[], bool]) -> None:
        self._requests = requests
        self._shares_home = shares_home

    def place(self, local: Path, *, upload: bool = False) -> str:
        """Where the server reads ``local``: its own path when server and client share a home and no copy is wanted."""
        return self.store(local)[0] if upload or not self._shares_home() else str(local)

    def store(self, local: Path) -> tuple[str, str]:
        """Keep a copy under its content hash; URI and hash. Content that is there already is not copied again."""
        if local.is_dir() and next(files_of(local), None) is None:
            message = f"The folder {local} has no files to upload. Check the path, or what .amlignore leaves out."
            raise ReferenceInvalid(message, target=str(local))
        if self._shares_home():
            found = self._requests.json("POST", _UPLOADS, {"source": str(local.absolute())})
            return found.text("uri") or "", found.text("content_hash") or ""
        return self._send(local)

    def find(self, content: str, name: str) -> str | None:
        """The URI of content that the server has."""
        try:
            return self._requests.json("GET", f"{_UPLOADS}/{content}/{quoted(name)}").text("uri")
        except ResourceNotFound:
            return None

    def _send(self, local: Path) -> tuple[str, str]:
        content, name = content_hash(local), local.name
        uri = self.find(content, name)
        if uri is None:
            for relative, file in _files(local):
                self._send_file(file, f"{_UPLOADS}/{content}/{quoted(name)}{relative}")
            committed = self._requests.json("POST", f"{_UPLOADS}/{content}/{quoted(name)}")
            uri = committed.text("uri") or ""
        return uri, content

    def _send_file(self, file: Path, path: str) -> None:
        executable = "true" if file.stat().st_mode & 0o100 else "false"
        self._requests.send(path, _chunks(file), {"executable": executable})


def quoted(path: str) -> str:
    """For a URL; names need not be UTF-8."""
    return quote(os.fsencode(path))


def _files(local: Path) -> Iterator[tuple[str, Path]]:
    """Each file with its place below the content's name, quoted for a URL."""
    if not local.is_dir():
        yield "", local
        return
    for relative in files_of(local):
        yield f"/{quoted(relative)}", local / relative


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as reader:
        while chunk := reader.read(_CHUNK):
            yield chunk
