"""Gathers the parts of all mini-batches, in mini-batch order, into one file, and publishes it without clobbering.

The driver calls it once the ledger is frozen. The result is a function of the ledger alone: whoever repeats it, in
whatever process, writes the same bytes.
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from batchpoint.errors import OutputAlreadyExists, SegmentCorrupt
from batchpoint.storage.atomic import aside_path, publish_without_clobber
from batchpoint.store.records import LedgerRow, Part

BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class Published:
    """What was published."""

    sha256: str
    length: int


def gather(rows: Iterable[LedgerRow], segments: Path, final: Path) -> Published:
    """Assemble the rows' parts in order and give them the name ``final``.

    Raises OutputAlreadyExists when a file with other content stands there, SegmentCorrupt when bytes on disk are not
    those that were scored.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_path(final.parent)
    try:
        published = _assemble(rows, segments, aside)
        if not publish_without_clobber(aside, final) and _sha256(final) != published.sha256:
            raise already_exists(final)
    finally:
        aside.unlink(missing_ok=True)
    return published


def publish_folder(staging: Path, folder: Path) -> int:
    """Move what the scripts wrote themselves into the output folder; returns the number of files."""
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    for path in files:
        final = folder / path.relative_to(staging)
        final.parent.mkdir(parents=True, exist_ok=True)
        if not publish_without_clobber(path, final):
            raise already_exists(final)
    return len(files)


def already_exists(path: Path) -> OutputAlreadyExists:
    """The error for an output path that is taken."""
    return OutputAlreadyExists(
        f"The output file {path} exists already; it was left as it is. "
        "Choose another folder (--output-path) or file name (--set output_file_name=...), or remove the file.",
        target=str(path),
    )


def _assemble(rows: Iterable[LedgerRow], segments: Path, aside: Path) -> Published:
    digest, length = hashlib.sha256(), 0
    with ExitStack() as stack:
        reader = _Segments(segments, stack)
        out = stack.enter_context(aside.open("xb", buffering=BLOCK_BYTES))
        for row in rows:
            for part in row.parts:
                for block in reader.blocks(part):
                    digest.update(block)
                    out.write(block)
                length += part.length
    return Published(digest.hexdigest(), length)


class _Segments:
    """The segment files of a job, open while parts are read from them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._descriptors: dict[str, int] = {}

    def blocks(self, part: Part) -> Iterator[bytes]:
        """The part's bytes; raises SegmentCorrupt at its end when they are not those that were scored."""
        crc, end = 0, part.offset + part.length
        offset = part.offset
        while offset < end:
            block = os.pread(self._descriptor(part.segment), min(end - offset, BLOCK_BYTES), offset)
            if not block:
                break
            crc = zlib.crc32(block, crc)
            offset += len(block)
            yield block
        if offset != end or crc != part.crc:
            raise SegmentCorrupt(
                f"{self._folder / part.segment}, bytes {part.offset:,} to {end:,}, does not hold what was scored. "
                "The disk or a program changed it; invoke again."
            )

    def _descriptor(self, segment: str) -> int:
        if segment not in self._descriptors:
            path = self._folder / segment
            if not path.is_file():
                raise SegmentCorrupt(f"{path} is missing although scored rows stand in it; invoke again.")
            self._descriptors[segment] = self._stack.enter_context(path.open("rb", buffering=0)).fileno()
        return self._descriptors[segment]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_taken(path: Path) -> bool:
    """True when something stands at an output path, a dangling link included."""
    return os.path.lexists(path)
