"""The crew: which worker sits in which slot, what it was given, and which slots may get a new one.

The dispatcher's book-keeping of workers, as pure as the dispatcher itself.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from batchpoint.compute.pool import Slot
from batchpoint.engine.messages import StartWorker
from batchpoint.engine.preparation.pieces import Piece

#: Failed init() calls after which a slot gets no new worker.
INIT_TRIES = 3


@dataclass(slots=True)
class Hand:
    """One living worker."""

    worker: int
    slot: Slot
    #: When init(), the run() at the head of ``assigned`` or shutdown() began.
    since: float
    ready: bool = False
    #: Pieces that it was given and has not answered, oldest first, each with its attempt.
    assigned: deque[tuple[Piece, int]] = field(default_factory=deque)
    #: Pieces that it was ever given.
    given: int = 0
    #: True once it was told to end.
    retiring: bool = False


class Crew:
    """All workers of a job, by slot."""

    def __init__(self, slots: tuple[Slot, ...], init_timeout_s: float, timeout_s: float) -> None:
        self._slots = slots
        self._init_timeout_s = init_timeout_s
        self._timeout_s = timeout_s
        self._hands: dict[int, Hand] = {}
        self._started = 0
        #: True once any init() has returned.
        self.ever_ready = False
        self._init_failures = dict.fromkeys(slots, 0)
        self._init_kills = dict.fromkeys(slots, 0)
        #: Slots that are empty since there is nothing to do in them.
        self._spare: set[Slot] = set()
        #: Deaths of workers that had nothing to do, since the last answer of any worker.
        self.idle_deaths = 0

    def start(self, slot: Slot, now: float) -> StartWorker:
        """Seat a new worker in a slot."""
        worker, self._started = self._started, self._started + 1
        self._hands[worker] = Hand(worker, slot, now)
        self._spare.discard(slot)
        return StartWorker(worker, slot)

    def get(self, worker: int) -> Hand | None:
        """The worker with this number, unless it is gone."""
        return self._hands.get(worker)

    def hands(self) -> Iterable[Hand]:
        """Every living worker."""
        return self._hands.values()

    def became_ready(self, hand: Hand) -> None:
        """init() returned."""
        hand.ready = True
        self.ever_ready = True
        self._init_failures[hand.slot] = self._init_kills[hand.slot] = 0

    def init_failed(self, hand: Hand, *, for_good: bool) -> bool:
        """Count a failed init(); True when no worker can ever be expected to come up."""
        del self._hands[hand.worker]
        self._init_failures[hand.slot] += 1
        if self.ever_ready:
            return not self._hands and all(count >= INIT_TRIES for count in self._init_failures.values())
        failed = sum(1 for count in self._init_failures.values() if count)
        # Where most slots are not needed, a second one is asked before init() is held to be at fault.
        return for_good or failed >= max(len(self._slots) - len(self._spare), min(2, len(self._slots)))

    def killed_in_init(self, hand: Hand, free: int) -> bool:
        """Count a kill from outside during init(); False when this slot has had its ``free`` ones in a row."""
        self._init_kills[hand.slot] += 1
        if self._init_kills[hand.slot] > free:
            return False
        del self._hands[hand.worker]
        return True

    def send_home(self, hand: Hand) -> None:
        """A worker that has not come up is not needed: its slot stays empty until there is work for it."""
        self.left(hand)
        self._spare.add(hand.slot)

    def left(self, hand: Hand) -> None:
        """A worker that never came up is gone, through nobody's fault: its slot is free."""
        del self._hands[hand.worker]

    def lost(self, hand: Hand) -> None:
        """A worker that had come up is gone."""
        del self._hands[hand.worker]
        if not hand.assigned and not hand.retiring:
            self.idle_deaths += 1

    def startable(self) -> list[Slot]:
        """Empty slots that may get a worker; one whose init() failed waits until another slot has shown that it can."""
        taken = {hand.slot for hand in self._hands.values()}
        limit = INIT_TRIES if self.ever_ready else 1
        return [slot for slot in self._slots if slot not in taken and self._init_failures[slot] < limit]

    def listen(self, now: float) -> None:
        """From now on workers are heard: one that prints much in init() may have waited for that."""
        for hand in self._hands.values():
            if not hand.ready:
                hand.since = now

    def late(self, now: float) -> list[Hand]:
        """Workers past their deadline."""
        return [hand for hand in self._hands.values() if (due := self._deadline(hand)) is not None and due <= now]

    def next_deadline(self) -> float | None:
        """The earliest deadline of any worker."""
        return min((due for hand in self._hands.values() if (due := self._deadline(hand)) is not None), default=None)

    def _deadline(self, hand: Hand) -> float | None:
        if not hand.ready:
            return hand.since + self._init_timeout_s
        return hand.since + self._timeout_s if hand.assigned or hand.retiring else None
