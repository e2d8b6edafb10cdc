"""Which items are scored as a sample, and the first rows of those that are too large to be scored whole.

``checks`` and ``estimate`` ask it. Nothing of the input is changed: a shortened file is a new one, in a folder of the
preflight's own.
"""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.preparation.splitting.cutter import Cutter
from batchpoint.entities.tables.file_kinds import ROWS_OF_TEXT, kind_of
from batchpoint.entities.tables.parts import split_item
from batchpoint.entities.tables.split import Split

#: Larger tables are shortened, to so many bytes of text or rows of Parquet.
WHOLE_BYTES = 4 << 20
CUT_BYTES, CUT_ROWS = 1 << 20, 20_000
#: A file that cannot be shortened and is larger is no part of a sample, unless nothing else is there.
SAMPLE_BYTES = 256 << 20


@dataclass(frozen=True)
class Item:
    """One item of the input."""

    #: As it stands in a plan.
    name: bytes
    #: Bytes; 0 where they are not known.
    size: int


@dataclass(frozen=True)
class Chosen:
    """One item of the sample."""

    item: Item
    #: As it stands in the plan of the sample: the item itself, or the absolute path of its first rows.
    path: bytes
    #: Bytes of what is scored.
    size: int

    @property
    def is_cut(self) -> bool:
        """Whether only its first rows are scored."""
        return self.path != self.item.name


def items_of(root: str, names: Sequence[bytes]) -> list[Item]:
    """The items with their sizes; one that is gone has none."""
    found = []
    for name in names:
        try:
            size = os.stat(os.path.join(os.fsencode(root), name)).st_size  # noqa: PTH116, PTH118 - there may be a million
        except OSError:
            size = 0
        found.append(Item(name, size))
    return found


def choose(items: Sequence[Item], count: int) -> list[Item]:
    """The first, the last, the largest and some between them, in the order of the plan."""
    if len(items) <= count:
        return list(items)
    places = {0, len(items) - 1, max(range(len(items)), key=lambda place: items[place].size)}
    step = (len(items) - 1) / (count - 1)
    for place in (round(step * number) for number in range(count)):
        if len(places) == count:
            break
        places.add(place)
    return [items[place] for place in sorted(places)]


def spread_by_size(items: Sequence[Item], count: int) -> list[Item]:
    """``count`` items of all sizes: one of each of as many equal shares of the items in the order of their sizes."""
    if len(items) <= count:
        return list(items)
    ordered = sorted(range(len(items)), key=lambda place: items[place].size)
    width = len(items) / count
    # A step that has no common measure with patterns in names, so that not every chosen item is of one kind.
    places = {ordered[min(len(items) - 1, int(width * (share + (share * 0.618) % 1)))] for share in range(count)}
    places |= {ordered[0], ordered[-1]}
    return [items[place] for place in sorted(places)]


def cut(
    root: str, chosen: Sequence[Item], folder: Path, split: Split | None = None, limit: int = CUT_BYTES
) -> list[Chosen]:
    """The items as they are scored: of large tables the first part that ``split`` cuts, or else ``limit`` bytes.

    What is too large to be scored is left out while something is left.
    """
    found = []
    for place, item in enumerate(chosen):
        parts = [item.name] if split is None else Cutter(split, root).first_parts(item.name, 1)
        if parts[0] != item.name:
            found.append(Chosen(item, parts[0], part_bytes(parts[0], item.size)))
        else:
            found.append(_cut(Path(root, os.fsdecode(item.name)), item, folder / str(place), limit))
    small = [one for one in found if one.size <= SAMPLE_BYTES]
    return small or found[:1]


def part_bytes(item: bytes, whole: int) -> int:
    """Bytes of a part of a file; of Parquet, whose parts are rows, nobody knows, and the file counts."""
    _, part = split_item(item)
    if part is None or part.begin is None or part.end is None:
        return whole
    return part.end - part.begin


def _cut(path: Path, item: Item, folder: Path, limit: int) -> Chosen:
    kind, packed = kind_of(path.name)
    if item.size <= WHOLE_BYTES or packed or kind not in {*ROWS_OF_TEXT, "parquet"}:
        return Chosen(item, item.name, item.size)
    folder.mkdir(parents=True)
    short = folder / path.name
    if kind == "parquet":
        _cut_parquet(path, short)
    else:
        short.write_bytes(first_rows(path, limit))
    return Chosen(item, os.fsencode(short), _scored_bytes(path, short, item.size, kind))


def _scored_bytes(path: Path, short: Path, size: int, kind: str) -> int:
    """Of Parquet, the share of the rows in the bytes of the whole file: a few rows are packed worse than many."""
    if kind != "parquet":
        return short.stat().st_size
    import pyarrow.parquet

    rows = pyarrow.parquet.read_metadata(str(path)).num_rows
    kept = pyarrow.parquet.read_metadata(str(short)).num_rows
    return int(size * kept / max(1, rows))


def first_rows(path: Path, limit: int = CUT_BYTES) -> bytes:
    """The beginning of a text file up to the end of a row: a line end that no quotation marks enclose."""
    with path.open("rb") as file:
        raw = file.read(limit)
    end = len(raw)
    while end := raw.rfind(b"\n", 0, end) + 1:
        if not raw.count(b'"', 0, end) % 2:
            return raw[:end]
        end -= 1
    return raw


def cuts(root: str, one: Chosen, folder: Path) -> list[Chosen]:
    """The item, and shorter beginnings of it: half, a quarter and so on. Of what is no text only the item itself."""
    path = Path(root, os.fsdecode(one.path))
    kind, packed = kind_of(path.name)
    if packed or kind not in ROWS_OF_TEXT or split_item(one.path)[1] is not None:
        return [one] * 4
    found: list[Chosen] = []
    for step in (3, 1, 4, 2, 1, 3, 2):
        place = folder / one.item.name.hex()[-100:] / str(len(found))
        place.mkdir(parents=True)
        short = place / path.name
        short.write_bytes(first_rows(path, max(1, one.size >> step)))
        found.append(Chosen(one.item, os.fsencode(short), short.stat().st_size))
    return [*found, one]


def _cut_parquet(path: Path, short: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(str(path)) as file:
        batches = itertools.islice(file.iter_batches(CUT_ROWS), 1)
        pyarrow.parquet.write_table(pyarrow.Table.from_batches(list(batches), file.schema_arrow), str(short))
