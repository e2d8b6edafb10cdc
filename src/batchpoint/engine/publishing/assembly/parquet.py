"""Rows with types from the segments into Parquet files, while they are read: no more than a row group is in memory.

Row groups are cut by a number of rows, so that the bytes do not depend on how the input was cut into mini-batches.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from batchpoint.engine.publishing.assembly.files import OutFile, OutFiles
from batchpoint.engine.publishing.assembly.kinds import Column, united
from batchpoint.engine.publishing.assembly.layout import Layout
from batchpoint.engine.publishing.assembly.tables import columns_of, tables_of
from batchpoint.engine.publishing.segments import SegmentReader
from batchpoint.failpoints import reach
from batchpoint.store.records import LedgerRow

#: Rows of a group, unless they are so large that fewer of them are this many bytes.
GROUP_ROWS = 1 << 16
_GROUP_BYTES = 1 << 26
#: Groups of a file that is full with a number of bytes: it ends with a group.
_GROUPS = 4


def write_parquet(rows: Iterable[LedgerRow], reader: SegmentReader, layout: Layout, files: OutFiles) -> None:
    """Write the parts of all rows, which are read twice: the first time for what they say of their columns."""
    columns, count, length = _columns(rows, reader)
    groups = _Groups(files, columns, _group_rows(count, length, layout.shard_size), layout.shard_size)
    try:
        for table in _tables(rows, reader, columns):
            groups.add(table)
        groups.finish()
    finally:
        groups.close()


def _columns(rows: Iterable[LedgerRow], reader: SegmentReader) -> tuple[list[Column], int, int]:
    """The columns of the output, how many rows it has, and the bytes of its parts."""
    columns: list[Column] = []
    heads, count, length = set[bytes](), 0, 0
    for row in rows:
        count += row.rows
        for part in row.parts:
            if part.length:
                length += part.length
                head, found = columns_of(reader, part)
                if head not in heads:
                    heads.add(head)
                    columns = united(columns, found)
    return columns or [Column("prediction", pa.null())], count, length


def _group_rows(rows: int, length: int, shard_size: int | None) -> int:
    """A power of two: it changes with the size of the rows only when that changes much."""
    wanted = min(_GROUP_BYTES, shard_size // _GROUPS if shard_size else _GROUP_BYTES)
    fitting = max(1, wanted * max(1, rows) // max(1, length))
    return min(GROUP_ROWS, 1 << (fitting.bit_length() - 1))


def _tables(rows: Iterable[LedgerRow], reader: SegmentReader, columns: list[Column]) -> Iterator[pa.Table]:
    for row in rows:
        for part in row.parts:
            if part.length:
                yield from tables_of(reader, part, columns)
        reach("D14")


class _Groups:
    """Takes rows, and writes them in groups of one size."""

    def __init__(self, files: OutFiles, columns: list[Column], rows: int, shard_size: int | None) -> None:
        self._files = files
        self._schema = pa.schema([column.field() for column in columns])
        self._rows = rows
        self._shard_size = shard_size
        self._waiting: list[pa.Table] = []
        self._count = 0
        self._file, self._writer = self._begin()

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._count += table.num_rows
        if self._count < self._rows:
            return
        whole, start = pa.concat_tables(self._waiting), 0
        while self._count - start >= self._rows:
            self._write(whole.slice(start, self._rows))
            start += self._rows
        self._waiting, self._count = [whole.slice(start)], self._count - start

    def finish(self) -> None:
        if self._count:
            self._write(pa.concat_tables(self._waiting))
        self._writer.close()

    def close(self) -> None:
        """Let go of the file, after an error too."""
        if self._writer.is_open:
            self._writer.close()

    def _write(self, table: pa.Table) -> None:
        if self._shard_size is not None and self._file.length >= self._shard_size:
            self._writer.close()
            self._file, self._writer = self._begin()
        # In one piece: how the rows came must not show.
        self._writer.write_table(table.combine_chunks(), row_group_size=self._rows)

    def _begin(self) -> tuple[OutFile, pq.ParquetWriter]:
        file = self._files.begin()
        return file, pq.ParquetWriter(pa.PythonFile(file, mode="w"), self._schema, compression="snappy")
