"""Looks at the files of an input one by one: readable, not empty, of a kind and with columns that the model can take.

``checks`` calls it for every file, and for all rows of those whose first rows are a sample.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from batchpoint.engine.preflight.choice import Item
from batchpoint.engine.preflight.report import error, note, warning
from batchpoint.engine.preflight.tables.columns import (
    File,
    different_header,
    wrong_columns,
    wrong_kind,
    wrong_values,
)
from batchpoint.engine.preflight.tables.heads import HEAD_BYTES, MAKE_READABLE, Head, Unfit, read_head
from batchpoint.engine.preflight.tables.wanted import Wanted, wanted_of
from batchpoint.entities.evidence.finding import Finding
from batchpoint.entities.job import JobSettings
from batchpoint.entities.tables.file_kinds import ROWS_OF_TEXT, TABLES, kind_of
from batchpoint.entities.tables.parts import shown
from batchpoint.mlmodel import MLMODEL, read_mlmodel

#: Bytes of a file of which the header alone is looked at, and of one all of whose values are.
_HEADER_BYTES, _VALUES_BYTES = 4 << 10, 4 << 20
#: Of such a file no value is where it should be.
_NO_TABLE = frozenset({"WrongDelimiter", "HeaderMissing"})


class Look:
    """What one input is held against; remembers the first header of files that a script reads."""

    def __init__(self, settings: JobSettings) -> None:
        self._no_code = settings.is_no_code
        self._settings = settings
        self._wanted = Wanted()
        #: By kind of table.
        self._first: dict[str, tuple[File, Head]] = {}

    def read_signature(self) -> Iterator[Finding]:
        """Learn what the model wants. Raises ValidationFailed for an MLmodel file that cannot be read."""
        folder = Path(self._settings.model_path or "")
        if not self._no_code or not (folder / MLMODEL).is_file():
            return
        signature = read_mlmodel(folder).signature
        self._wanted = wanted_of(signature.inputs if signature else None, self._settings.passthrough_columns)
        if signature is None or signature.inputs is None:
            fix = "Log the model with a signature, and a file that does not fit is named before it is scored."
            yield note("NoSignature", "The model has no signature: what it is given is not checked.", fix)

    @property
    def yardstick(self) -> str:
        """What files are compared with."""
        return "the model's signature" if self._wanted.columns or self._wanted.width else "each other"

    def at(self, root: str, item: Item, *, is_deep: bool) -> Iterator[Finding]:
        """What is wrong with one file; ``is_deep``: its first values are looked at, too."""
        name = shown(item.name)
        kind, packed = kind_of(name)
        file, path = File(name, kind), Path(root, os.fsdecode(item.name))
        wrong = wrong_kind(file, self._wanted) if self._no_code else None
        if wrong is not None:
            yield wrong
        elif kind in TABLES:
            yield from self._table(file, path, packed, HEAD_BYTES if is_deep else _HEADER_BYTES)
        else:
            yield from _readable(file, path)

    def _table(self, file: File, path: Path, packed: str, limit: int) -> Iterator[Finding]:
        head = read_head(path, file.kind, packed, limit)
        if isinstance(head, Unfit):
            make = error if self._no_code or head.code == "FileUnreadable" else warning
            yield make(head.code, head.message, head.fix, file=file.name, row=head.row)
        elif self._no_code:
            found = list(wrong_columns(file, head, self._wanted))
            yield from found
            if not any(one.code in _NO_TABLE for one in found):
                yield from wrong_values(file, head, self._wanted)
        elif unlike := self._unlike_first(file, head):
            yield unlike

    def at_values(self, name: str, path: Path) -> Iterator[Finding]:
        """What is wrong with the values of the first rows of a large file, which are at ``path``."""
        kind, _ = kind_of(name)
        if not self._no_code or kind not in ROWS_OF_TEXT:
            return
        head = read_head(path, kind, "", _VALUES_BYTES)
        if isinstance(head, Unfit):
            yield error(head.code, head.message, head.fix, file=name, row=head.row)
        else:
            yield from wrong_values(File(name, kind), head, self._wanted)

    def _unlike_first(self, file: File, head: Head) -> Finding | None:
        if not head.columns or head.kind == "json":
            return None
        first = self._first.setdefault(head.kind, (file, head))
        return different_header(file, head, *first)


def _readable(file: File, path: Path) -> Iterator[Finding]:
    """Of a file that is no table: whether it is there, may be read, and holds anything."""
    try:
        with path.open("rb") as opened:
            is_empty = not opened.read(1)
    except OSError as failed:
        yield error("FileUnreadable", f"The file cannot be read: {failed.strerror}.", MAKE_READABLE, file=file.name)
        return
    if is_empty:
        fix = "Leave it out with --exclude, unless it is meant."
        yield warning("EmptyFile", "The file is empty.", fix, file=file.name)
