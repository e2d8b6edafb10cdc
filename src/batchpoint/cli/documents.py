"""``--file``, flags and ``--set`` become a noun; ``update`` starts from the noun as it stands.

The commands call it; reading and checking is the loader's work in ``entities/from_yaml``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import pairs
from batchpoint.errors import CommandLineInvalid

if TYPE_CHECKING:
    from batchpoint.entities.from_yaml.changes import Change
    from batchpoint.entities.noun import Noun

N = TypeVar("N", bound="Noun")


def load(call: Call, noun: type[N], flags: Mapping[str, Any], *, sets: Sequence[str] = ()) -> N:
    """The noun that ``--file``, the flags and ``--set`` describe; ``sets`` are further pairs.

    Raises ValidationFailed with every problem at once. Notes of the loader become warnings.
    """
    from batchpoint.entities.from_yaml import load_with_notes

    loaded = load_with_notes(
        noun,
        Path(call.flags.file) if call.flags.file else None,
        flags=flags,
        changes=changes(call, sets),
        check_script=not getattr(call.flags, "skip_script_validation", False),
    )
    for note in loaded.notes:
        call.warn(note)
    return loaded.noun


def updated(call: Call, current: N, flags: Mapping[str, Any], *, sets: Sequence[str] = ()) -> N:
    """``current`` with ``--set``, ``--add`` and ``--remove`` made to it."""
    from batchpoint.entities.from_yaml import amended

    return amended(current, flags=flags, changes=changes(call, sets))


def changes(call: Call, sets: Sequence[str] = ()) -> "tuple[Change, ...]":
    """What ``--set``, ``--add`` and ``--remove`` say, and the pairs of ``sets`` before them."""
    from batchpoint.entities.from_yaml.changes import parse_add, parse_remove, parse_set

    flags = call.flags
    force = bool(getattr(flags, "force_string", False))
    found = [*parse_set([*sets, *(flags.set or ())], force_string=force)]
    for words in getattr(flags, "add", None) or ():
        found += parse_add(words, force_string=force)
    for words in getattr(flags, "remove", None) or ():
        found += parse_remove(words)
    return tuple(found)


def described(call: Call) -> dict[str, Any]:
    """``--description`` and ``--tags``, where given."""
    found = call.given("description")
    return found | {"tags": pairs(call.flags.tags, "--tags")} if call.flags.tags else found


def needed(call: Call, attribute: str) -> str:
    """A flag that this form of the command cannot do without."""
    value: str | None = getattr(call.flags, attribute)
    if not value:
        raise CommandLineInvalid(f"--{attribute.replace('_', '-')} is needed without --file")
    return value
