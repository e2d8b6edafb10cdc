"""Puts what comes back from nodes where a local worker would have written it: rows, logs, staged files.

The bridge calls it, one for each instance. Paths come from nodes: only those below the known folders are taken.
"""

import contextlib
import logging
import os
from pathlib import Path, PurePosixPath

from batchpoint.compute.ray.frames import Header

log = logging.getLogger(__name__)

_FOLDERS = {"grown": ("seg", "logs"), "rewritten": ("staging", "mlruns"), "gone": ("staging", "mlruns")}


class Arrivals:
    """The files that one instance writes in the folder of a job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: Where in a local file the first byte of the node's goes: logs of a place go on where its last worker ended.
        self._begins: dict[str, int] = {}
        #: Staged files that this instance has written.
        self._own: set[str] = set()

    def take(self, header: Header, raw: bytes) -> None:
        """Write it. Raises OSError, and ValueError for a path that no node may write."""
        path = self._checked(header)
        if header["t"] == "grown":
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path, self._begin(header["path"], path) + header["at"], raw, cut=False)
        elif header["t"] == "rewritten":
            self._rewrite(path, header, raw)
        elif header["path"] in self._own:
            self._own.discard(header["path"])
            path.unlink(missing_ok=True)

    def _checked(self, header: Header) -> Path:
        relative = PurePosixPath(header["path"])
        known = relative.parts[:1] and relative.parts[0] in _FOLDERS[header["t"]]
        if relative.is_absolute() or ".." in relative.parts or not known:
            raise ValueError(f"a node wants to write {header['path']!r}")
        return self._folder / relative

    def _begin(self, name: str, path: Path) -> int:
        if name not in self._begins:
            begin = 0
            if not name.startswith("seg/"):
                with contextlib.suppress(FileNotFoundError):
                    begin = path.stat().st_size
            self._begins[name] = begin
        return self._begins[name]

    def _rewrite(self, path: Path, header: Header, raw: bytes) -> None:
        name = header["path"]
        if name not in self._own and path.exists():
            if header["weak"]:
                return
            log.warning("%s was written on two nodes: the later one is kept", name)
        self._own.add(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, header["at"], raw, cut=header["cut"])

    def _write(self, path: Path, at: int, raw: bytes, *, cut: bool) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        try:
            if cut:
                os.ftruncate(descriptor, at)
            rest = memoryview(raw)
            while rest:
                written = os.pwrite(descriptor, rest, at)
                rest, at = rest[written:], at + written
        finally:
            os.close(descriptor)
