"""Keeps the names of the files that a job published; its output folder may hold files of others.

The engine writes them down before the first file gets its name, the server reads them to list and to download.
"""

import json
from collections.abc import Iterable

from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.job_folder import JobFolder


def remember(folder: JobFolder, names: Iterable[str]) -> None:
    """Add ``names``, relative to the output folder and with ``/`` between their parts, to those known already."""
    write_atomically(folder.published, json.dumps(sorted({*recall(folder), *names})).encode("ascii"))


def recall(folder: JobFolder) -> list[str]:
    """The names in order; none before the job publishes."""
    if not folder.published.exists():
        return []
    return [str(name) for name in json.loads(folder.published.read_bytes())]
