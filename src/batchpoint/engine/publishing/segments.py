"""Reads what was scored back from the segments, and knows whether it is still what was written.

``output`` gathers with it; ``engine.run`` asks it, at the beginning of a further revision, which rows cannot be kept.
"""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from batchpoint.errors import SegmentCorrupt
from batchpoint.store.records import LedgerRow, Part

BLOCK_BYTES = 1 << 22
#: Segments that are open at a time: each worker of each driver has left one, and there may be thousands.
_OPEN_MAX = 64
#: A script could put a link in the place of its segment, to have another file published.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class SegmentReader:
    """The segment files of a job, open while parts are read from them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def blocks(self, part: Part) -> Iterator[bytes]:
        """The part's bytes; raises SegmentCorrupt at its end when they are not those that were scored."""
        crc, end = 0, part.offset + part.length
        offset = part.offset
        while offset < end:
            block = self._read(part, offset, min(end - offset, BLOCK_BYTES))
            if not block:
                break
            crc = zlib.crc32(block, crc)
            offset += len(block)
            yield block
        if offset != end or crc != part.crc:
            raise SegmentCorrupt(
                f"{self._folder / part.segment}, bytes {part.offset:,} to {end:,}, does not hold what was scored: "
                "the disk or a program changed it. Resume the job: what is damaged is scored again."
            )

    def head(self, part: Part, count: int) -> bytes:
        """The part's first bytes, unchecked; raises SegmentCorrupt where there are none."""
        return self._read(part, part.offset, count)

    def some(self, part: Part, offset: int, count: int) -> bytes:
        """At most so many bytes from a place in the part on, unchecked; raises SegmentCorrupt where it is gone."""
        return self._read(part, part.offset + offset, count)

    def _read(self, part: Part, offset: int, count: int) -> bytes:
        try:
            return os.pread(self._descriptor(part.segment), count, offset)
        except FileNotFoundError:
            problem = "is missing although scored rows stand in it"
        except OSError as error:
            problem = f"cannot be read, bytes {offset:,} to {offset + count:,}: {error.strerror}"
        raise SegmentCorrupt(
            f"{self._folder / part.segment} {problem}. Resume the job: what is damaged is scored again."
        )

    def _descriptor(self, segment: str) -> int:
        if segment not in self._descriptors:
            if len(self._descriptors) >= _OPEN_MAX:
                self._close()
            self._descriptors[segment] = os.open(self._folder / segment, _FLAGS)
        return self._descriptors[segment]

    def _close(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()


def damaged(rows: Iterable[LedgerRow], segments: Path, meanwhile: Callable[[], None]) -> Iterator[LedgerRow]:
    """The rows whose bytes are not those that were scored; every one is read. ``meanwhile`` is called between them."""
    with SegmentReader(segments) as reader:
        for row in rows:
            meanwhile()
            try:
                for part in row.parts:
                    for _ in reader.blocks(part):
                        continue
            except SegmentCorrupt:
                yield row
