"""The parcels of a node: environments, code and models, each unpacked once under its content hash and then shared.

The agents of a node share the folder; whoever holds a parcel's lock receives it. It is seen only when it is whole.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from pathlib import Path

from batchpoint.compute.ray.frames import Header
from batchpoint.compute.ray.node import interpreters

#: Beginning of the names of folders that are being filled.
_ASIDE = ".aside-"


class Parcels:
    """The parcels below one folder, as one agent sees them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._receiving: dict[str, tuple[int, Path]] = {}
        root.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the parcel is once it is there."""
        return self._root / digest

    def want(self, digest: str) -> str:
        """``have`` it, ``send`` it to me, or ``wait``: another agent of this node is receiving it."""
        if self.path(digest).is_dir():
            return "have"
        lock = os.open(self._root / f"{digest}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return "wait"
        if self.path(digest).is_dir():
            os.close(lock)
            return "have"
        for left in self._root.glob(f"{_ASIDE}{digest}-*"):
            shutil.rmtree(left, ignore_errors=True)
        aside = self._root / f"{_ASIDE}{digest}-{secrets.token_hex(4)}"
        aside.mkdir()
        self._receiving[digest] = lock, aside
        return "send"

    def take(self, header: Header, raw: bytes) -> None:
        """A piece of a file, a link or a folder."""
        _, aside = self._receiving[header["parcel"]]
        path = Path(os.fsdecode(os.fsencode(aside) + b"/" + os.fsencode(header["path"])))
        path.parent.mkdir(parents=True, exist_ok=True)
        if header["kind"] == "folder":
            path.mkdir(exist_ok=True)
        elif header["kind"] == "link":
            path.symlink_to(header["to"])
        else:
            with path.open("ab") as file:
                file.write(raw)
            if header["last"]:
                path.chmod(header["mode"])
                os.utime(path, (header["mtime"], header["mtime"]))

    def seal(self, digest: str, venv: Header | None) -> None:
        """It is whole: show it to everybody."""
        lock, aside = self._receiving[digest]
        if venv is not None:
            interpreters.settle(aside, self.path(digest), venv)
        aside.rename(self.path(digest))
        del self._receiving[digest]
        os.close(lock)

    def close(self) -> None:
        """Let go of what was not finished."""
        for lock, aside in self._receiving.values():
            shutil.rmtree(aside, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.close(lock)
        self._receiving.clear()
