"""A million rows in little memory: packed, they are the rows that were entered, under the same rules."""

import random
from dataclasses import replace

from batchpoint.store.memory.packed import PackedRows
from batchpoint.store.records import LedgerRow, Part, Tally
from tests.contract.made import failed, row

PARTS = (Part("1.n.0", 0, 3, 1), Part("1.n.1", 5, 1 << 61, 1 << 32))


def drawn(dice: random.Random) -> LedgerRow:
    """Whole mini-batches mostly; halves, failures, rows in two parts and in none now and then."""
    mini_batch = dice.randrange(30)
    whole = replace(row(mini_batch, segment=f"{dice.randrange(3)}.n.0"), first_item=10 * mini_batch)
    kind = dice.random()
    if kind < 0.6:
        return replace(whole, attempt=dice.randint(1, 2))
    if kind < 0.8:
        return replace(whole, first_item=10 * mini_batch + 5 * dice.randrange(2), items=5, succeeded=5)
    others = (
        replace(failed(mini_batch), first_item=10 * mini_batch),
        replace(whole, parts=PARTS),
        replace(whole, parts=()),
        replace(whole, succeeded=7, failed_items=3, reason_code="TooFewResults", reason="three lack"),
    )
    return dice.choice(others)


def test_packed_rows_are_those_of_a_plain_book() -> None:
    for seed in range(60):
        dice, packed = random.Random(seed), PackedRows()
        book: dict[tuple[int, int], tuple[int, LedgerRow]] = {}
        for _ in range(80):
            entered, epoch = drawn(dice), dice.randint(1, 2)
            if dice.random() < 0.1:
                packed.remove(entered.key)
                book.pop(entered.key, None)
                continue
            stands = book.setdefault(entered.key, (epoch, entered)) == (epoch, entered)
            assert packed.enter(entered, epoch) is stands, seed
        rows = [found for _, (_, found) in sorted(book.items())]
        assert list(packed) == rows, seed
        assert list(packed.failed()) == [found for found in rows if found.failed_items], seed
        assert packed.tally() == Tally(
            mini_batches=len({found.mini_batch for found in rows}),
            items=sum(found.items for found in rows),
            succeeded=sum(found.succeeded for found in rows),
            failed_items=sum(found.failed_items for found in rows),
            rows=sum(found.rows for found in rows),
        )
