"""Reads ranges of the rows of Parquet files, and writes one as a file of its own.

Parts of a file are asked for one after the other, so that reading goes on where it stopped: a large row group is
decoded once, not once for each of its parts, and is never in memory as a whole. Imports the user's pyarrow or
fastparquet when it is first needed.
"""

import os

from batchpoint_worker.tables.parts import Part, whole_of

MYPY = False
if MYPY:
    from typing import Any

#: Rows that are decoded together.
AT_ONCE = 65536


class Unreadable(Exception):
    """A file is not what it was when it was cut."""


class NoLibrary(Exception):
    """Neither pyarrow nor fastparquet is installed."""


class RowStream:
    """The rows of one file, read forward; going back, or far ahead, begins at a row group again."""

    def __init__(self, path: str, columns: "list[str] | None" = None) -> None:
        from pyarrow.parquet import ParquetFile

        self.key = _key(path, columns)
        self._file = ParquetFile(path)
        self._columns = columns
        #: Index of the first row of each group, and of what would follow the last one.
        self._begins = [0]
        metadata = self._file.metadata
        for group in range(metadata.num_row_groups):
            self._begins.append(self._begins[-1] + metadata.row_group(group).num_rows)
        self._batches = iter(())  # type: Any
        #: What was decoded and not yet asked for, and the index of its first row.
        self._held = None  # type: Any
        self._at = 0

    def rows(self, first: int, count: int) -> "Any":
        """A table of these rows. Raises Unreadable when the file has fewer, and what pyarrow raises."""
        import pyarrow

        if first + count > self._begins[-1]:
            raise Unreadable("it has %d rows" % self._begins[-1])
        group = self._group_of(first)
        if self._held is None or first < self._at or self._group_of(self._at) < group:
            self._restart(group)
        taken = []
        while count:
            batch = self._held
            skipped = min(first - self._at, batch.num_rows)
            part = batch.slice(skipped, count)
            if part.num_rows:
                taken.append(part)
            first, count = first + part.num_rows, count - part.num_rows
            self._at += skipped + part.num_rows
            self._held = batch.slice(skipped + part.num_rows)
            if count:
                self._held = next(self._batches)
        return pyarrow.Table.from_batches(taken)

    def close(self) -> None:
        """Nothing is read from it any more."""
        self._batches = self._held = None
        self._file.close()

    def _group_of(self, row: int) -> int:
        return next(group for group, end in enumerate(self._begins[1:]) if row < end or end == self._begins[-1])

    def _restart(self, group: int) -> None:
        groups = list(range(group, len(self._begins) - 1))
        self._batches = self._file.iter_batches(AT_ONCE, groups, self._columns, use_threads=False)
        self._held, self._at = next(self._batches), self._begins[group]


_last = None  # type: RowStream | None


def rows_of(path: str, part: Part, columns: "list[str] | None" = None) -> "Any":
    """The table of a part, or of some columns of it. Raises OSError, Unreadable and what pyarrow raises."""
    alone = whole_of(path, part)
    if alone:
        return RowStream(alone, columns).rows(0, part.rows)
    return _stream(path, columns).rows(part.first_row, part.rows)


def _stream(path: str, columns: "list[str] | None") -> RowStream:
    global _last
    if _last is None or _last.key != _key(path, columns):
        if _last is not None:
            _last.close()
        _last = None
        _last = RowStream(path, columns)
    return _last


def _key(path: str, columns: "list[str] | None") -> "tuple[object, ...]":
    found = os.stat(path)
    return path, columns and tuple(columns), found.st_ino, found.st_size, found.st_mtime_ns


def write_part(path: str, part: Part, target: str) -> None:
    """Make a Parquet file of a part. Raises OSError, NoLibrary, Unreadable and what the library raises."""
    try:
        import pyarrow.parquet
    except ImportError:
        _write_with_fastparquet(path, part, target)
        return
    pyarrow.parquet.write_table(rows_of(path, part), target)


def _write_with_fastparquet(path: str, part: Part, target: str) -> None:
    try:
        import fastparquet
        import pandas
    except ImportError:
        raise NoLibrary
    file = fastparquet.ParquetFile(whole_of(path, part) or path)
    first, taken = 0 if whole_of(path, part) else part.first_row, []
    end, begins = first + part.rows, 0
    for group in range(len(file.row_groups)):
        ends = begins + file.row_groups[group].num_rows
        if begins < end and first < ends:
            taken.append(file[group].to_pandas().iloc[max(0, first - begins) : end - begins])
        begins = ends
    if begins < end:
        raise Unreadable("it has %d rows" % begins)
    fastparquet.write(target, pandas.concat(taken), write_index=False)
