"""One call of a command: its flags, the settings it runs under, and the client it speaks through."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchpoint.errors import ResourceConflict, ResourceNotFound, UserError
from batchpoint.settings import Settings

if TYPE_CHECKING:
    from batchpoint.client import Client


@dataclass(frozen=True)
class Outcome:
    """A result that is printed although the command fails, or nothing but an exit code."""

    value: object = None
    exit_code: int = 0


@dataclass
class Call:
    """What a command function gets."""

    flags: argparse.Namespace
    settings: Settings
    closing: ExitStack = field(default_factory=ExitStack)
    _client: "Client | None" = None

    @property
    def client(self) -> "Client":
        """The client, connected on first use: to a server, or to the same application in this process."""
        if self._client is None:
            from batchpoint.cli.output.uploading import UploadLine
            from batchpoint.local import connect

            self._client = self.closing.enter_context(connect(self.settings))
            line = UploadLine(wanted=not self.flags.only_show_errors)
            self._client.uploads.watcher = line.show if line.live else None
            self.closing.callback(line.close)
        return self._client

    @property
    def server(self) -> str:
        """URL of the server that was asked; empty before any was."""
        return self._client.base_url if self._client else ""

    def given(self, *attributes: str) -> dict[str, Any]:
        """The named flags that were given, by attribute."""
        values = {name: getattr(self.flags, name, None) for name in attributes}
        return {name: value for name, value in values.items() if value is not None}

    def download_folder(self) -> Path:
        """The folder of ``--download-path``, which need not exist yet.

        Raises ResourceConflict where it, or a folder that it is to lie in, is a file.
        """
        folder = Path(self.flags.download_path).expanduser()
        for place in (folder, *folder.parents):
            if place.exists() and not place.is_dir():
                raise ResourceConflict(
                    f"{place} is a file, so nothing can be put into {folder}. Name a folder with --download-path.",
                    target=str(place),
                )
        return folder

    def remove(self, question: str, delete: Callable[[], object]) -> None:
        """Delete after a yes; that there is nothing to delete is no error.

        Raises UserError after a no, and where nobody can be asked.
        """
        if not self.flags.yes:
            _ask(question)
        try:
            delete()
        except ResourceNotFound as error:
            self.say(f"Nothing to delete: {error.message}")

    def say(self, text: str) -> None:
        """Tell the person at the keyboard something that is no result."""
        if not self.flags.only_show_errors:
            print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        self.say(f"WARNING: {text}")


def _ask(question: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError("Nobody can be asked for confirmation here: stdin is no terminal. Add --yes to delete.")
    print(f"{question} (y/n): ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was deleted.")
