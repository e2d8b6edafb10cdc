"""Compares every file of the input with what the model wants: its kind, its columns, their types, their first values.

``checks`` calls it for each file, and again with all rows of those that are scored as a sample.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchpoint.engine.preflight.report import error, warning
from batchpoint.engine.preflight.tables.heads import Head
from batchpoint.engine.preflight.tables.wanted import Wanted, WantedColumn, looks_like_data, misfit, never_fits
from batchpoint.entities.evidence.finding import Finding
from batchpoint.entities.tables.file_kinds import KINDS, TABLES

#: Wrong values that are told of one column of one file.
_VALUES_MAX = 3
_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_NAMES_SHOWN = 12
#: Missing columns for which one of a similar name is looked for, and among how many: headers can be very wide.
_NEAR_MAX, _COMPARED_MAX = 50, 500


@dataclass(frozen=True)
class File:
    """One file of the input, as findings name it."""

    name: str
    kind: str


def wrong_kind(file: File, wanted: Wanted) -> Finding | None:
    """A file of a kind that the model cannot be given."""
    if not file.kind:
        fix = (
            f"Leave it out with --exclude, or write it as one of {' '.join(KINDS)}; a scoring script can read anything."
        )
        return error("UnsupportedFile", "A model without a script cannot read files of this kind.", fix, file=file.name)
    if wanted.kind == "table" and file.kind == "image":
        fix = "Give it tables, or deploy a model whose signature takes a tensor."
        return error("UnsupportedFile", "The model wants columns, and this is a picture.", fix, file=file.name)
    if wanted.kind == "image" and file.kind in TABLES:
        fix = "Give it pictures, or log the model with a signature of columns."
        return error("UnsupportedFile", "The model wants arrays of pictures, and this is a table.", fix, file=file.name)
    return None


def wrong_columns(file: File, head: Head, wanted: Wanted) -> Iterator[Finding]:
    """What is wrong with the header or the schema of a file."""
    names = [one.name for one in wanted.columns if one.required and not wanted.by_place]
    there = set(head.columns)
    missing = [name for name in (*names, *wanted.passed) if name not in there]
    if missing and (found := _not_cut(file, head, missing)):
        yield found
        return
    if names and looks_like_data(head) and len(missing) == len(names):
        fix = f"Write the names of the columns into the first line: {_listed(names)}."
        yield error("HeaderMissing", f"The first line holds numbers: {head.line[:80]!r}.", fix, file=file.name, row=1)
        return
    yield from _missing(file, head, missing, wanted.passed)
    yield from _doubled(file, head, {*names, *wanted.passed})
    yield from _miscounted(file, head, wanted)
    yield from _mistyped(file, head, wanted)


def _not_cut(file: File, head: Head, missing: Sequence[str]) -> Finding | None:
    """A header that is one column only because it is separated by something else."""
    if head.kind not in ("csv", "tsv") or len(head.columns) > 1:
        return None
    own = "\t" if head.kind == "tsv" else ","
    for mark, name in _MARKS.items():
        parts = [part.strip().strip('"') for part in head.line.split(mark)]
        if mark != own and len(parts) > 1 and (set(parts) & set(missing) or mark in (";", "\t", ",")):
            how = "tabs" if head.kind == "tsv" else "commas"
            fix = f"Write the file with {how}" + (", or call it .tsv." if mark == "\t" else ".")
            return error("WrongDelimiter", f"Its columns are separated by {name}, not by {how}.", fix, file=file.name)
    return None


def _missing(file: File, head: Head, missing: Sequence[str], passed: Sequence[str]) -> Iterator[Finding]:
    near_by = {_plain(one): one for one in head.columns} if missing else {}
    for number, name in enumerate(missing):
        who = "passthrough_columns names" if name in passed else "The model wants"
        near = _near(name, near_by) if number < _NEAR_MAX else None
        message = f"{who} the column {name!r}, and the file has {_listed(head.columns)}."
        instead = "take it out of passthrough_columns" if name in passed else "leave the file out"
        fix = f"Rename {near!r} to {name!r}." if near else f"Add the column {name!r}, or {instead}."
        yield error("MissingColumn", message, fix, file=file.name, column=name)


def _near(name: str, there: dict[str, str]) -> str | None:
    """The column that was probably meant, of those ``there`` by their plain names."""
    if _plain(name) in there:
        return there[_plain(name)]
    found = difflib.get_close_matches(name, list(there.values())[:_COMPARED_MAX], 1, 0.75)
    return found[0] if found else None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _doubled(file: File, head: Head, wanted: set[str]) -> Iterator[Finding]:
    for name, count in Counter(head.columns).items():
        if count == 1:
            continue
        message = f"The file has {count} columns named {name!r}."
        make = error if name in wanted else warning
        yield make("DuplicateColumn", message, "Rename or remove all but one.", file=file.name, column=name)


def _miscounted(file: File, head: Head, wanted: Wanted) -> Iterator[Finding]:
    """Where places count, or the numbers in a row."""
    there = len(head.columns)
    if wanted.by_place and there < len(wanted.columns):
        message = f"The model wants {len(wanted.columns)} columns, and the file has {there}."
        yield error("MissingColumn", message, "Add what is missing at the end.", file=file.name)
    if wanted.width is not None and there and there - len(wanted.passed) != wanted.width:
        message = f"The model wants {wanted.width} numbers in each row, and the file has {there} columns."
        fix = "Leave out, or add, the columns that make the difference."
        yield error("WrongShape", message, fix, file=file.name)


def _mistyped(file: File, head: Head, wanted: Wanted) -> Iterator[Finding]:
    if not head.types:
        return
    for place, column in _present(head, wanted):
        if never_fits(head.types[place], column.kind):
            message = f"The model wants {column.kind}, and the column holds {head.types[place]}."
            fix = f"Write the column as {column.kind}."
            yield error("WrongType", message, fix, file=file.name, column=head.columns[place])


def _present(head: Head, wanted: Wanted) -> list[tuple[int, WantedColumn]]:
    """The wanted columns that a file has, each with its place."""
    if wanted.by_place:
        return list(enumerate(wanted.columns[: len(head.columns)]))
    places = {name: place for place, name in reversed(list(enumerate(head.columns)))}
    return [(places[one.name], one) for one in wanted.columns if one.name in places]


def wrong_values(file: File, head: Head, wanted: Wanted, first_row: int = 1) -> Iterator[Finding]:
    """Values of the rows of ``head`` that do not fit; rows that are too short or too long."""
    is_text = head.kind in ("csv", "tsv")
    if is_text:
        yield from _ragged(file, head, first_row)
    for place, column in _present(head, wanted):
        told = 0
        for row, values in enumerate(head.rows, first_row):
            if place >= len(values) or (is_text and len(values) != len(head.columns)):
                continue
            why = misfit(values[place], column.kind, is_text=is_text)
            if why:
                fix = f"Mend or remove the value: the model's signature says {column.kind}."
                yield error("InvalidValue", f"{why}.", fix, file=file.name, column=head.columns[place], row=row)
                told += 1
            if told == _VALUES_MAX:
                break


def _ragged(file: File, head: Head, first_row: int) -> Iterator[Finding]:
    """The first row with another number of values than the header has names."""
    names = len(head.columns)
    for row, values in enumerate(head.rows, first_row):
        if len(values) != names:
            message = f"The row has {len(values)} values, and the header has {names} names."
            fix = "Put values with a comma or a line break in them into quotation marks."
            yield error("RaggedRow", message, fix, file=file.name, row=row)
            return


def different_header(file: File, head: Head, first: File, first_head: Head) -> Finding | None:
    """Of files that a script reads: one whose header is not that of the first one."""
    if not head.columns or head.kind != first_head.kind or head.columns == first_head.columns:
        return None
    ours, theirs = set(head.columns), set(first_head.columns)
    lacks, more = sorted(theirs - ours), sorted(ours - theirs)
    parts = [f"lacks {_listed(lacks)}"] * bool(lacks) + [f"has {_listed(more)} besides"] * bool(more)
    said = " and ".join(parts) or "has the same names in another order"
    message = f"Compared with {first.name}, its header {said}."
    return warning("HeaderDiffers", message, "See that the script copes with both, or mend the file.", file=file.name)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return shown + (f" and {rest} more" if rest > 0 else "")
