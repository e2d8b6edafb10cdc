"""Brings files from the server into a folder of the caller's: each whole, or not at all."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from batchpoint.client.requests import Requests, segment
from batchpoint.client.uploads import quoted
from batchpoint.entities.assets import Model
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceConflict, ResourceNotFound
from batchpoint.storage.atomic import aside_path


class Downloads:
    """Fetches what a workspace holds."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._workspace = workspace

    def model(self, model: Model, parent: Path) -> Path:
        """Put the files of a version into ``parent/<name of the model>``, which is new or empty; answers the folder.

        Raises ResourceConflict, and touches nothing, when something is in it.
        """
        name, version = model.name or "", model.version or ""
        folder = parent / name
        _require_room(folder)
        listed = f"/batchpoint/v1{self._workspace.arm_id}/models/{segment(name)}/versions/{segment(version)}/files"
        entries = [body.text("path") or "" for body in self._requests.pages(listed)]
        parent.mkdir(parents=True, exist_ok=True)
        aside = aside_path(parent)
        try:
            aside.mkdir()
            for path in entries:
                fetch(self._requests, f"{listed}/{quoted(path)}", place_in(aside, path))
            _require_room(folder)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return folder


def _require_room(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ResourceConflict(
            f"{folder} is there already and was left as it is. Remove it, or name another folder with --download-path.",
            target=str(folder),
        )


def fetch(requests: Requests, address: str, target: Path) -> Path:
    """Write the answer of ``address`` to ``target``, which is replaced once all of it is here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_path(target.parent)
    try:
        with requests.stream(address) as response, aside.open("wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def place_in(folder: Path, path: str) -> Path:
    """Where a file called ``path`` by a server goes; a server is not trusted to choose where we write."""
    segments = path.split("/")
    if not all(segments) or {".", ".."} & set(segments) or "\0" in path:
        raise ResourceNotFound(f"The server offers {path!r}, which is no path inside a folder.", target=path)
    return folder.joinpath(*segments)


def fetch_all(requests: Requests, paths: Sequence[str], address: Callable[[str], str], folder: Path) -> Sequence[Path]:
    """Write every file of ``paths`` below ``folder``; answers what was written."""
    return [fetch(requests, address(path), place_in(folder, path)) for path in paths]
