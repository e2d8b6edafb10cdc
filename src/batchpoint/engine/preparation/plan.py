"""The plan: the ordered items of a job cut into mini-batches, frozen in two files before anything is scored.

``plan.items`` holds the relative paths, each ended by a NUL byte, in order; ``plan.json`` says where they start from
and how they are cut. Workers read ranges of the first; nobody ever sends a list of paths.
"""

import contextlib
import hashlib
import json
import os
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from batchpoint.engine.preparation.pieces import Piece
from batchpoint.entities.tables.parts import shown, split_item
from batchpoint.errors import SegmentCorrupt
from batchpoint.failpoints import reach
from batchpoint.storage.atomic import write_atomically

#: Paths, and bytes, of the plan that are looked at together.
_AT_ONCE = 20_000
_BLOCK_BYTES = 1 << 20
_END = re.compile(rb"\0")
_HEADER = {"root": str, "items": int, "mini_batch_size": int, "bytes": int, "sha256": str}


@dataclass(frozen=True)
class Plan:
    """The cut of a job's items; positions are known, paths stay in the file."""

    #: Absolute folder that the items' paths start from; "" when they are absolute.
    root: str
    items: int
    mini_batch_size: int
    #: Byte offset in ``plan.items`` of each mini-batch, and the file's length at the end.
    offsets: "array[int]"
    #: ``plan.items``.
    file: Path

    @property
    def mini_batches(self) -> int:
        """Number of mini-batches: ceil(items / mini_batch_size)."""
        return len(self.offsets) - 1

    def first_item(self, mini_batch: int) -> int:
        """Index of a mini-batch's first item."""
        return mini_batch * self.mini_batch_size

    def size(self, mini_batch: int) -> int:
        """Number of items in a mini-batch; only the last one may be short."""
        return min(self.mini_batch_size, self.items - mini_batch * self.mini_batch_size)

    def range(self, piece: Piece) -> tuple[int, int]:
        """(offset, length) of a piece's paths in ``plan.items``, in bytes; that of a part of a mini-batch is read."""
        begin, end = self.offsets[piece.mini_batch], self.offsets[piece.mini_batch + 1]
        if piece.items == self.size(piece.mini_batch):
            return begin, end - begin
        paths = self.paths(piece.mini_batch)
        skipped = piece.first_item - self.first_item(piece.mini_batch)
        before = sum(len(path) + 1 for path in paths[:skipped])
        return begin + before, sum(len(path) + 1 for path in paths[skipped : skipped + piece.items])

    def paths(self, mini_batch: int) -> list[bytes]:
        """The items of a mini-batch as they stand in the plan."""
        begin, end = self.offsets[mini_batch], self.offsets[mini_batch + 1]
        with self.file.open("rb") as file:
            file.seek(begin)
            return file.read(end - begin).split(b"\0")[:-1]

    def item(self, index: int) -> bytes:
        """One item as it stands in the plan."""
        mini_batch, place = divmod(index, self.mini_batch_size)
        return self.paths(mini_batch)[place]

    def path(self, index: int) -> str:
        """Path of one item, for people: bytes that are no text are written out, and of a part its rows, from 0."""
        file, part = split_item(self.item(index))
        rows = f", rows {part.first_row}-{part.first_row + part.rows - 1}" if part else ""
        return shown(os.path.join(os.fsencode(self.root), file)) + rows  # noqa: PTH118 - bytes that may be no text


def write_plan(items_file: Path, header_file: Path, root: str, paths: Iterable[bytes], mini_batch_size: int) -> Plan:
    """Freeze ``paths`` (relative to ``root``, in order) as the job's plan; the header is written last."""
    content, cut = bytearray(), _Cut(mini_batch_size)
    ends = (path + b"\0" for path in paths)
    while block := b"".join(islice(ends, _AT_ONCE)):
        cut.take(block)
        content += block
    write_atomically(items_file, content)
    reach("D3")
    header = {
        "root": root,
        "items": cut.items,
        "mini_batch_size": mini_batch_size,
        "bytes": len(content),
        "sha256": cut.digest.hexdigest(),
    }
    write_atomically(header_file, json.dumps(header, indent=1).encode())
    return Plan(root, cut.items, mini_batch_size, cut.ended(), items_file)


def read_plan(items_file: Path, header_file: Path) -> Plan | None:
    """The plan that an earlier driver froze, or None. Raises SegmentCorrupt when the files do not agree."""
    header = read_header(header_file)
    if header is None:
        return None
    cut = _Cut(header["mini_batch_size"])
    if items_file.exists():
        with items_file.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                cut.take(block)
    if (cut.digest.hexdigest(), cut.items) != (header["sha256"], header["items"]):
        raise _damaged(items_file)
    return Plan(header["root"], header["items"], header["mini_batch_size"], cut.ended(), items_file)


def read_header(header_file: Path) -> dict[str, Any] | None:
    """What ``plan.json`` says, or None. Raises SegmentCorrupt when it is no header of a plan."""
    if not header_file.exists():
        return None
    with contextlib.suppress(ValueError):
        header = json.loads(header_file.read_bytes())
        if isinstance(header, dict) and {name: type(value) for name, value in header.items()} == _HEADER:
            return header
    raise _damaged(header_file)


def _damaged(file: Path) -> SegmentCorrupt:
    return SegmentCorrupt(
        f"The plan {file} is not what was written; the job cannot go on from it. Invoke the endpoint again."
    )


class _Cut:
    """Where the mini-batches of a plan begin, found block by block: never are there a million paths at a time."""

    def __init__(self, mini_batch_size: int) -> None:
        self.items = 0
        self.digest = hashlib.sha256()
        self._size = mini_batch_size
        self._offsets = array("Q", [0])
        self._read = 0

    def take(self, block: bytes) -> None:
        """The next bytes of ``plan.items``; a path may be cut in two."""
        self.digest.update(block)
        ends = [self._read + match.end() for match in _END.finditer(block)]
        # The first of them that ends a mini-batch, and every so many from there.
        self._offsets.extend(ends[self._size - 1 - self.items % self._size :: self._size])
        self.items += len(ends)
        self._read += len(block)

    def ended(self) -> "array[int]":
        """The offset of each mini-batch, and the end of the last one."""
        if self.items % self._size:
            self._offsets.append(self._read)
        return self._offsets
