"""The plan: the ordered items of a job cut into mini-batches, frozen in two files before anything is scored.

``plan.items`` holds the relative paths, each ended by a NUL byte, in order; ``plan.json`` says where they start from
and how they are cut. Workers read ranges of the first; nobody ever sends a list of paths.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from batchpoint.errors import SegmentCorrupt
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

    @property
    def mini_batches(self) -> int:
        """Number of mini-batches: ceil(items / mini_batch_size)."""
        return len(self.offsets) - 1

    def first_item(self, mini_batch: int) -> int:
        """Index of a mini-batch's first item."""
        return mini_batch * self.mini_batch_size

    def size(self, mini_batch: int) -> int:
        """Number of items in a mini-batch; only the last may be short."""
        return min(self.mini_batch_size, self.items - self.first_item(mini_batch))

    def range(self, mini_batch: int) -> tuple[int, int]:
        """(offset, length) of a mini-batch's paths in ``plan.items``, in bytes."""
        return self.offsets[mini_batch], self.offsets[mini_batch + 1] - self.offsets[mini_batch]


def write_plan(items_file: Path, header_file: Path, root: str, paths: Sequence[bytes], mini_batch_size: int) -> Plan:
    """Freeze ``paths`` (relative to ``root``, in order) as the job's plan; the header is written last."""
    content = b"\0".join(paths) + b"\0" if paths else b""
    write_atomically(items_file, content)
    header = {
        "root": root,
        "items": len(paths),
        "mini_batch_size": mini_batch_size,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomically(header_file, json.dumps(header, indent=1).encode())
    return _cut(root, (len(path) + 1 for path in paths), len(paths), mini_batch_size)


def read_plan(items_file: Path, header_file: Path) -> Plan | None:
    """The plan that an earlier driver froze, or None. Raises SegmentCorrupt when the files do not agree."""
    if not header_file.exists():
        return None
    header = json.loads(header_file.read_bytes())
    content = items_file.read_bytes() if items_file.exists() else b""
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise SegmentCorrupt(f"The plan {items_file} is not what was written; the job cannot go on from it.")
    lengths = (len(path) + 1 for path in content.split(b"\0")[:-1])
    return _cut(header["root"], lengths, header["items"], header["mini_batch_size"])


def item_path(items_file: Path, plan: Plan, mini_batch: int) -> str:
    """Path of a mini-batch's first item, for people: bytes that are no text are written out."""
    offset, length = plan.range(mini_batch)
    with items_file.open("rb") as file:
        file.seek(offset)
        first = file.read(length).split(b"\0", 1)[0]
    return str(Path(plan.root, os.fsdecode(first))).encode("utf-8", "backslashreplace").decode()


def items_of(items_file: Path, plan: Plan, named: Mapping[bytes, str]) -> dict[int, tuple[str, str]]:
    """The mini-batches that hold a named item: the first such item, and what is said of it."""
    if not named:
        return {}
    found: dict[int, tuple[str, str]] = {}
    for index, item in enumerate(items_file.read_bytes().split(b"\0")[:-1]):
        if item in named:
            found.setdefault(index // plan.mini_batch_size, (os.fsdecode(item), named[item]))
    return found


def _cut(root: str, lengths: Iterable[int], items: int, mini_batch_size: int) -> Plan:
    ends = accumulate(lengths)
    offsets = array("Q", [0])
    end = 0
    for index, end in enumerate(ends, 1):
        if index % mini_batch_size == 0:
            offsets.append(end)
    if items % mini_batch_size:
        offsets.append(end)
    return Plan(root, items, mini_batch_size, offsets)
