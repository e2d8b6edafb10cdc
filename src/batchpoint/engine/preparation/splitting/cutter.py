"""Replaces each large file in the list of a job's input by its parts, and keeps account of what was done.

``engine.run`` calls it between listing and planning, while workers import. Whatever cannot be cut, a broken file among
it, stays whole: it is scored, or fails, as an item of its own.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from batchpoint.engine.preparation.splitting.parquet import MOST_PARTS, cut_parquet
from batchpoint.engine.preparation.splitting.text import cut_text, may_have_parts, why_whole
from batchpoint.entities.tables.file_kinds import ROWS_OF_TEXT, kind_of
from batchpoint.entities.tables.parts import Part, item_of, shown
from batchpoint.entities.tables.sizes import size_in_words
from batchpoint.entities.tables.split import Split

log = logging.getLogger(__name__)

#: Packed as well, though no reader of tables unpacks them.
_ALSO_PACKED = (".zip", ".lz4")


@dataclass
class Cutter:
    """Cuts the files of one job."""

    split: Split
    #: Folder that the paths start from; "" when they are absolute.
    root: str
    #: Called again and again; raises to stop.
    still_wanted: Callable[[], None] = lambda: None
    _files: int = 0
    _parts: int = 0
    #: Why files stay whole → how many do, and the first of them.
    _whole: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)

    def items(self, paths: Iterable[bytes]) -> Iterator[bytes]:
        """The items of the plan, in order: parts, and files that stay whole."""
        for path in paths:
            self.still_wanted()
            items = list(islice(self._cut(path), MOST_PARTS + 1))
            if len(items) > MOST_PARTS:
                self._leave(path, f"it comes to more than {MOST_PARTS:,} parts, for which split must be larger")
                yield path
            elif len(items) > 1:
                self._files += 1
                self._parts += len(items)
                yield from items
            else:
                yield path

    def notes(self) -> Iterator[str]:
        """What a person should know, once all items were asked for."""
        if self._files:
            size = f"{self.split.rows:,} rows" if self.split.rows else f"about {size_in_words(self.split.bytes or 0)}"
            yield f"{_files(self._files)} {_was(self._files)} cut into {self._parts:,} parts of {size}."
        for why, (count, first) in self._whole.items():
            yield f"{_files(count)} {_was(count)} left whole: {why} ({shown(first)}{' is the first' * (count > 1)})."
        yield from self._notes

    def first_parts(self, path: bytes, count: int) -> list[bytes]:
        """The first items that this file comes to, without a look at the rest of it."""
        return list(islice(self._cut(path), count)) or [path]

    def _cut(self, path: bytes) -> Iterator[bytes]:
        """Items of one file. A file that is one item has at most one."""
        file = Path(self.root, os.fsdecode(path))
        try:
            for part in self._parts_of(path, file):
                yield item_of(path, part)
        except OSError as error:
            # Whoever scores it will say so, too.
            log.info("%s is not cut: %s", file, error)

    def _parts_of(self, path: bytes, file: Path) -> Iterator[Part]:
        kind, packed = kind_of(file.name)
        if packed or file.suffix.lower() in _ALSO_PACKED:
            self._leave(path, "what is compressed is not cut")
        elif kind == "parquet":
            parts = cut_parquet(file, self.split)
            if parts is None:
                self._leave(path, "it cannot be read as Parquet, or comes to too many parts")
            else:
                yield from parts
        elif kind in ROWS_OF_TEXT:
            if may_have_parts(file.stat().st_size, self.split):
                yield from self._parts_of_text(path, file, kind)
        else:
            self._leave(path, "only CSV, TSV, JSON Lines and Parquet files are cut")

    def _parts_of_text(self, path: bytes, file: Path, kind: str) -> Iterator[Part]:
        with file.open("rb", buffering=0) as text:
            why = why_whole(text)
            if why:
                self._leave(path, why)
                return
            unclosed: list[int] = []
            yield from cut_text(text, kind, self.split, self.still_wanted, unclosed.append)
        for row in unclosed:
            self._notes.append(
                f"{shown(path)} has a quote that is never closed, in row {row:,} (the first row is 0): what stands "
                "behind it is all in one part."
            )

    def _leave(self, path: bytes, why: str) -> None:
        count, first = self._whole.get(why, (0, path))
        self._whole[why] = count + 1, first


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
