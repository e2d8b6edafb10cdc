"""What a part of a file comes to when it travels to a node: a file with its rows and its head, and nothing else.

``freight`` asks for it, piece by piece. On the node it lies under the item's own text, where the worker finds it.
"""

# Paths are text here, as the file system spells them.
# ruff: noqa: PTH123
import io
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from batchpoint.compute.ray.frames import PIECE
from batchpoint.entities.tables.parts import Part

#: Rows that are decoded together.
_ROWS = 65_536


def pieces_of(path: str, part: Part) -> Iterator[bytes]:
    """The bytes of the file that has this part alone. Raises OSError."""
    if part.begin is None or part.end is None:
        yield from _of_parquet(path, part)
        return
    with open(path, "rb") as file:
        if part.head:
            yield file.read(part.head)
        file.seek(part.begin)
        left = part.end - part.begin
        while left and (raw := file.read(min(left, PIECE))):
            yield raw
            left -= len(raw)


def _of_parquet(path: str, part: Part) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    written, end = io.BytesIO(), part.first_row + part.rows
    try:
        with parquet.ParquetFile(path) as file, parquet.ParquetWriter(written, file.schema_arrow) as out:
            ends = list(accumulate(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)))
            group = bisect_right(ends, part.first_row)
            at = ends[group - 1] if group else 0
            for batch in file.iter_batches(_ROWS, range(group, len(ends)), use_threads=False):
                begin = max(at, part.first_row)
                if begin >= end:
                    break
                out.write_batch(batch.slice(begin - at, end - begin))
                at += batch.num_rows
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error
    whole = written.getvalue()
    for begin in range(0, len(whole), PIECE):
        yield whole[begin : begin + PIECE]
