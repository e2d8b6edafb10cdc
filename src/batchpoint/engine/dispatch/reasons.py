"""Groups the reasons of failed mini-batches, so that a thousand failures of one kind are one line for people."""

import re
from collections.abc import Callable, Iterable

from batchpoint.entities.job import FailureReason
from batchpoint.store.records import LedgerRow

#: What differs between two failures of one kind: quoted names and values, and numbers.
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
#: Groups that are kept apart; what comes after joins the last one.
GROUPS_MAX = 20
OTHERS = ("Other", "other reasons; see logs/user/error.txt")


def group(rows: Iterable[LedgerRow], example_of: Callable[[int], str]) -> tuple[FailureReason, ...]:
    """The reasons in ``rows``, the one that cost most items first; ``example_of`` names an item of a mini-batch."""
    groups: dict[tuple[str, str], FailureReason] = {}
    for row in rows:
        if not row.failed_items:
            continue
        key = (row.reason_code, _PARTICULAR.sub("#", row.reason))
        if key not in groups and len(groups) >= GROUPS_MAX:
            key = OTHERS
        code, message = OTHERS if key == OTHERS else (row.reason_code, row.reason)
        known = groups.get(key) or FailureReason(
            code=code, message=message, mini_batches=0, items=0, example=example_of(row.mini_batch)
        )
        groups[key] = known.model_copy(
            update={"mini_batches": known.mini_batches + 1, "items": known.items + row.failed_items}
        )
    return tuple(sorted(groups.values(), key=lambda reason: (-reason.items, reason.code, reason.message)))
