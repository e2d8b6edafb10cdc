"""The files of an output while they are written: hashed on the way, synced now and then, each until it is full."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint.engine.publishing.segments import BLOCK_BYTES

#: Bytes that are written between two syncs: the last one must not take longer than a driver may be silent.
SYNC_BYTES = 1 << 28


@dataclass(frozen=True)
class Written:
    """A file that is whole, and has its name not yet."""

    path: Path
    sha256: str
    length: int


class OutFile:
    """One file; what a writer of pyarrow's asks of a file, it answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        self.closed = False
        self._digest = hashlib.sha256()
        self._synced = 0
        self._file = path.open("xb", buffering=BLOCK_BYTES)

    def write(self, data: Any) -> int:
        self._digest.update(data)
        self._file.write(data)
        self.length += len(data)
        if self.length - self._synced >= SYNC_BYTES:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._synced = self.length
        return len(data)

    def tell(self) -> int:
        return self.length

    def flush(self) -> None:
        """Nothing is read before the file is whole."""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._file.close()

    def written(self) -> Written:
        self.close()
        return Written(self.path, self._digest.hexdigest(), self.length)


class OutFiles:
    """All files of one output; at least one, each begun when there is something for it."""

    def __init__(self, new_path: Callable[[], Path]) -> None:
        self._new_path = new_path
        self._files: list[OutFile] = []

    def begin(self) -> OutFile:
        """The next file; the one before is whole."""
        if self._files:
            self._files[-1].close()
        self._files.append(OutFile(self._new_path()))
        return self._files[-1]

    def written(self) -> list[Written]:
        return [file.written() for file in self._files]

    def abandon(self) -> None:
        """Close what is open, after an error."""
        for file in self._files:
            file.close()
