"""Lines of text from the segments into files: one header in each, cut between two rows and nowhere else.

Where a file is cut follows from the bytes of the rows alone, not from the pieces in which they are read.
"""

from collections.abc import Iterable

from batchpoint.engine.publishing.assembly.files import OutFile, OutFiles
from batchpoint.engine.publishing.assembly.headers import Headers
from batchpoint.engine.publishing.assembly.layout import Layout
from batchpoint.engine.publishing.segments import SegmentReader
from batchpoint.failpoints import reach
from batchpoint.store.records import LedgerRow


def write_text(rows: Iterable[LedgerRow], reader: SegmentReader, layout: Layout, files: OutFiles) -> None:
    """Write the parts of all rows; those of CSV are read twice, the first time for their headers."""
    headers = Headers(reader, rows) if layout.format == "csv" else None
    sink = _Lines(files, layout, headers.line if headers else b"")
    mini_batch = -1
    for row in rows:
        if row.mini_batch != mini_batch:
            mini_batch = row.mini_batch
            sink.end_mini_batch()
        for part in row.parts:
            for block in headers.rows(part) if headers else reader.blocks(part):
                sink.write(block)
        reach("D14")


class _Lines:
    """Takes bytes, and puts each row whole into one of the files."""

    def __init__(self, files: OutFiles, layout: Layout, header: bytes) -> None:
        self._files = files
        self._layout = layout
        self._header = header
        self._is_full = False
        #: Whether the bytes so far end within quotes.
        self._is_open = False
        self._file = self._begin()

    def write(self, block: bytes) -> None:
        size, start = self._layout.shard_size, 0
        while size is not None and self._layout.has_records and start < len(block):
            if self._is_full:
                self._file = self._begin()
            end = self._end_of_row(block, start, start + max(0, size - self._file.length - 1))
            if not end:
                break
            self._file.write(block[start:end])
            self._is_full, start = True, end
        if start < len(block):
            if self._is_full:
                self._file = self._begin()
            self._file.write(block[start:] if start else block)

    def end_mini_batch(self) -> None:
        """Rows that nobody can tell apart stay together as they were returned."""
        size = self._layout.shard_size
        if size is not None and not self._layout.has_records and self._file.length >= size:
            self._is_full = True

    def _end_of_row(self, block: bytes, start: int, least: int) -> int:
        """Behind the first row in ``block`` that ends at or after ``least``; 0 where none does."""
        counted = start
        while True:
            found = block.find(b"\n", max(least, counted))
            end = len(block) if found < 0 else found + 1
            if self._layout.has_quotes:
                # A quote within a field is doubled, so that an odd number of them opens or closes one.
                self._is_open ^= block.count(b'"', counted, end) % 2 == 1
            if found < 0 or not self._is_open:
                return end if found >= 0 else 0
            counted = end

    def _begin(self) -> OutFile:
        self._is_full = False
        file = self._files.begin()
        if self._header:
            file.write(self._header)
        return file
