"""From YAML, flags and ``--set`` to a noun: one loader for every noun and every dialect.

The CLI and the client call ``load``; files are only read, and looked for where a document names them.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from batchpoint.entities.from_yaml.build import build
from batchpoint.entities.from_yaml.changes import Append, Change, Remove, apply
from batchpoint.entities.from_yaml.document import Document, read_document
from batchpoint.entities.from_yaml.reading import Reading
from batchpoint.entities.noun import Noun
from batchpoint.errors import Problem, ValidationFailed

__all__ = ["Loaded", "amended", "load", "load_with_notes"]

N = TypeVar("N", bound=Noun)
_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True)
class Loaded(Generic[N]):
    """A noun, and what its author may want to know."""

    noun: N
    #: One line each: older spellings, keys without a value.
    notes: tuple[str, ...] = ()


def load(
    kind: type[N],
    path: Path | None,
    *,
    flags: Mapping[str, object] = _NOTHING,
    changes: Sequence[Change] = (),
    check_script: bool = True,
) -> N:
    """The ``kind`` that the file at ``path`` describes; ValidationFailed names everything that is wrong with it.

    ``changes`` are applied to the file, then ``flags`` (keys of the noun, dots for inner ones; None means not
    given) win over it. Relative paths mean the file's folder, in flags and without a file the current folder.
    """
    return load_with_notes(kind, path, flags=flags, changes=changes, check_script=check_script).noun


def load_with_notes(
    kind: type[N],
    path: Path | None,
    *,
    flags: Mapping[str, object] = _NOTHING,
    changes: Sequence[Change] = (),
    check_script: bool = True,
) -> Loaded[N]:
    """As ``load``, with the notes."""
    document = Document() if path is None else read_document(path)
    source = None if path is None else str(path)
    if not document.readable:
        raise _failed(kind, document.problems, source)
    reading = Reading(path, document.lines, check_script=check_script, problems=list(document.problems))
    noun = _noun(kind, document.tree, flags, changes, reading)
    if noun is None or reading.problems:
        raise _failed(kind, reading.problems, source)
    return Loaded(noun, tuple(reading.notes))


def amended(noun: N, *, flags: Mapping[str, object] = _NOTHING, changes: Sequence[Change] = ()) -> N:
    """``noun`` with ``changes`` and ``flags`` made to it, as ``update`` does; what the server has set stays."""
    reading = Reading(amends=True)
    tree = noun.model_dump(mode="json", exclude_none=True)
    found = _noun(type(noun), tree, flags, changes, reading)
    if found is not None:
        _keep_names(noun, found, reading)
    if found is None or reading.problems:
        raise _failed(type(noun), reading.problems, None)
    kept = {key: getattr(noun, key) for key in noun.output_only & set(type(noun).model_fields)}
    return found.model_copy(update=kept)


def _keep_names(before: Noun, after: Noun, reading: Reading) -> None:
    for key in ("name", "version", "endpoint_name"):
        was, is_now = getattr(before, key, None), getattr(after, key, None)
        if was != is_now:
            reading.problem((key,), f'"{was}" cannot become "{is_now}": names stay; create another one under that name')


def _noun(
    kind: type[N], tree: dict[str, object], flags: Mapping[str, object], changes: Sequence[Change], reading: Reading
) -> N | None:
    try:
        tree = apply(tree, changes)
        reading.changed = tuple(change.path for change in changes if not isinstance(change, Remove))
        reading.added = tuple(change.path for change in changes if isinstance(change, Append))
    except ValidationFailed as error:
        reading.problems.extend(error.problems)
    given = {key: deepcopy(value) for key, value in flags.items() if value is not None}
    return build(kind, tree, (), reading, given)


def _failed(kind: type[Noun], problems: Sequence[Problem], source: str | None) -> ValidationFailed:
    in_order = sorted(problems, key=lambda problem: problem.line or float("inf"))
    return ValidationFailed(kind.schema_name or kind.__name__, tuple(in_order), source=source)
