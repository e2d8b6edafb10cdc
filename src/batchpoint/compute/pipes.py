"""The two kinds of pipe between a pool and a worker: lines of the protocol, and captured prints.

``local`` owns the descriptors and calls these when one is ready; nothing here blocks.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

READ_BYTES = 1 << 18
#: Longest line that a worker may send; twice what the protocol allows.
LINE_MAX = 1 << 17
#: Bytes of the end of a too long print-out that are kept beside its beginning.
TAIL_BYTES = 1 << 16


def read_ready(fd: int) -> Iterator[bytes]:
    """Blocks of what can be read now; ends at end of file or when nothing is there."""
    while True:
        try:
            block = os.read(fd, READ_BYTES)
        except (BlockingIOError, OSError):
            return
        if not block:
            return
        yield block
        if len(block) < READ_BYTES:
            return


class Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[bytes]:
        """The lines that ``block`` completes, without their ends."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > LINE_MAX:
            lines.append(self._rest)
            self._rest = b""
        return lines


class Outgoing:
    """Lines on their way to a worker; a full pipe makes them wait, never us."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._waiting = b""

    def send(self, line: bytes) -> None:
        """Write now what fits, keep the rest for ``flush``."""
        self._waiting += line
        self.flush()

    def flush(self) -> None:
        """Write what fits. What a dead worker no longer reads is dropped."""
        with contextlib.suppress(BlockingIOError):
            try:
                while self._waiting:
                    self._waiting = self._waiting[os.write(self.fd, self._waiting) :]
            except BrokenPipeError:
                self._waiting = b""

    @property
    def waiting(self) -> bool:
        """True while something could not be written yet."""
        return bool(self._waiting)


class Capture:
    """What a worker prints, kept in a file: the beginning up to a limit, and the last part of what follows."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._room = limit
        self._dropped = 0
        self._tail = b""
        self._fd: int | None = None

    def write(self, block: bytes) -> None:
        """Take a block; the file is made with the first one."""
        kept = self._written(block[: self._room])
        self._room -= kept
        if kept < len(block):
            self._dropped += len(block) - kept
            self._tail = (self._tail + block[kept:])[-TAIL_BYTES:]

    def _written(self, block: bytes) -> int:
        """How much of the block the file takes: a full disk costs prints, never results."""
        try:
            return os.write(self._descriptor(), block) if block else 0
        except OSError:
            return 0

    def close(self) -> None:
        """Add what was left out, as a number and its end."""
        if self._dropped:
            left_out = self._dropped - len(self._tail)
            note = f"\n[batchpoint: {left_out:,} bytes dropped here; the last {len(self._tail):,} bytes follow]\n"
            self._written(note.encode() + self._tail)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _descriptor(self) -> int:
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        return self._fd
