"""The plan: the ordered items of a job cut into mini-batches, frozen in two files before anything is scored.

``plan.items`` holds the relative paths, each ended by a NUL byte, in order; ``plan.json`` says where they start from
and how they are cut. Workers read ranges of the first; nobody ever sends a list of paths.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from batchpoint.engine.preparation.pieces import Piece
from batchpoint.errors import SegmentCorrupt
from batchpoint.failpoints import reach
from batchpoint.storage.atomic import write_atomically


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
        """Path of one item, for people: bytes that are no text are written out."""
        return str(Path(self.root, os.fsdecode(self.item(index)))).encode("utf-8", "backslashreplace").decode()

    def all_items(self) -> Iterator[bytes]:
        """Every item in order, a mini-batch at a time."""
        for mini_batch in range(self.mini_batches):
            yield from self.paths(mini_batch)


def write_plan(items_file: Path, header_file: Path, root: str, paths: Sequence[bytes], mini_batch_size: int) -> Plan:
    """Freeze ``paths`` (relative to ``root``, in order) as the job's plan; the header is written last."""
    content = b"\0".join(paths) + b"\0" if paths else b""
    write_atomically(items_file, content)
    reach("D3")
    header = {
        "root": root,
        "items": len(paths),
        "mini_batch_size": mini_batch_size,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomically(header_file, json.dumps(header, indent=1).encode())
    offsets = _cut((len(path) + 1 for path in paths), mini_batch_size)
    return Plan(root, len(paths), mini_batch_size, offsets, items_file)


def read_plan(items_file: Path, header_file: Path) -> Plan | None:
    """The plan that an earlier driver froze, or None. Raises SegmentCorrupt when the files do not agree."""
    if not header_file.exists():
        return None
    header = json.loads(header_file.read_bytes())
    content = items_file.read_bytes() if items_file.exists() else b""
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise SegmentCorrupt(f"The plan {items_file} is not what was written; the job cannot go on from it.")
    size = header["mini_batch_size"]
    offsets = _cut((len(path) + 1 for path in content.split(b"\0")[:-1]), size)
    return Plan(header["root"], header["items"], size, offsets, items_file)


def _cut(lengths: Iterable[int], mini_batch_size: int) -> "array[int]":
    offsets = array("Q", [0])
    index = end = 0
    for index, end in enumerate(accumulate(lengths), 1):
        if index % mini_batch_size == 0:
            offsets.append(end)
    if index % mini_batch_size:
        offsets.append(end)
    return offsets
