"""``PackedRows``: the rows of one revision in memory, so small that there may be a million of them.

``MemoryLedger`` keeps them so. Nearly every row is that of a mini-batch without failures and with one part or none: it
is a few numbers in one long array, found by its mini-batch. The others are kept as the objects that they are.
"""

from array import array
from collections.abc import Iterator

from batchpoint.store.records import LedgerRow, Part, Tally

#: Numbers of a packed row: first item, items, rows, attempt, epoch, segment (counted from 1), offset, length, checksum.
_WIDTH = 9
_ITEMS, _ROWS = 1, 2


class PackedRows:
    """Rows by their key, each with the epoch of the claim that entered it."""

    def __init__(self) -> None:
        #: ``_WIDTH`` numbers for each mini-batch; all of them 0 where it has no packed row.
        self._cells = array("q")
        self._segments = [""]
        self._numbers: dict[str, int] = {}
        #: Failed rows, those with several parts, and further ones of a mini-batch.
        self._others: dict[tuple[int, int], tuple[int, LedgerRow]] = {}

    def enter(self, row: LedgerRow, epoch: int) -> bool:
        """Keep the row unless its key is taken; answers whether this very row stands there, entered by this claim."""
        found = self._found(row.key)
        if found is None:
            self._keep(row, epoch)
            return True
        return found == (epoch, row)

    def remove(self, key: tuple[int, int]) -> None:
        """Take out the row with this key, if there is one."""
        cell = self._cell(key[0])
        if cell[_ITEMS] and cell[0] == key[1]:
            self._cells[key[0] * _WIDTH : (key[0] + 1) * _WIDTH] = array("q", bytes(8 * _WIDTH))
        else:
            self._others.pop(key, None)

    def __iter__(self) -> Iterator[LedgerRow]:
        """The rows in output order."""
        keys = iter(sorted(self._others))
        key = next(keys, None)
        for mini_batch in range(len(self._cells) // _WIDTH):
            cell = self._cell(mini_batch)
            if cell[_ITEMS]:
                while key is not None and key < (mini_batch, cell[0]):
                    yield self._others[key][1]
                    key = next(keys, None)
                yield self._unpacked(mini_batch, cell)
        while key is not None:
            yield self._others[key][1]
            key = next(keys, None)

    def failed(self) -> Iterator[LedgerRow]:
        """Those with failed items, in output order."""
        for _, (_, row) in sorted(self._others.items()):
            if row.failed_items:
                yield row

    def tally(self) -> Tally:
        """Sums over the rows."""
        items = self._cells[_ITEMS::_WIDTH]
        others = [row for _, row in self._others.values()]
        whole = sum(items)
        return Tally(
            mini_batches=len(items) - items.count(0) + len(self._mini_batches_of_others_alone()),
            items=whole + sum(row.items for row in others),
            succeeded=whole + sum(row.succeeded for row in others),
            failed_items=sum(row.failed_items for row in others),
            rows=sum(self._cells[_ROWS::_WIDTH]) + sum(row.rows for row in others),
        )

    def _mini_batches_of_others_alone(self) -> set[int]:
        return {mini_batch for mini_batch, *_ in self._others if not self._cell(mini_batch)[_ITEMS]}

    def _found(self, key: tuple[int, int]) -> tuple[int, LedgerRow] | None:
        cell = self._cell(key[0])
        if cell[_ITEMS] and cell[0] == key[1]:
            return cell[4], self._unpacked(key[0], cell)
        return self._others.get(key)

    def _keep(self, row: LedgerRow, epoch: int) -> None:
        if not _is_plain(row) or self._cell(row.mini_batch)[_ITEMS]:
            self._others[row.key] = epoch, row
            return
        place = row.mini_batch * _WIDTH
        if place >= len(self._cells):
            self._cells.frombytes(bytes(8 * (place + _WIDTH - len(self._cells))))
        part = (0, 0, 0, 0)
        for one in row.parts:
            part = self._number(one.segment), one.offset, one.length, one.crc
        found = row.first_item, row.items, row.rows, row.attempt, epoch, *part
        self._cells[place : place + _WIDTH] = array("q", found)

    def _number(self, segment: str) -> int:
        number = self._numbers.setdefault(segment, len(self._segments))
        if number == len(self._segments):
            self._segments.append(segment)
        return number

    def _cell(self, mini_batch: int) -> "array[int]":
        return self._cells[mini_batch * _WIDTH : (mini_batch + 1) * _WIDTH] or _NOTHING

    def _unpacked(self, mini_batch: int, cell: "array[int]") -> LedgerRow:
        first_item, items, rows, attempt, _, segment, offset, length, crc = cell
        parts = (Part(self._segments[segment], offset, length, crc),) if segment else ()
        return LedgerRow(mini_batch, first_item, items, items, 0, rows, attempt, parts)


_NOTHING = array("q", bytes(8 * _WIDTH))


def _is_plain(row: LedgerRow) -> bool:
    says = row.reason_code or row.reason or row.error_type or row.fingerprint
    return not says and not row.failed_items and row.succeeded == row.items > 0 and len(row.parts) <= 1
