"""How local files come to the server: named where they are, copied on the same machine, or sent, once per content."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from batchpoint.client.requests import Requests
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ReferenceInvalid, ResourceNotFound
from batchpoint.storage.content import content_hash, files_of

_CHUNK = 1 << 20

#: Told how an upload goes on: what is uploaded, the bytes that are there by now, and all bytes.
Watcher = Callable[[str, int, int], None]


class Uploads:
    """Brings files and folders to where the server finds them."""

    def __init__(self, requests: Requests, workspace: Workspace, shares_home: Callable[[], bool]) -> None:
        self._requests = requests
        self._path = "/batchpoint/v1/uploads/" + "/".join(
            quoted(name) for name in (workspace.subscription, workspace.resource_group, workspace.name)
        )
        self._shares_home = shares_home
        #: Whoever wants to know; nobody by default.
        self.watcher: Watcher | None = None

    def place(self, local: Path, *, upload: bool = False) -> str:
        """Where the server reads ``local``: its own path when server and client share a home and no copy is wanted."""
        return self.store(local)[0] if upload or not self._shares_home() else str(local)

    def store(self, local: Path) -> tuple[str, str]:
        """Keep a copy under its content hash; URI and hash. Content that is there already is not copied again."""
        if local.is_dir() and next(files_of(local), None) is None:
            message = f"The folder {local} has no files to upload. Check the path, or what .amlignore leaves out."
            raise ReferenceInvalid(message, target=str(local))
        if self._shares_home():
            told = _Told(local, self.watcher)
            found = self._requests.json("POST", self._path, {"source": str(local.absolute())})
            told.all()
            return found.text("uri") or "", found.text("content_hash") or ""
        return self._send(local)

    def find(self, content: str, name: str) -> str | None:
        """The URI of content that the server has."""
        try:
            return self._requests.json("GET", f"{self._path}/{content}/{quoted(name)}").text("uri")
        except ResourceNotFound:
            return None

    def _send(self, local: Path) -> tuple[str, str]:
        content, name = content_hash(local), local.name
        uri = self.find(content, name)
        if uri is None:
            told = _Told(local, self.watcher)
            for relative, file in _files(local):
                self._send_file(file, f"{self._path}/{content}/{quoted(name)}{relative}", told)
            told.all()
            committed = self._requests.json("POST", f"{self._path}/{content}/{quoted(name)}")
            uri = committed.text("uri") or ""
        return uri, content

    def _send_file(self, file: Path, path: str, told: "_Told") -> None:
        executable = "true" if file.stat().st_mode & 0o100 else "false"
        self._requests.send(path, told.of(_chunks(file)), {"executable": executable})


class _Told:
    """Counts the bytes of one upload for its watcher."""

    def __init__(self, local: Path, watcher: Watcher | None) -> None:
        self._name = local.name
        self._watcher = watcher
        self._there = 0
        self._last_told: int | None = None
        self._size = sum(_size(file) for _, file in _files(local)) if watcher else 0
        self._tell()

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """``chunks``, each told of once it is taken."""
        for chunk in chunks:
            yield chunk
            self._there += len(chunk)
            self._tell()

    def all(self) -> None:
        """Everything is there."""
        self._there = self._size
        self._tell()

    def _tell(self) -> None:
        # A file may grow while it is read.
        there = min(self._there, self._size)
        if self._watcher is not None and there != self._last_told:
            self._last_told = there
            self._watcher(self._name, there, self._size)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        # Whoever reads it will say what is wrong with it.
        return 0


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
