"""``python -m batchpoint.engine.publishing.partial JOB FILE``: what a job had scored when it ended, as one file.

A process of its own for formats that are more than the parts of the segments one after the other; the server starts it
when somebody asks, and removes the file. Exit status 0: it is there. 1: the job is not, or nothing of it can be read.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.publishing.assembly.assemble import assemble
from batchpoint.engine.publishing.assembly.layout import Layout
from batchpoint.engine.publishing.segments import damaged
from batchpoint.entities.job import Job
from batchpoint.errors import BatchpointError, ResourceNotFound
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.records import LedgerRow
from batchpoint.store.store import Store, open_store


@dataclass(frozen=True)
class _SoundRows:
    """The rows whose bytes are what was scored, as often as they are read."""

    store: Store
    job: Job
    lost: frozenset[tuple[int, int]]

    def __iter__(self) -> Iterator[LedgerRow]:
        for row in self.store.rows(self.job.name, self.job.revision):
            if row.key not in self.lost:
                yield row


def write(store: Store, name: str, home: Path, target: Path) -> None:
    """Put together what the ledger has of the job. Raises ResourceNotFound, SegmentCorrupt, OSError."""
    job, segments = store.find_job(name), job_folder(home, name).segments
    if job is None:
        raise ResourceNotFound(f"There is no job {name}.", target=name)
    bad = damaged(store.rows(name, job.revision), segments, lambda: None)
    rows = _SoundRows(store, job, frozenset(row.key for row in bad))
    layout = Layout(job.settings.output_format, job.settings.is_no_code)
    assemble(rows, segments, layout, lambda: target)


def main(arguments: list[str]) -> int:
    """Write the file named on the command line."""
    name, target = arguments
    settings = Settings.load()
    try:
        with open_store(settings.home, settings.store_busy_timeout_s) as store:
            write(store, name, settings.home, Path(target))
    except (BatchpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
