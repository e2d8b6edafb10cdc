"""Pieces of mini-batches, and the book of those that the ledger has: what is left of a plan to be scored.

Pure. The driver fills the book from the ledger, the dispatcher hands out what it leaves.
"""

from collections.abc import Iterator
from typing import NamedTuple

from batchpoint.store.records import LedgerRow


class Piece(NamedTuple):
    """What one worker is given at a time: a whole mini-batch, or a range of its items."""

    mini_batch: int
    #: Index in the plan.
    first_item: int
    items: int

    @property
    def end(self) -> int:
        """Index of the item after its last one."""
        return self.first_item + self.items

    def halves(self) -> tuple["Piece", "Piece"]:
        """Its two halves; the second one is longer by one when they cannot be equal."""
        first = self.items // 2
        return (
            Piece(self.mini_batch, self.first_item, first),
            Piece(self.mini_batch, self.first_item + first, self.items - first),
        )

    def holds(self, other: "Piece") -> bool:
        """True when every item of ``other`` is in it."""
        is_of_it = self.mini_batch == other.mini_batch
        return is_of_it and self.first_item <= other.first_item and other.end <= self.end


class Coverage:
    """The cut of a job's items, and which of them have a row in the ledger; compact, for a million mini-batches."""

    def __init__(self, items: int, mini_batch_size: int) -> None:
        self.items = items
        self.mini_batch_size = mini_batch_size
        self.mini_batches = -(-items // mini_batch_size)
        #: 1 for each mini-batch that is covered from end to end.
        self.done = bytearray(self.mini_batches)
        self.items_succeeded = 0
        self.items_failed = 0
        #: Lines that the rows point to.
        self.rows = 0
        #: The first row with a failed item.
        self.first_failed: LedgerRow | None = None
        #: Mini-batch → (first item, end) of what is covered, for those that are covered in part.
        self._parts: dict[int, list[tuple[int, int]]] = {}
        #: How many of its items that are.
        self._held: dict[int, int] = {}

    def add(self, row: LedgerRow) -> None:
        """Enter a row; rows never overlap."""
        self.items_succeeded += row.succeeded
        self.items_failed += row.failed_items
        self.rows += row.rows
        if row.failed_items and self.first_failed is None:
            self.first_failed = row
        size = self.whole(row.mini_batch).items
        if row.items < size:
            self._parts.setdefault(row.mini_batch, []).append((row.first_item, row.first_item + row.items))
            held = self._held[row.mini_batch] = self._held.get(row.mini_batch, 0) + row.items
            if held < size:
                return
            del self._parts[row.mini_batch], self._held[row.mini_batch]
        self.done[row.mini_batch] = 1

    def whole(self, mini_batch: int) -> Piece:
        """All items of a mini-batch; only the last one may be short."""
        first = mini_batch * self.mini_batch_size
        return Piece(mini_batch, first, min(self.mini_batch_size, self.items - first))

    def in_part(self) -> Iterator[int]:
        """Mini-batches that are covered in part, in order."""
        return iter(sorted(self._parts))

    def gaps(self, mini_batch: int) -> list[Piece]:
        """What is not covered of a mini-batch, in order."""
        if self.done[mini_batch]:
            return []
        whole = self.whole(mini_batch)
        gaps, at = [], whole.first_item
        for first, end in sorted([*self._parts.get(mini_batch, ()), (whole.end, whole.end)]):
            if at < first:
                gaps.append(Piece(mini_batch, at, first - at))
            at = end
        return gaps
