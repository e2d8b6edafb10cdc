"""What a pool and a worker in a container speak through: named pipes, and a file with the worker's variables.

Named pipes are as fast as others, and the runtime's own streams stay for what the runtime itself has to say.
"""

import contextlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Variables that some shells have themselves and let nobody set.
_OF_SHELLS = frozenset({"UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO"})
_SAID_BYTES = 4000


@dataclass(frozen=True)
class Channels:
    """The folder of one worker."""

    folder: Path

    def open(self, variables: Mapping[str, str]) -> tuple[int, int, int, int]:
        """Make everything; what the pool writes to the worker, and reads from it: answers, stdout, stderr.

        Variables that a shell cannot have are left out.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [f"export {name}={shlex.quote(variables[name])}\n" for name in variables if _may_export(name)]
        # They may hold secrets of the deployment.
        descriptor = os.open(self.folder / "variables", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(words)
        opened: list[int] = []
        try:
            for name in ("in", "out", "stdout", "stderr"):
                os.mkfifo(self.folder / name, 0o600)
                # Writing to a pipe that nobody reads yet is only possible for somebody who reads it, too.
                how = os.O_RDWR if name == "in" else os.O_RDONLY
                opened.append(os.open(self.folder / name, how | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            for number in opened:
                os.close(number)
            raise
        return opened[0], opened[1], opened[2], opened[3]

    @property
    def said(self) -> Path:
        """What the runtime itself had to say."""
        return self.folder / "runtime.txt"

    def words(self) -> str:
        """The end of it."""
        with contextlib.suppress(OSError):
            text = self.said.read_bytes()[-_SAID_BYTES:].decode(errors="replace")
            return " ".join(line.strip() for line in text.splitlines() if line.strip())
        return ""

    def remove(self) -> None:
        """The worker is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _may_export(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in _OF_SHELLS
