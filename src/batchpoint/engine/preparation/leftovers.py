"""What a plan that stands leaves to be done: items without a row in the ledger, and rows for items that never came.

``engine.run`` asks before it scores. Pure, but for the plan's own file.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

from batchpoint.engine.dispatch import reasons
from batchpoint.engine.messages import Failure
from batchpoint.engine.preparation.pieces import Coverage, Piece
from batchpoint.engine.preparation.plan import Plan
from batchpoint.errors import InputUnreadable
from batchpoint.store.records import LedgerRow


def missing_items(plan: Plan, rows: Iterable[LedgerRow]) -> Iterator[bytes]:
    """The items of the plan that none of the ``rows`` covers, in order."""
    covered = Coverage(plan.items, plan.mini_batch_size)
    for row in rows:
        covered.add(row)
    for mini_batch in range(plan.mini_batches):
        gaps = covered.gaps(mini_batch)
        paths = plan.paths(mini_batch) if gaps else []
        for gap in gaps:
            first = gap.first_item - plan.first_item(mini_batch)
            yield from paths[first : first + gap.items]


def lost_rows(plan: Plan, reasons_of: Mapping[bytes, str]) -> Iterator[LedgerRow]:
    """A failed row for each item that could not be fetched; it costs no other item."""
    for index, item in enumerate(plan.all_items() if reasons_of else ()):
        if item in reasons_of:
            failure = Failure(InputUnreadable.code, f"{os.fsdecode(item)} could not be fetched: {reasons_of[item]}")
            piece = Piece(index // plan.mini_batch_size, index, 1)
            yield LedgerRow(*piece, 0, 1, 0, 0, (), failure.code, failure.message, *reasons.cause(failure))
