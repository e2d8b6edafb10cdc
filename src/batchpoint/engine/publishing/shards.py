"""An output of several files: each published whole and without clobbering, or replaced where it is the job's own.

``places`` calls it for jobs that ask for files of a size. Which files an earlier revision has written, the job's folder
knows; what is not written any more is removed, and nothing else.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.publishing import output
from batchpoint.engine.publishing.assembly.assemble import assemble
from batchpoint.engine.publishing.assembly.layout import Layout, is_shard_of, shard_name
from batchpoint.engine.publishing.output import Published, Shard
from batchpoint.storage import published as published_names
from batchpoint.storage.atomic import (
    aside_path,
    fsync_folder,
    publish_without_clobber,
    remove_own,
    replace_own,
    sha256_of,
    sweep,
)
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import LedgerRow


@dataclass(frozen=True)
class Shards:
    """The files of one job's output."""

    folder: JobFolder
    #: The name that numbers are put into.
    name: str
    owner: str
    layout: Layout
    #: Whether an earlier revision may have published some.
    is_again: bool

    def own(self, name: str) -> frozenset[str]:
        """What the job itself has published under a name, or was about to; empty in its first revision."""
        return published_names.contents(self.folder, name) if self.is_again else frozenset()

    def earlier(self) -> list[str]:
        """Names that the job has published, or was about to."""
        return [name for name in published_names.recall(self.folder) if self.is_one(name)] if self.is_again else []

    def is_one(self, name: str) -> bool:
        """Whether a file of that name could be taken for one of them."""
        return is_shard_of(name, self.name)

    def written(self, rows: Iterable[LedgerRow], aside: Path) -> list[tuple[Shard, Path]]:
        """All of them, whole, below ``aside`` and with other names. Raises SegmentCorrupt, OSError."""
        found = assemble(rows, self.folder.segments, self.layout, lambda: aside_path(aside, self.owner))
        named = [(shard_name(self.name, number), file) for number, file in enumerate(found)]
        return [(Shard(name, file.sha256, file.length), file.path) for name, file in named]

    def remember(self, shards: Iterable[Shard]) -> None:
        """Before a file has its name: whoever comes after a crash knows it for the job's."""
        for shard in shards:
            published_names.remember_content(self.folder, shard.name, shard.sha256)


def published(shards: Iterable[Shard]) -> Published:
    """All of them as one output."""
    known = tuple(shards)
    lines = "".join(f"{shard.sha256}  {shard.name}\n" for shard in known)
    return Published(hashlib.sha256(lines.encode()).hexdigest(), sum(shard.length for shard in known), known)


# ---- in a folder of this machine ------------------------------------------------------------------------------------


def refuse_taken(shards: Shards, root: Path, alive: Callable[[], None]) -> None:
    """Raise OutputAlreadyExists for a file that stands where one of them may come, or that readers take for one."""
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        if shards.is_one(path.name):
            own = shards.own(path.name)
            if sha256_of(path, alive) not in own:
                raise output.already_exists(path, own)


def gather(
    shards: Shards,
    rows: Iterable[LedgerRow],
    root: Path,
    before_publishing: Callable[[Published], None],
    alive: Callable[[], None],
) -> Published:
    """Assemble the files, and give each its name once all are whole; then remove those that are no longer.

    Raises as ``output.gather`` does.
    """
    made: list[tuple[Shard, Path]] = []
    try:
        root.mkdir(parents=True, exist_ok=True)
        sweep(root, 0, shards.owner)
        made = shards.written(rows, root)
        whole = published(shard for shard, _ in made)
        _refuse_others(shards, whole, root, alive)
        shards.remember(whole.shards)
        before_publishing(whole)
        for shard, path in made:
            _publish(shards, shard, path, root / shard.name, alive)
        _remove_former(shards, whole, root)
        return whole
    except OSError as error:
        raise output.unwritable(root / shards.name, error) from error
    finally:
        with suppress(OSError):
            sweep(root, 0, shards.owner)


def _refuse_others(shards: Shards, whole: Published, root: Path, alive: Callable[[], None]) -> None:
    """No file is replaced where another one cannot be."""
    for shard in whole.shards:
        final, own = root / shard.name, shards.own(shard.name)
        if output.is_taken(final) and sha256_of(final, alive) not in {shard.sha256, *own}:
            raise output.already_exists(final, own)


def _publish(shards: Shards, shard: Shard, path: Path, final: Path, alive: Callable[[], None]) -> None:
    own = shards.own(shard.name) if shards.is_again else frozenset()
    if own:
        is_there = replace_own(path, final, own, alive)
    else:
        is_there = publish_without_clobber(path, final)
        if not is_there and sha256_of(final, alive) == shard.sha256:
            # A driver before this one has published the same; it may have died before the name was on disk.
            fsync_folder(final.parent)
            is_there = True
    if not is_there:
        raise output.already_exists(final, own)


def _remove_former(shards: Shards, whole: Published, root: Path) -> None:
    names = {shard.name for shard in whole.shards}
    for name in shards.earlier():
        if name not in names:
            if not remove_own(root / name, shards.own(name)):
                raise output.already_exists(root / name, shards.own(name))
            published_names.forget(shards.folder, name)
