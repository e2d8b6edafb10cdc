"""What every ``list`` command shares: how many are shown, and whether archived ones are among them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Flag
from batchpoint.errors import CommandLineInvalid

if TYPE_CHECKING:
    from batchpoint.entities.noun import ListView

T = TypeVar("T")

ARCHIVED = (
    Flag("--archived-only", "List only what is archived."),
    Flag("--include-archived", "List what is archived as well."),
)


def most(default: int | None = None) -> Flag:
    """The flag that cuts a list."""
    return Flag("--max-results -r", f"At most this many; default {default or 'all'}.", "N", number=int, default=default)


def limit(call: Call) -> int | None:
    """How many are wanted; None for all. CommandLineInvalid for a number that is none."""
    wanted: int | None = call.flags.max_results
    if wanted is not None and wanted < 1:
        raise CommandLineInvalid(f"--max-results: {wanted} is not a number from 1 on; leave it out to see more")
    return wanted


def view(call: Call) -> "ListView":
    """Whether archived things are listed. CommandLineInvalid when both flags are given."""
    if call.flags.archived_only and call.flags.include_archived:
        raise CommandLineInvalid("--archived-only and --include-archived exclude each other; keep one of them")
    if call.flags.archived_only:
        return "ArchivedOnly"
    return "All" if call.flags.include_archived else "ActiveOnly"


def shortened(call: Call, found: Sequence[T]) -> Sequence[T]:
    """The first of them, as many as are wanted; a warning when there are more."""
    wanted = limit(call)
    if wanted is None or len(found) <= wanted:
        return found
    call.warn(f"only the first {wanted} of {len(found)} are shown; see --max-results")
    return found[:wanted]
