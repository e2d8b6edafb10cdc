"""Cuts a Parquet file into ranges of its rows, by what its footer says; no value is read.

``cutter`` calls it, and only then is pyarrow imported.
"""

from collections.abc import Iterator
from pathlib import Path

from batchpoint.entities.tables.parts import Part
from batchpoint.entities.tables.split import Split

#: Of one file. A footer of some hundred bytes can say that there is any number of rows.
MOST_PARTS = 5_000_000


def cut_parquet(path: Path, split: Split) -> Iterator[Part] | None:
    """The parts of a file, in order; None where it is no Parquet file that can be read, or says that it is huge.

    Raises OSError.
    Bytes are those of the values before they were compressed: what a worker has to hold.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            footer = parquet.read_metadata(file)
    except pyarrow.ArrowException:
        return None
    size = sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))
    if (footer.num_rows if split.rows else size) > MOST_PARTS * (split.rows or split.bytes or 1):
        return None
    if split.rows is not None:
        return _of_rows(footer.num_rows, split.rows)
    assert split.bytes is not None
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    return _of_bytes([(group.num_rows, group.total_byte_size) for group in groups], split.bytes)


def _of_rows(there: int, rows: int) -> Iterator[Part]:
    for first in range(0, there, rows):
        yield Part(first, min(rows, there - first))


def _of_bytes(groups: list[tuple[int, int]], wanted: int) -> Iterator[Part]:
    """As many whole row groups as fit, or a part of a large one: a group that two workers share is decoded twice."""
    first = rows = held = 0
    for count, size in groups:
        if rows and held + size > wanted:
            yield Part(first, rows)
            first, rows, held = first + rows, 0, 0
        rows, held = rows + count, held + size
        if held >= wanted:
            pieces = min(rows, max(1, round(held / wanted)))
            ends = [rows * (piece + 1) // pieces for piece in range(pieces)]
            for begin, end in zip([0, *ends], ends, strict=False):
                yield Part(first + begin, end - begin)
            first, rows, held = first + rows, 0, 0
    if rows:
        yield Part(first, rows)
