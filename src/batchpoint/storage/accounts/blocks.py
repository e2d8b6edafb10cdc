"""Owns blocks that were sent for a blob which is not put together yet: files besides the container, until then.

The blob service calls it; it knows no HTTP.
"""

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from batchpoint.errors import ReferenceInvalid
from batchpoint.storage.atomic import aside_path, is_aside, publish_without_clobber

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Blocks:
    """The blocks of one blob that are not part of it yet."""

    #: Besides the container; one folder for each blob.
    folder: Path

    def aside(self) -> Path:
        """Where a block is written before it counts: ``keep`` it, or remove it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return aside_path(self.folder)

    def keep(self, finished: Path, block: str) -> None:
        """The file is the block, in place of an earlier one with the same id."""
        final = self.folder / _file_name(block)
        while not publish_without_clobber(finished, final):
            final.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        """Ids of what is there, and bytes."""
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                if not is_aside(entry.name):
                    found[bytes.fromhex(entry.name).decode()] = entry.stat().st_size
        return dict(sorted(found.items()))

    def append(self, block: str, target: Path) -> int:
        """Put a block at the end of a file; bytes of it. ReferenceInvalid where it was not sent."""
        try:
            return _append(self.folder / _file_name(block), target)
        except FileNotFoundError as error:
            raise ReferenceInvalid(f"The block {block} was not sent.", target=block) from error

    def drop(self) -> None:
        """Forget all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)


def blocks_of(place: Path, blob: str) -> Blocks:
    """Those of ``blob``; ``place`` is where the account keeps blocks of the container."""
    return Blocks(place / hashlib.sha256(blob.encode("utf-8", "surrogateescape")).hexdigest())


def append_range(source: int, offset: int, length: int, target: Path) -> int:
    """Put a range of an open file at the end of another; bytes that there were."""
    written = 0
    with target.open("ab", buffering=0) as file:
        while written < length and (data := os.pread(source, min(length - written, _PIECE_BYTES), offset + written)):
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            written += len(data)
    return written


def _file_name(block: str) -> str:
    return block.encode().hex()


def _append(block: Path, target: Path) -> int:
    descriptor = os.open(block, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return append_range(descriptor, 0, os.fstat(descriptor).st_size, target)
    finally:
        os.close(descriptor)
