"""What is left to be handed out, in order, and what is known of its earlier failures.

The dispatcher takes from it and gives back to it. Mini-batches that nobody has touched are no objects, only a place
in the plan: there may be millions.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from batchpoint.engine.messages import Failure
from batchpoint.engine.preparation.pieces import Coverage, Piece

#: Executions that a piece has behind it, and what the last of them failed with.
Past = tuple[int, Failure]


class Agenda:
    """Pieces that wait: those given back first, then the plan, then those that are tried again."""

    def __init__(self, plan: Coverage) -> None:
        self._plan = plan
        self._front: deque[Piece] = deque()
        self._back: deque[Piece] = deque()
        #: 1 for each mini-batch that the plan does not hand out as a whole.
        self._skipped = bytearray(plan.done)
        self._fresh = self._skipped.count(0)
        self._next = 0

    def __len__(self) -> int:
        return len(self._front) + self._fresh + len(self._back)

    def take(self, count: int) -> list[Piece]:
        """The next pieces, as many as are there."""
        taken: list[Piece] = []
        while len(taken) < count:
            if self._front:
                taken.append(self._front.popleft())
            elif self._fresh:
                taken.append(self._take_fresh())
            elif self._back:
                taken.append(self._back.popleft())
            else:
                break
        return taken

    def give_back(self, pieces: Iterable[Piece]) -> None:
        """These come next, in this order: nobody has failed at them."""
        self._front.extendleft(reversed(list(pieces)))

    def put_off(self, pieces: Iterable[Piece]) -> None:
        """These come last."""
        self._back.extend(pieces)

    def leave_out(self, mini_batch: int) -> None:
        """Have a mini-batch that nobody was given not come as a whole."""
        self._fresh -= not self._skipped[mini_batch]
        self._skipped[mini_batch] = 1

    def _take_fresh(self) -> Piece:
        mini_batch = self._skipped.find(0, self._next)
        self._next = mini_batch + 1
        self._fresh -= 1
        plan = self._plan
        size = plan.mini_batch_size
        first = mini_batch * size
        return Piece(mini_batch, first, size if first + size <= plan.items else plan.items - first)


def taken_up(gap: Piece, failed: Mapping[Piece, Past]) -> Iterator[tuple[Piece, Past | None]]:
    """What an earlier driver had made of a gap: the pieces that it was about to hand out, each with its past.

    ``failed`` are the pieces that have failed so often that they were halved, or given up without a row.
    """
    if gap in failed:
        if gap.items == 1:
            yield gap, failed[gap]
            return
        for half in gap.halves():
            yield from taken_up(half, failed)
        return
    inner = max((piece for piece in failed if gap.holds(piece)), key=lambda piece: piece.items, default=None)
    if inner is None:
        around = [failed[piece] for piece in failed if piece.holds(gap)]
        yield gap, max(around, key=lambda past: past[0], default=None)
        return
    before = Piece(gap.mini_batch, gap.first_item, inner.first_item - gap.first_item)
    after = Piece(gap.mini_batch, inner.end, gap.end - inner.end)
    for piece in (before, inner, after):
        if piece.items:
            yield from taken_up(piece, failed)
