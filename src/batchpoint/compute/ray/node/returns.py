"""What a node gives back: rows and logs, which only grow, and files that scripts write, which may change.

The agent asks for rounds. A round is what stood in the files when it began, sent in pieces; answers of workers that
are part of it follow after the last piece, so that no answer arrives before the bytes that it speaks of.
"""

import contextlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute.ray.frames import PIECE, frame

#: Folders whose files only grow, and those whose files may be rewritten; below the job's folder.
GROWING = ("seg", "logs")
REWRITTEN = ("staging", "mlruns")


@dataclass(slots=True)
class _Sent:
    """How much of a file the driver has."""

    size: int = 0
    crc: int = 0
    mtime_ns: int = -1
    #: Left by a worker that was killed: it must not take the place of what another one finished.
    is_leftover: bool = False


class Returns:
    """The files below one job folder, and how far they were sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sent: dict[str, _Sent] = {}

    def round(self, *, rewritten: bool) -> Iterator[bytes]:
        """Frames with whatever is new; a file that grows meanwhile is read up to where it stood."""
        found = list(self._files(GROWING))
        for name, size, _ in found:
            yield from self._tail(name, size)
        if rewritten:
            yield from self._changed()

    def leave_out(self) -> None:
        """A worker was killed: what it was writing is its own."""
        for name, size, mtime_ns in self._files(REWRITTEN):
            sent = self._sent.setdefault(name, _Sent())
            if (sent.size, sent.mtime_ns) != (size, mtime_ns):
                sent.is_leftover = True

    def _tail(self, name: str, size: int) -> Iterator[bytes]:
        sent = self._sent.setdefault(name, _Sent())
        while sent.size < size:
            raw = self._read(name, sent.size, min(PIECE, size - sent.size))
            if not raw:
                return
            yield frame({"t": "grown", "path": name, "at": sent.size}, raw)
            sent.size += len(raw)

    def _changed(self) -> Iterator[bytes]:
        there = set()
        for name, size, mtime_ns in list(self._files(REWRITTEN)):
            there.add(name)
            sent = self._sent.setdefault(name, _Sent())
            if (sent.size, sent.mtime_ns) != (size, mtime_ns):
                yield from self._rewritten(name, sent, size, mtime_ns)
        for name in [name for name in self._sent if name.partition("/")[0] in REWRITTEN and name not in there]:
            del self._sent[name]
            yield frame({"t": "gone", "path": name})

    def _rewritten(self, name: str, sent: _Sent, size: int, mtime_ns: int) -> Iterator[bytes]:
        kept = sent.size if size >= sent.size and self._crc(name, sent.size) == sent.crc else 0
        sent.crc = sent.crc if kept else 0
        sent.size, sent.mtime_ns = kept, mtime_ns
        header = {"t": "rewritten", "path": name, "weak": sent.is_leftover}
        is_first = True
        while is_first or sent.size < size:
            raw = self._read(name, sent.size, min(PIECE, size - sent.size))
            yield frame({**header, "at": sent.size, "cut": is_first}, raw)
            sent.size += len(raw)
            sent.crc = zlib.crc32(raw, sent.crc)
            is_first = False
            if not raw:
                return

    def _crc(self, name: str, size: int) -> int:
        crc = at = 0
        while at < size:
            raw = self._read(name, at, min(PIECE, size - at))
            if not raw:
                return -1
            crc, at = zlib.crc32(raw, crc), at + len(raw)
        return crc

    def _read(self, name: str, at: int, size: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(at)
                return file.read(size)
        except OSError:
            return b""

    def _files(self, below: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
        """(path relative to the job's folder, size, time of change) of every file."""
        ahead = [self._folder / name for name in below]
        while ahead:
            with contextlib.suppress(OSError), os.scandir(ahead.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append(Path(entry.path))
                        continue
                    with contextlib.suppress(OSError):
                        stat = entry.stat()
                        if entry.is_file():
                            yield os.path.relpath(entry.path, self._folder), stat.st_size, stat.st_mtime_ns
