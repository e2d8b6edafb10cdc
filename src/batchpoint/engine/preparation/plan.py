"""The plan: the ordered items of a job cut into mini-batches, frozen in two files before anything is scored.

``plan.items`` holds the relative paths, each ended by a NUL byte, in order; ``plan.json`` says where they start from
and how they are cut. Workers read ranges of the first; nobody ever sends a list of paths.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

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
    #: Items, the last ones, that could not be brought here; they have mini-batches of their own, which nobody scores.
    lost: int = 0

    @property
    def mini_batches(self) -> int:
        """Number of mini-batches: ceil(items / mini_batch_size)."""
        return len(self.offsets) - 1

    @property
    def present(self) -> int:
        """Number of items that can be scored."""
        return self.items - self.lost

    @property
    def to_score(self) -> int:
        """Number of mini-batches that are scored: the first ones."""
        return -(-self.present // self.mini_batch_size)

    def first_item(self, mini_batch: int) -> int:
        """Index of a mini-batch's first item."""
        beyond = mini_batch - self.to_score
        return mini_batch * self.mini_batch_size if beyond < 0 else self.present + beyond * self.mini_batch_size

    def size(self, mini_batch: int) -> int:
        """Number of items in a mini-batch; only the last that is scored and the last of all may be short."""
        end = self.present if mini_batch < self.to_score else self.items
        return min(self.mini_batch_size, end - self.first_item(mini_batch))

    def range(self, mini_batch: int) -> tuple[int, int]:
        """(offset, length) of a mini-batch's paths in ``plan.items``, in bytes."""
        return self.offsets[mini_batch], self.offsets[mini_batch + 1] - self.offsets[mini_batch]


def write_plan(
    items_file: Path, header_file: Path, root: str, paths: Sequence[bytes], mini_batch_size: int, lost: int = 0
) -> Plan:
    """Freeze ``paths`` (relative to ``root``, in order) as the job's plan; the header is written last.

    The last ``lost`` of them are not there.
    """
    content = b"\0".join(paths) + b"\0" if paths else b""
    write_atomically(items_file, content)
    reach("D3")
    header = {
        "root": root,
        "items": len(paths),
        "mini_batch_size": mini_batch_size,
        "lost": lost,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomically(header_file, json.dumps(header, indent=1).encode())
    return _cut(root, (len(path) + 1 for path in paths), len(paths), mini_batch_size, lost)


def read_plan(items_file: Path, header_file: Path) -> Plan | None:
    """The plan that an earlier driver froze, or None. Raises SegmentCorrupt when the files do not agree."""
    if not header_file.exists():
        return None
    header = json.loads(header_file.read_bytes())
    content = items_file.read_bytes() if items_file.exists() else b""
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise SegmentCorrupt(f"The plan {items_file} is not what was written; the job cannot go on from it.")
    lengths = (len(path) + 1 for path in content.split(b"\0")[:-1])
    return _cut(header["root"], lengths, header["items"], header["mini_batch_size"], header.get("lost", 0))


def item_of(items_file: Path, plan: Plan, mini_batch: int) -> bytes:
    """A mini-batch's first item as it stands in the plan."""
    offset, length = plan.range(mini_batch)
    with items_file.open("rb") as file:
        file.seek(offset)
        return file.read(length).split(b"\0", 1)[0]


def items_of(items_file: Path, plan: Plan, mini_batch: int) -> list[bytes]:
    """The items of a mini-batch as they stand in the plan."""
    offset, length = plan.range(mini_batch)
    with items_file.open("rb") as file:
        file.seek(offset)
        return file.read(length).split(b"\0")[:-1]


def item_path(items_file: Path, plan: Plan, mini_batch: int, item: int | None = None) -> str:
    """Path of an item, for people: bytes that are no text are written out. Without ``item`` that of the first one."""
    at = 0 if item is None else item - plan.first_item(mini_batch)
    found = items_of(items_file, plan, mini_batch)[at]
    return str(Path(plan.root, os.fsdecode(found))).encode("utf-8", "backslashreplace").decode()


def _cut(root: str, lengths: Iterable[int], items: int, mini_batch_size: int, lost: int) -> Plan:
    ends = accumulate(lengths)
    offsets = array("Q", [0])
    present = items - lost
    # Two runs, each cut from its beginning: what is scored, and what is not there.
    for length in (present, lost):
        end = 0
        for index, end in enumerate(islice(ends, length), 1):
            if index % mini_batch_size == 0:
                offsets.append(end)
        if length % mini_batch_size:
            offsets.append(end)
    return Plan(root, items, mini_batch_size, offsets, lost)
