"""Brings files from the server into a folder of the caller's: each whole, or not at all."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from batchpoint.arm.envelope.reading import Body
from batchpoint.client.requests import Requests, segment
from batchpoint.client.transfer.files import fetch, place_in
from batchpoint.client.uploads import quoted
from batchpoint.entities.assets import Model
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceConflict
from batchpoint.storage.atomic import aside_path, write_atomically


class Downloads:
    """Fetches what a workspace holds."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._workspace = workspace

    def logs(self, job: str, folder: Path) -> Sequence[Path]:
        """Put the job's logs below ``folder``; answers what was written."""
        logs = f"/batchpoint/v1/jobs/{segment(job)}/logs"
        found = [body.text("path") or "" for body in self._requests.pages(logs)]
        return [self._log(logs, path, place_in(folder, path)) for path in found]

    def _log(self, logs: str, path: str, target: Path) -> Path:
        """Logs come in pieces, because a running job's grow."""
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_path(target.parent)
        try:
            with aside.open("wb") as file:
                while piece := self._requests.raw(f"{logs}/{quoted(path)}", {"offset": str(file.tell())}):
                    file.write(piece)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        return target

    def partial(self, job: str, folder: Path) -> Sequence[Path]:
        """Put what a job that failed or was cancelled had scored into ``folder``, and a note of what is missing.

        Raises ResourceConflict while the job has not ended and when it completed, ResourceNotFound when it had
        scored nothing.
        """
        partial = f"/batchpoint/v1/jobs/{segment(job)}/partial"
        about = self._requests.json("GET", partial)
        target = place_in(folder, about.text("file") or "")
        rows = fetch(self._requests, f"{partial}/content", target)
        note = target.with_name(f"{target.name}.missing.txt")
        write_atomically(note, note_of(job, about).encode())
        return [rows, note]

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
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return folder


_MEANINGS = {
    "missing": "Mini-batches that are missing",
    "in_part": "Mini-batches that are there in part",
    "failed": "Mini-batches with items that failed",
}


def note_of(job: str, about: Body) -> str:
    """What a file of partial results holds and lacks, for people."""
    number = {key: about.integer(key) or 0 for key in ("mini_batches", "mini_batches_done", "items", "rows")}
    scored, failed = about.integer("items_succeeded") or 0, about.integer("items_failed") or 0
    counts = (
        f"{number['mini_batches_done']:,} of {number['mini_batches']:,} mini-batches are done; {scored:,} of "
        f"{number['items']:,} items were scored, {failed:,} failed; {number['rows']:,} rows, in mini-batch order."
    )
    lines = [f"Partial results of job {job}: it did not complete, so this is not its output.", counts]
    for key, meaning in _MEANINGS.items():
        ranges = [str(first) if first == last else f"{first}-{last}" for first, last in about.items(key)]
        lines.append(f"{meaning} (counted from 0): {', '.join(ranges) or 'none'}")
    return "\n".join(lines) + "\n"


def _require_room(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ResourceConflict(
            f"{folder} is there already and was left as it is. Remove it, or name another folder with --download-path.",
            target=str(folder),
        )
