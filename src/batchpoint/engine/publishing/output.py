"""Gathers the parts of all mini-batches, in mini-batch order, into one file, and publishes it without clobbering.

What an earlier revision of the same job published is replaced, and nothing else.

The driver calls it once the ledger is frozen. The result is a function of the ledger alone: whoever repeats it, in
whatever process, writes the same bytes.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.publishing.assembly.assemble import assemble
from batchpoint.engine.publishing.assembly.layout import Layout
from batchpoint.engine.publishing.segments import BLOCK_BYTES, SegmentReader
from batchpoint.errors import OutputAlreadyExists, OutputUnwritable
from batchpoint.failpoints import reach
from batchpoint.storage.atomic import (
    aside_path,
    fsync_folder,
    publish_without_clobber,
    replace_own,
    sha256_of,
    sweep,
)
from batchpoint.store.records import LedgerRow

_VERBATIM = Layout()
#: Bytes of an output that are written between two syncs: the last one must not take longer than a driver may be silent.
_SYNC_BYTES = 1 << 28


@dataclass(frozen=True)
class Shard:
    """One of several files of an output."""

    name: str
    sha256: str
    length: int


@dataclass(frozen=True)
class Published:
    """What was published."""

    #: Of the file; of several, over a line for each with its hash and its name.
    sha256: str
    #: Bytes in all.
    length: int
    #: The files, where the output may be several.
    shards: tuple[Shard, ...] = ()


def gather(
    rows: Iterable[LedgerRow],
    segments: Path,
    final: Path,
    owner: str,
    before_publishing: Callable[[Published], None] = lambda published: None,
    own: Collection[str] = (),
    alive: Callable[[], None] = lambda: None,
    layout: Layout = _VERBATIM,
) -> Published:
    """Assemble the rows' parts in order and give them the name ``final``; ``owner`` is the job.

    ``rows`` are read twice for a layout that needs to know all columns before the first row.

    ``before_publishing`` is called when all is assembled and nothing published yet; what it raises, stops that.
    ``own``: sha256 of what the job itself has published under this name before, which is replaced. ``alive`` is called
    again and again once all rows are read.

    Raises OutputAlreadyExists when a file with other content stands there, SegmentCorrupt when bytes on disk are not
    those that were scored, OutputUnwritable when the disk or the folder does not take them.
    """
    unfinished = aside_path(final.parent, owner)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        sweep(final.parent, 0, owner)
        published = _assemble(rows, segments, unfinished, layout)
        before_publishing(published)
        if not _publish(unfinished, final, published, own, alive):
            raise already_exists(final, own)
    except OSError as error:
        raise unwritable(final, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return published


def _publish(
    unfinished: Path, final: Path, published: Published, own: Collection[str], alive: Callable[[], None]
) -> bool:
    if own:
        return replace_own(unfinished, final, own, alive)
    return publish_without_clobber(unfinished, final) or _stands(final, published.sha256, alive)


def _stands(final: Path, sha256: str, alive: Callable[[], None]) -> bool:
    """Whether a driver before this one has published the same; it may have died before the name was on disk."""
    if sha256_of(final, alive) != sha256:
        return False
    fsync_folder(final.parent)
    return True


def names(staging: Path, gathered: Iterable[Path]) -> list[str]:
    """What is about to be published, relative to the output folder."""
    return [*(path.relative_to(staging).as_posix() for path in staged(staging)), *(path.name for path in gathered)]


def publish_folder(staging: Path, folder: Path, owner: str, alive: Callable[[], None] = lambda: None) -> int:
    """Move what the scripts wrote themselves into the output folder, all of it or nothing; returns how many files."""
    files = staged(staging)
    refuse_clashes(staging, folder)
    for parent in {folder / path.relative_to(staging).parent for path in files}:
        sweep(parent, 0, owner)
    for path in files:
        alive()
        final = folder / path.relative_to(staging)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            _move(path, final, owner)
        except OSError as error:
            raise unwritable(final, error) from error
    return len(files)


def refuse_clashes(staging: Path, folder: Path, gathered: Collection[Path] = ()) -> None:
    """Raise OutputAlreadyExists if a staged file cannot be published, or has the name of a gathered one."""
    for path in staged(staging):
        final = folder / path.relative_to(staging)
        if final in gathered:
            raise OutputAlreadyExists(
                f"The script wrote {final.name} to AZUREML_BI_OUTPUT_PATH, and what run() returns goes to a file of "
                "that name. Let the script choose another name, or set output_file_name.",
                target=str(final),
            )
        if is_taken(final) and sha256_of(final) != sha256_of(path):
            raise already_exists(final)


def refuse_links_out(staging: Path, job: Path) -> None:
    """Raise OutputUnwritable for a staged link that leads out of the job's folder, to what its maker may not see."""
    for path in staged(staging):
        if path.is_symlink() and not path.resolve().is_relative_to(job.resolve()):
            raise OutputUnwritable(
                f"The script left the link {path.relative_to(staging)} in AZUREML_BI_OUTPUT_PATH, which leads out of "
                "the job's folder; from a container no such file is published. Have it write a copy there.",
                target=path.name,
            )


