"""The input of a job: where it lies, brought here if that is elsewhere, and the list of its files.

``engine.run`` calls it once, before it plans. Bringing and listing may take long; the caller is asked all the while
whether the job is still wanted.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from batchpoint.entities.job import Job
from batchpoint.entities.tables.parts import file_of
from batchpoint.errors import DatastoreUnavailable, InputEmpty, InputUnreadable, NotSupported, ResourceNotFound
from batchpoint.settings import Settings
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.bring import Brought, Choice, Place, bring, bring_file
from batchpoint.storage.datastores import OpenDatastore, open_datastore
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.storage.listing import Found, list_file, list_folder
from batchpoint.storage.published import recall
from batchpoint.storage.uri import DatastorePath, kind_of_url, parse_uri


@dataclass(frozen=True)
class Source:
    """A job's input before it is planned: where its paths start, so that workers can be started meanwhile."""

    #: Folder of the input, or the one that a single file lies in.
    root: str
    #: The single file of a ``uri_file`` input.
    file: Path | None = None
    #: What came from elsewhere; None for an input of this machine.
    brought: Brought | None = None
    #: The place as people know it.
    shown: str = ""


@dataclass(frozen=True)
class Preparation:
    """What finding and listing work with."""

    job: Job
    folder: JobFolder
    settings: Settings
    #: Told what a person should know.
    note: Callable[[str], None]
    #: Called again and again; raises to stop.
    still_wanted: Callable[[], None]
    #: Files that alone are fetched; None: all of them.
    only: frozenset[bytes] | None = None

    def find(self, missing: Iterable[bytes] | None = None) -> Source:
        """Where the input lies on this machine, fetched first if it is elsewhere. Raises InputUnreadable.

        ``missing``: the items that are still to be scored of a plan that stands already; None: there is no plan yet.
        """
        wanted = self.job.settings.input
        if self._is_url or self.job.settings.input_store is not None:
            if missing is not None:
                return self._fetch_again(missing)
            source = self._from_elsewhere()
            self._remember_unfetched(source.brought.failed if source.brought else {})
            return source
        path = Path(wanted.path)
        if wanted.type == "uri_file":
            return Source(str(path.absolute().parent), path, shown=str(path))
        return Source(str(path.absolute()), shown=str(path))

    def items(self, source: Source, outputs: Iterable[tuple[str, str]]) -> list[bytes]:
        """The items of the job, relative to ``source.root``, in order. Raises InputEmpty and InputUnreadable.

        ``outputs``: jobs that published, and the folders they published into; what they wrote is no input.
        """
        if source.file is not None:
            return list_file(source.file).items
        wanted = self.job.settings.input
        if source.brought is not None:
            items, hidden, filtered = source.brought.items, source.brought.hidden, source.brought.filtered
        else:
            listing = list_folder(Path(source.root), wanted.include, wanted.exclude, self.still_wanted)
            items, hidden, filtered = listing.items, listing.hidden, listing.filtered
            if listing.special:
                self.note(f"{listing.special:,} sockets, pipes and devices were skipped.")
            if listing.loops:
                self.note(f"{listing.loops:,} links that lead back to a folder they lie in were not followed.")
            items = self._without_outputs(items, source.root, outputs)
        if hidden:
            self.note(f"{hidden:,} names that begin with '.' or '_' were skipped.")
        if filtered:
            self.note(f"{filtered:,} files were left out by include and exclude.")
        if not items:
            raise InputEmpty(_why_empty(source.shown, hidden, filtered), target=source.shown)
        return items

    # ---- elsewhere ------------------------------------------------------------------------------------------------

    def _fetch_again(self, missing: Iterable[bytes]) -> Source:
        """Fetch what is to be scored and is not here: it goes when a revision ends, and stays when a driver dies."""
        known, here = unfetched(self.folder, self.job.revision), Source(str(self.folder.input), brought=Brought())
        # Whatever part of a file is missing, the file is fetched as a whole.
        files = frozenset(map(file_of, missing))
        wanted = frozenset(file for file in files if file not in known and not self._is_here(file))
        if wanted:
            again = replace(self, only=wanted)
            source = again._from_elsewhere()
            failed = source.brought.failed if source.brought else {}
            gone = "it is no longer there"
            lost = {item: failed.get(item, gone) for item in wanted if not self._is_here(item)}
            self._remember_unfetched({**known, **lost})
        return here

    @property
    def _is_url(self) -> bool:
        return self.job.settings.input.path.lower().startswith(("http://", "https://"))

    def _from_elsewhere(self) -> Source:
        return self._from_web() if self._is_url else self._from_store()

    def _is_here(self, item: bytes) -> bool:
        return (self.folder.input / os.fsdecode(item)).is_file()

    def _from_web(self) -> Source:
        from batchpoint.storage.web.folder import WebFolder  # an HTTP client is heavy, and few jobs need one

        url, allowed = self.job.settings.input.path, self.settings.input_hosts_allowed
        if self.job.settings.input.type == "uri_file":
            return self._file_from_web(url)
        try:
            with WebFolder(url, allowed) as folder:
                return self._brought(folder, "", folder.shown(""))
        except InputUnreadable:
            # Clients say uri_folder when their user said nothing.
            if url.endswith("/") or kind_of_url(url) == "uri_folder":
                raise
            return self._file_from_web(url)

    def _file_from_web(self, url: str) -> Source:
        from batchpoint.storage.web.fetch import fetch_file
        from batchpoint.storage.web.hosts import shown

        allowed = self.settings.input_hosts_allowed
        path = fetch_file(url, self.folder.input, allowed, still_wanted=self.still_wanted)
        return Source(str(path.parent), path, shown=shown(url))

    def _from_store(self) -> Source:
        chosen = self.job.settings
        assert chosen.input_store is not None
        place = parse_uri(chosen.input.path)
        assert isinstance(place, DatastorePath)
        path, folder = place.path.rstrip("/"), f"{place.path.rstrip('/')}/".removeprefix("/")
        try:
            store = open_datastore(chosen.input_store, self.settings.home)
            if chosen.input.type == "uri_file":
                return self._file_from_store(store, path)
            source = self._brought(store, folder, store.shown(folder))
            is_one_file = source.brought == Brought() and path and not place.is_folder
            return self._file_from_store(store, path) if is_one_file and store.size(path) is not None else source
        except (DatastoreUnavailable, NotSupported, ResourceNotFound) as error:
            raise InputUnreadable(f"The input {chosen.input.path} cannot be read. {error.message}") from error

    def _file_from_store(self, store: OpenDatastore, path: str) -> Source:
        if store.size(path) is None and any(True for _ in store.files(f"{path}/".removeprefix("/"))):
            message = f"{store.shown(path)} is a folder, not a file. Invoke with --input-type uri_folder."
            raise InputUnreadable(message, target=store.shown(path))
        target = self.folder.input / (path.rpartition("/")[2] or "input")
        bring_file(store, Found(path), target, self.still_wanted)
        return Source(str(target.parent), target, shown=store.shown(path))

    def _brought(self, place: Place, folder: str, shown: str) -> Source:
        self.folder.input.mkdir(parents=True, exist_ok=True)
        wanted = self.job.settings.input
        choice = Choice(wanted.include, wanted.exclude, self.only, note=self.note, still_wanted=self.still_wanted)
        return Source(str(self.folder.input), brought=bring(place, folder, self.folder.input, choice), shown=shown)

    def _remember_unfetched(self, failed: Mapping[bytes, str]) -> None:
        path = self.folder.unfetched(self.job.revision)
        if failed:
            reasons = {os.fsdecode(item): reason for item, reason in failed.items()}
            write_atomically(path, json.dumps(reasons).encode())
        else:
            # A driver that died before there was a plan may have been less lucky.
            path.unlink(missing_ok=True)

    # ---- on this machine ------------------------------------------------------------------------------------------

    def _without_outputs(self, items: list[bytes], root: str, outputs: Iterable[tuple[str, str]]) -> list[bytes]:
        """An output of an earlier job that lies among the input is not scored with it; alone it is what was meant."""
        begins = tuple(f"{one.rstrip('/')}/" for one in {root, os.path.realpath(root)})
        written: set[bytes] = set()
        for job, output in outputs:
            begin = next((one for one in begins if f"{output.rstrip('/')}/".startswith(one)), None)
            if begin is not None:
                inside = f"{output.rstrip('/')}/".removeprefix(begin)
                written.update(os.fsencode(inside + name) for name in recall(job_folder(self.settings.home, job)))
        kept = [item for item in items if item not in written] or items
        if len(kept) < len(items):
            left = len(items) - len(kept)
            self.note(f"{left:,} files were left out: they are outputs of earlier jobs that lie in the input folder.")
        return kept


def unfetched(folder: JobFolder, revision: int) -> dict[bytes, str]:
    """The items that this revision of the job could not fetch, and why."""
    path = folder.unfetched(revision)
    if not path.exists():
        return {}
    return {os.fsencode(item): str(why) for item, why in json.loads(path.read_bytes()).items()}


def _why_empty(shown: str, hidden: int, filtered: int) -> str:
    reason = f"The input folder {shown} has no files to score"
    if filtered:
        return f"{reason}: include and exclude left out all {filtered:,} of them."
    if hidden:
        return f"{reason}: names that begin with '.' or '_' are skipped, and all {hidden:,} of its files have such."
    return f"{reason}. Check the path; folders are read with everything below them."
