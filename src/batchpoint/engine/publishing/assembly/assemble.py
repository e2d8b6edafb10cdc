"""Writes an output in the format of its job aside, whole, and says what it wrote; ``output`` and ``shards`` publish it.

What is written is a function of the ledger: whoever repeats it, in whatever process, writes the same bytes.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from batchpoint.engine.publishing.assembly.files import OutFiles, Written
from batchpoint.engine.publishing.assembly.layout import Layout
from batchpoint.engine.publishing.assembly.text import write_text
from batchpoint.engine.publishing.segments import SegmentReader
from batchpoint.store.records import LedgerRow


def assemble(rows: Iterable[LedgerRow], segments: Path, layout: Layout, new_path: Callable[[], Path]) -> list[Written]:
    """The files of an output, in order; ``new_path`` is asked for the path of each.

    ``rows`` may be read several times. Raises SegmentCorrupt when bytes on disk are not those that were scored, and
    OSError when the disk does not take what is written.
    """
    files = OutFiles(new_path)
    try:
        with SegmentReader(segments) as reader:
            if layout.format == "parquet":
                # Imported here: it costs a driver a third of a second.
                from batchpoint.engine.publishing.assembly.parquet import write_parquet

                write_parquet(rows, reader, layout, files)
            else:
                write_text(rows, reader, layout, files)
        written = files.written()
    finally:
        files.abandon()
    return written
