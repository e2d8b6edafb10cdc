"""Groups the reasons of failed mini-batches, so that a thousand equal failures are one line for people."""

from collections.abc import Callable, Iterable

from batchpoint.entities.job import FailureReason
from batchpoint.store.records import LedgerRow

#: Groups that are kept apart; what comes after joins the last one.
GROUPS_MAX = 20
OTHERS = ("Other", "other reasons; see logs/user/error.txt")


def group(rows: Iterable[LedgerRow], example_of: Callable[[int], str]) -> tuple[FailureReason, ...]:
    """The reasons in ``rows``, the one that cost most items first; ``example_of`` names an item of a mini-batch."""
    groups: dict[tuple[str, str], FailureReason] = {}
    for row in rows:
        if not row.failed_items:
            continue
        key = (row.reason_code, row.reason)
        if key not in groups and len(groups) >= GROUPS_MAX:
            key = OTHERS
        known = groups.get(key) or FailureReason(
            code=key[0], message=key[1], mini_batches=0, items=0, example=example_of(row.mini_batch)
        )
        groups[key] = known.model_copy(
            update={"mini_batches": known.mini_batches + 1, "items": known.items + row.failed_items}
        )
    return tuple(sorted(groups.values(), key=lambda reason: (-reason.items, reason.code, reason.message)))
