"""Keeps the names of the files that a job published, and what they held; its output folder may hold files of others.

The engine writes them down before the first file gets its name, the server reads them to list and to download. A later
revision of the job may replace exactly what an earlier one has written.
"""

import json
from collections.abc import Iterable

from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.job_folder import JobFolder

#: Stands for the gathered output among the names: a file of ours beside it may have the same name in another place.
GATHERED = ""


def remember(folder: JobFolder, names: Iterable[str]) -> None:
    """Add ``names``, relative to the output folder and with ``/`` between their parts, to those known already."""
    _keep(folder, {*recall(folder), *names})


def recall(folder: JobFolder) -> list[str]:
    """The names in order; none before the job publishes."""
    if not folder.published.exists():
        return []
    return [str(name) for name in json.loads(folder.published.read_bytes())]


def remember_content(folder: JobFolder, name: str, sha256: str) -> None:
    """Write down, before a file gets its name, what it holds: whoever comes after a crash knows it for the job's."""
    if name != GATHERED:
        remember(folder, [name])
    known = _contents(folder)
    if sha256 not in known.get(name, ()):
        known[name] = [*known.get(name, ()), sha256]
        write_atomically(folder.published_hashes, json.dumps(known).encode("ascii"))


def contents(folder: JobFolder, name: str) -> frozenset[str]:
    """The sha256 of everything that the job has published, or was about to, under the name."""
    return frozenset(_contents(folder).get(name, ()))


def forget(folder: JobFolder, name: str) -> None:
    """The file is no output any more."""
    _keep(folder, {*recall(folder)} - {name})
    known = _contents(folder)
    if known.pop(name, None):
        write_atomically(folder.published_hashes, json.dumps(known).encode("ascii"))


def _keep(folder: JobFolder, names: set[str]) -> None:
    write_atomically(folder.published, json.dumps(sorted(names)).encode("ascii"))


def _contents(folder: JobFolder) -> dict[str, list[str]]:
    if not folder.published_hashes.exists():
        return {}
    found: dict[str, list[str]] = json.loads(folder.published_hashes.read_bytes())
    return found
