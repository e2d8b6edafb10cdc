"""The input of a job: where it lies, and the list of its files.

``engine.run`` calls it once, before it plans.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.job import Job
from batchpoint.errors import InputEmpty
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder
from batchpoint.storage.listing import list_file, list_folder


@dataclass(frozen=True)
class Source:
    """A job's input before it is listed: where its paths start, so that workers can be started meanwhile."""

    #: Folder of the input, or the one that a single file lies in.
    root: str
    #: The single file of a ``uri_file`` input.
    file: Path | None = None


def find_input(job: Job, folder: JobFolder, settings: Settings) -> Source:
    """Where the input lies on this machine; an ``https:`` file is downloaded first. Raises InputUnreadable."""
    wanted = job.settings.input
    path = Path(wanted.path)
    if wanted.path.lower().startswith(("http://", "https://")):
        from batchpoint.storage.fetch import fetch_file  # an HTTP client is heavy, and few jobs need one

        path = fetch_file(wanted.path, folder.input, settings.input_hosts_allowed)
        return Source(str(path.parent), path)
    if wanted.type == "uri_file":
        return Source(str(path.absolute().parent), path)
    return Source(str(path.absolute()))


def list_input(job: Job, source: Source, note: Callable[[str], None]) -> list[bytes]:
    """The items of the job, relative to ``source.root``, in order. Raises InputEmpty and InputUnreadable."""
    wanted = job.settings.input
    if source.file is not None:
        return list_file(source.file).items
    listing = list_folder(Path(source.root), wanted.include, wanted.exclude)
    if listing.hidden:
        note(f"{listing.hidden:,} names that begin with '.' or '_' were skipped.")
    if listing.filtered:
        note(f"{listing.filtered:,} files were left out by include and exclude.")
    if listing.special:
        note(f"{listing.special:,} sockets, pipes and devices were skipped.")
    if listing.loops:
        note(f"{listing.loops:,} links that lead back to a folder they lie in were not followed.")
    if not listing.items:
        raise InputEmpty(_why_empty(source.root, listing.hidden, listing.filtered), target=source.root)
    return listing.items


def _why_empty(root: str, hidden: int, filtered: int) -> str:
    reason = f"The input folder {root} has no files to score"
    if filtered:
        return f"{reason}: include and exclude left out all {filtered:,} of them."
    if hidden:
        return f"{reason}: all {hidden:,} names in it begin with '.' or '_' and are skipped."
    return f"{reason}. Check the path; folders are read with everything below them."
