"""Where a job's output goes: a folder of this machine, or a path in an object store.

Nothing there is ever replaced but what an earlier revision of the same job has written.

``ending`` asks it before anything is scored, and to publish. What is published is decided in ``output``.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from batchpoint.engine.publishing import output, shards
from batchpoint.engine.publishing.assembly.layout import layout_of
from batchpoint.engine.publishing.output import Published
from batchpoint.engine.publishing.shards import Shards
from batchpoint.entities.job import Job
from batchpoint.errors import BatchpointError, Fenced, JobFailed, OutputUnwritable, StoreUnavailable
from batchpoint.settings import Settings
from batchpoint.storage import published as published_names
from batchpoint.storage.atomic import aside_path, remove_own, replace_own, sha256_of, sweep
from batchpoint.storage.datastores import OpenDatastore, open_datastore
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import LedgerRow

NOTHING = Published("", 0)


class OutputPlace(Protocol):
    """What the driver of a job may ask of its output's place."""

    def refuse_now(self, alive: Callable[[], None] = lambda: None) -> None:
        """Raise OutputAlreadyExists or OutputUnwritable for what is sure to fail in the end; ``alive`` as below."""
        ...

    def publish(self, rows: Iterable[LedgerRow], alive: Callable[[], None] = lambda: None) -> Published:
        """Gather the rows and publish them, and what the scripts wrote themselves; a repeat changes nothing.

        ``alive`` is called again and again; what it raises, stops everything.

        Raises OutputAlreadyExists, OutputUnwritable, SegmentCorrupt.
        """
        ...

    def put_beside(self, source: Path, name: str, own: Collection[str]) -> bool:
        """Put a copy of ``source`` beside the output, where nothing stands or a file whose sha256 is in ``own``.

        False, and nothing changed, when another file has the name. Raises OutputUnwritable.
        """
        ...

    def remove_beside(self, name: str, own: Collection[str]) -> bool:
        """Remove a file beside the output if its sha256 is in ``own``; False when another one has the name."""
        ...

    def shown(self, name: str) -> str:
        """Where people find a file of that name."""
        ...


def output_place(job: Job, folder: JobFolder, settings: Settings, replaces: str = "") -> OutputPlace:
    """The place that the job's settings name; ``replaces``: sha256 of what the revision before published there."""
    store = job.settings.output_store
    if store is None:
        return FolderPlace(job, folder, replaces)
    return StorePlace(job, folder, lambda: open_datastore(store, settings.home), replaces)


def output_folder(job: Job, folder: JobFolder) -> Path:
    """Where on this machine the output is put together."""
    return folder.gathered if job.settings.output_store is not None else Path(job.settings.output_folder)


def output_file(job: Job) -> Path | None:
    """Where the one gathered file goes on this machine; None when there is none, or several, or it goes elsewhere."""
    if not job.settings.has_one_file or job.settings.output_store is not None:
        return None
    return Path(job.settings.output_folder, job.settings.output_file_name)


class FolderPlace:
    """A folder of this machine."""

    def __init__(self, job: Job, folder: JobFolder, replaces: str = "") -> None:
        self._job = job
        self._folder = folder
        self._final = output_file(job)
        self._root = Path(job.settings.output_folder)
        self._own = _own(job, folder, replaces)
        self._layout = layout_of(job.settings)
        self._shards = _shards(job, folder)

    def refuse_now(self, alive: Callable[[], None] = lambda: None) -> None:
        final = self._final
        if self._shards is not None:
            shards.refuse_taken(self._shards, self._root, alive)
        if final is not None and output.is_taken(final) and not (self._own and sha256_of(final, alive) in self._own):
            raise output.already_exists(final, self._own)
        output.refuse_unwritable(self._root)

    def publish(self, rows: Iterable[LedgerRow], alive: Callable[[], None] = lambda: None) -> Published:
        staging, published = self._folder.staging, NOTHING
        if self._shards is not None:
            published = shards.gather(self._shards, rows, self._root, self._make_sure, alive)
        elif self._final is None:
            self._make_sure(NOTHING)
        else:
            segments, name = self._folder.segments, self._job.name
            published = output.gather(
                rows, segments, self._final, name, self._make_sure, self._own, alive, self._layout
            )
        output.publish_folder(staging, self._root, self._job.name, alive)
        return published

    def put_beside(self, source: Path, name: str, own: Collection[str]) -> bool:
        copy = aside_path(self._root, self._job.name)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            sweep(self._root, 0, self._job.name)
            shutil.copyfile(source, copy)
            return replace_own(copy, self._root / name, own)
        except OSError as error:
            raise output.unwritable(self._root / name, error) from error
        finally:
            copy.unlink(missing_ok=True)

    def remove_beside(self, name: str, own: Collection[str]) -> bool:
        try:
            return remove_own(self._root / name, own)
        except OSError as error:
            raise output.unwritable(self._root / name, error) from error

    def shown(self, name: str) -> str:
        return str(self._root / name)

    def _make_sure(self, published: Published) -> None:
        gathered = [self._root / shard.name for shard in published.shards] or ([self._final] if self._final else [])
        _refuse_links_out(self._job, self._folder)
        output.refuse_clashes(self._folder.staging, self._root, gathered)
        published_names.remember(self._folder, output.names(self._folder.staging, gathered))
        published_names.remember_content(self._folder, published_names.GATHERED, published.sha256)