def refuse_unwritable(folder: Path) -> None:
    """Raise OutputUnwritable if nothing can be written to ``folder``, which need not exist; nothing is made."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise OutputUnwritable(
            f"The output folder {folder} cannot be made: {there} is not a folder. Choose another (--output-path).",
            target=str(folder),
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputUnwritable(
            f"The output folder {folder} cannot be written: no right to write to {there}. Give the user that runs "
            "Batchpoint that right, or choose another folder (--output-path).",
            target=str(folder),
        )


def already_exists(path: Path | str, own: Collection[str] = ()) -> OutputAlreadyExists:
    """The error for an output path that is taken, or no longer holds any of the contents ``own`` that the job wrote."""
    if own:
        return OutputAlreadyExists(
            f"The output file {path} no longer holds what this job wrote; it was left as it is. "
            "What was scored is kept: move the file away, then redrive or resume the job.",
            target=str(path),
        )
    return OutputAlreadyExists(
        f"The output file {path} exists already; it was left as it is. "
        "Choose another output folder or output file name, or remove the file.",
        target=str(path),
    )


def _assemble(rows: Iterable[LedgerRow], segments: Path, aside: Path, layout: Layout) -> Published:
    if not layout.is_verbatim:
        (written,) = assemble(rows, segments, layout, lambda: aside)
        return Published(written.sha256, written.length)
    digest, length, synced = hashlib.sha256(), 0, 0
    with SegmentReader(segments) as reader, aside.open("xb", buffering=BLOCK_BYTES) as out:
        for row in rows:
            for part in row.parts:
                for block in reader.blocks(part):
                    digest.update(block)
                    out.write(block)
                length += part.length
            if length - synced >= _SYNC_BYTES:
                out.flush()
                os.fdatasync(out.fileno())
                synced = length
            reach("D14")
    return Published(digest.hexdigest(), length)


def staged(staging: Path) -> list[Path]:
    """What the scripts wrote themselves."""
    return sorted(path for path in staging.rglob("*") if path.is_file())


def _move(path: Path, final: Path, owner: str) -> None:
    """Give a staged file its final name, through a copy where that lies on another file system."""
    finished = path
    if path.is_symlink() or path.stat().st_dev != final.parent.stat().st_dev:
        # A link would be published as it is, and lead into a folder of the job.
        finished = aside_path(final.parent, owner)
        shutil.copyfile(path, finished)
    try:
        if not publish_without_clobber(finished, final) and sha256_of(final) != sha256_of(path):
            raise already_exists(final)
    finally:
        if finished is not path:
            finished.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def unwritable(final: Path, error: OSError) -> OutputUnwritable:
    """The error for an output path that the disk or the folder does not take."""
    return OutputUnwritable(
        f"The output file {final} cannot be written: {error.strerror or error}. What was scored is kept; "
        "make room or give the right to write there.",
        target=str(final),
    )


def is_taken(path: Path) -> bool:
    """True when something stands at an output path, a dangling link included."""
    return os.path.lexists(path)
