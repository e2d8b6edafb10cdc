"""What a plan that stands leaves to be done: items without a row in the ledger, and rows for items that never came.

``engine.run`` asks before it scores. Pure, but for the plan's own file.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

from batchpoint.engine.dispatch import reasons
from batchpoint.engine.messages import Failure
from batchpoint.engine.preparation.pieces import Coverage, Piece
from batchpoint.engine.preparation.plan import Plan
from batchpoint.entities.tables.parts import file_of
from batchpoint.errors import InputUnreadable
from batchpoint.store.records import LedgerRow


def missing_items(plan: Plan, rows: Iterable[LedgerRow]) -> Iterator[bytes]:
    """The items of the plan that none of the ``rows`` covers, in order; each may be a part of a file."""
    for _, item in _missing(plan, rows):
        yield item


def lost_rows(plan: Plan, rows: Iterable[LedgerRow], reasons_of: Mapping[bytes, str]) -> Iterator[LedgerRow]:
    """A failed row for each missing item whose file could not be fetched, and why that is so by file.

    It costs no other item, and no part of the file that was scored before.
    """
    for index, item in _missing(plan, rows) if reasons_of else ():
        file = file_of(item)
        if file in reasons_of:
            failure = Failure(InputUnreadable.code, f"{os.fsdecode(file)} could not be fetched: {reasons_of[file]}")
            piece = Piece(index // plan.mini_batch_size, index, 1)
            yield LedgerRow(*piece, 0, 1, 0, 0, (), failure.code, failure.message, *reasons.cause(failure))


def _missing(plan: Plan, rows: Iterable[LedgerRow]) -> Iterator[tuple[int, bytes]]:
    """(index, item) of what none of the ``rows`` covers."""
    covered = Coverage(plan.items, plan.mini_batch_size)
    for row in rows:
        covered.add(row)
    for mini_batch in range(plan.mini_batches):
        gaps = covered.gaps(mini_batch)
        paths = plan.paths(mini_batch) if gaps else []
        for gap in gaps:
            first = gap.first_item - plan.first_item(mini_batch)
            yield from enumerate(paths[first : first + gap.items], gap.first_item)