class StorePlace:
    """A path in an object store: put together on this machine, then sent under the condition that nothing is there."""

    def __init__(self, job: Job, folder: JobFolder, connect: Callable[[], OpenDatastore], replaces: str = "") -> None:
        self._job = job
        self._folder = folder
        self._connect = connect
        self._root = job.settings.output_folder
        #: Where the one gathered file is put together.
        self._whole = folder.gathered / job.settings.output_file_name if job.settings.has_one_file else None
        self._own = _own(job, folder, replaces)
        self._layout = layout_of(job.settings)
        self._shards = _shards(job, folder)

    def refuse_now(self, alive: Callable[[], None] = lambda: None) -> None:
        with self._writing():
            store = self._connect()
            if self._whole is not None and store.size(self._key(self._whole.name)) is not None:
                self._require_own(store, self._key(self._whole.name), self._own, alive)
            if self._shards is not None:
                for name in self._names_of_shards(store):
                    self._require_own(store, self._key(name), self._shards.own(name), alive)
            self._probe(store)

    def publish(self, rows: Iterable[LedgerRow], alive: Callable[[], None] = lambda: None) -> Published:
        published = NOTHING
        with self._writing():
            store = self._connect()

            def make_sure(gathered: Published) -> None:
                self._make_sure(store, gathered)

            if self._shards is not None:
                published = self._put_shards(store, self._shards, rows, alive)
            elif self._whole is None:
                make_sure(NOTHING)
            else:
                segments, name = self._folder.segments, self._job.name
                published = output.gather(rows, segments, self._whole, name, make_sure, layout=self._layout)
                self._put_whole(store, self._whole, self._own, alive)
            for name, path in self._staged():
                self._put(store, path, name, alive)
        return published

    def put_beside(self, source: Path, name: str, own: Collection[str]) -> bool:
        with self._writing():
            return self._connect().replace_own(source, self._key(name), own)

    def remove_beside(self, name: str, own: Collection[str]) -> bool:
        with self._writing():
            return self._connect().remove_own(self._key(name), own)

    def shown(self, name: str) -> str:
        return f"{self._job.settings.output_uri.rstrip('/')}/{name}"

    def _require_own(
        self, store: OpenDatastore, key: str, own: Collection[str], alive: Callable[[], None], also: str = ""
    ) -> None:
        digest = hashlib.sha256()
        for block in store.blocks(key) if own or also else ():
            alive()
            digest.update(block)
        if digest.hexdigest() not in {also, *own} - {""}:
            raise output.already_exists(store.shown(key), own)

    def _names_of_shards(self, store: OpenDatastore) -> list[str]:
        """Of the files that stand there and could be taken for shards of this output."""
        beginning = len(self._key(""))
        names = (found.name[beginning:] for found in store.files(self._key("")))
        return sorted(name for name in names if self._shards is not None and self._shards.is_one(name))

    def _put_shards(
        self, store: OpenDatastore, kept: Shards, rows: Iterable[LedgerRow], alive: Callable[[], None]
    ) -> Published:
        """Put together here, whole, and named there one after the other; nothing there is replaced in part."""
        gathered = self._folder.gathered
        gathered.mkdir(parents=True, exist_ok=True)
        sweep(gathered, 0, self._job.name)
        made = kept.written(rows, gathered)
        whole = shards.published(shard for shard, _ in made)
        for shard in whole.shards:
            if store.size(self._key(shard.name)) is not None:
                self._require_own(store, self._key(shard.name), kept.own(shard.name), alive, shard.sha256)
        kept.remember(whole.shards)
        self._make_sure(store, whole)
        for shard, path in made:
            final = path.rename(gathered / shard.name)
            self._put_whole(store, final, kept.own(shard.name), alive)
        for name in kept.earlier():
            if name not in {shard.name for shard in whole.shards}:
                if not store.remove_own(self._key(name), kept.own(name)):
                    raise output.already_exists(store.shown(self._key(name)), kept.own(name))
                published_names.forget(self._folder, name)
        return whole

    def _make_sure(self, store: OpenDatastore, published: Published) -> None:
        gathered = [self._folder.gathered / shard.name for shard in published.shards]
        gathered += [self._whole] if self._whole else []
        _refuse_links_out(self._job, self._folder)
        output.refuse_clashes(self._folder.staging, self._folder.gathered, gathered)
        for name, path in self._staged():
            if store.size(self._key(name)) is not None and not store.holds(self._key(name), path):
                raise output.already_exists(store.shown(self._key(name)))
        published_names.remember(self._folder, output.names(self._folder.staging, gathered))
        published_names.remember_content(self._folder, published_names.GATHERED, published.sha256)

    def _staged(self) -> list[tuple[str, Path]]:
        staging = self._folder.staging
        return [(path.relative_to(staging).as_posix(), path) for path in output.staged(staging)]

    def _put_whole(self, store: OpenDatastore, whole: Path, own: Collection[str], alive: Callable[[], None]) -> None:
        if not own:
            self._put(store, whole, whole.name, alive)
        elif not store.replace_own(whole, self._key(whole.name), own, alive):
            raise output.already_exists(store.shown(self._key(whole.name)), own)

    def _put(self, store: OpenDatastore, path: Path, name: str, alive: Callable[[], None]) -> None:
        alive()
        if not store.put_new(path, self._key(name), alive):
            raise output.already_exists(store.shown(self._key(name)))

    def _probe(self, store: OpenDatastore) -> None:
        """One file written twice: shows that one may write, and that the store keeps what stands there."""
        self._folder.gathered.mkdir(exist_ok=True)
        key = self._key(f".batchpoint-{self._job.name}.probe")
        first, second = self._folder.gathered / "probe-1", self._folder.gathered / "probe-2"
        first.write_bytes(b"first")
        second.write_bytes(b"second")
        if not store.put_new(first, key):
            # A driver before this one was stopped between the two.
            store.remove(key)
            store.put_new(first, key)
        try:
            replaces = store.put_new(second, key)
        finally:
            store.remove(key)
        if replaces:
            raise OutputUnwritable(
                f"The store behind {store.shown(self._root)} replaces files although it is asked not to "
                "(If-None-Match), so an output could be lost there. Write to another datastore.",
                target=store.shown(self._root),
            )

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}" if self._root else name

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except BatchpointError as error:
            # What the driver itself meets while it publishes has nothing to do with the place.
            if isinstance(error, (JobFailed, Fenced, StoreUnavailable)):
                raise
            raise OutputUnwritable(
                f"The output cannot be written to {self._job.settings.output_uri}. {error.message}",
                target=self._job.settings.output_uri,
            ) from error


def _own(job: Job, folder: JobFolder, replaces: str) -> frozenset[str]:
    """What the job itself has published in earlier revisions, or was about to; empty in the first one."""
    if not job.revision or job.settings.output_action != "append_row":
        return frozenset()
    return frozenset({*published_names.contents(folder, published_names.GATHERED), replaces} - {""})


def _refuse_links_out(job: Job, folder: JobFolder) -> None:
    if job.settings.place.isolation == "container":
        output.refuse_links_out(folder.staging, folder.path)


def _shards(job: Job, folder: JobFolder) -> Shards | None:
    """The files of the output where it is several."""
    layout = layout_of(job.settings)
    if layout.shard_size is None or job.settings.output_action != "append_row":
        return None
    return Shards(folder, job.settings.output_file_name, job.name, layout, bool(job.revision))
