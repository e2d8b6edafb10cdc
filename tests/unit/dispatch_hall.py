"""A dispatcher with a hand-made clock, for tests that tell it events and look at what it wants done."""

from collections.abc import Sequence
from typing import TypeVar

from batchpoint.compute.pool import Slot
from batchpoint.engine.dispatch import Dispatcher, Policy
from batchpoint.engine.messages import (
    Action,
    EndJob,
    Event,
    Failed,
    Failure,
    PlanReady,
    Ready,
    Score,
    Scored,
    StartWorker,
    WorkerGone,
)
from batchpoint.engine.preparation.pieces import Coverage, Piece
from batchpoint.store.records import LedgerRow

A = TypeVar("A", bound=Action)

RAISED = Failure("ScriptRaised", "ValueError: bad header (score.py:3)", "Traceback: bad header")
REJECTED = Failure(
    "ItemRejected", "a.csv, column 'x', row 3 (line 4): 'abc' is not a number (double); correct the value"
)
SEGFAULT = Failure("WorkerCrashed", "The worker crashed with SIGSEGV.")
KILLED = Failure("WorkerLost", "The worker was killed from outside (SIGKILL).")
NO_MODEL = Failure("InitFailed", "ValueError: no such model (score.py:9)", "Traceback: no such model")


class Hall:
    """Where the dispatcher stands; remembers every action."""

    def __init__(
        self,
        slots: int = 1,
        *,
        max_tries: int = 3,
        timeout_s: float = 30.0,
        init_timeout_s: float = 600.0,
        error_threshold: int = -1,
        isolate: bool = False,
        pieces_per_worker: int | None = None,
    ) -> None:
        places = tuple(Slot(0, number) for number in range(slots))
        self.policy = Policy(
            places,
            max_tries,
            timeout_s,
            init_timeout_s,
            error_threshold,
            isolate=isolate,
            pieces_per_worker=pieces_per_worker,
        )
        self.dispatcher = Dispatcher(self.policy)
        self.now = 100.0
        self.done: list[Action] = []
        self._take(self.dispatcher.begin(self.now))

    def _take(self, actions: Sequence[Action]) -> list[Action]:
        self.done += actions
        return list(actions)

    def tell(self, event: Event) -> list[Action]:
        return self._take(self.dispatcher.handle(event, self.now))

    def wait(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self._take(self.dispatcher.tick(self.now))

    # ---- common events --------------------------------------------------------------------------------------------

    def plan(self, mini_batches: int, size: int = 10, items: int | None = None) -> list[Action]:
        return self.tell(PlanReady(Coverage(mini_batches * size if items is None else items, size)))

    def ready(self, *workers: int) -> list[Action]:
        return [action for worker in workers for action in self.tell(Ready(worker))]

    def scored(self, worker: int, results: int | None = None, seconds: float = 1.0) -> list[Action]:
        """The worker answers for the piece that it is at."""
        (mini_batch, _, items), attempt = self.running(worker)
        results = items if results is None else results
        return self.tell(Scored(worker, mini_batch, attempt, results, results, 0, 5, 7, seconds))

    def raised(self, worker: int, failure: Failure = RAISED) -> list[Action]:
        piece, attempt = self.running(worker)
        return self.tell(Failed(worker, piece.mini_batch, attempt, failure, 1.0))

    def dies(self, worker: int, failure: Failure = SEGFAULT) -> list[Action]:
        return self.tell(WorkerGone(worker, failure, own_doing=True))

    def is_killed(self, worker: int) -> list[Action]:
        return self.tell(WorkerGone(worker, KILLED, own_doing=False))

    # ---- what is known --------------------------------------------------------------------------------------------

    def running(self, worker: int) -> tuple[Piece, int]:
        """The piece and the attempt that a worker is at."""
        (hand,) = [hand for hand in self.dispatcher.workers() if hand.worker == worker]
        return hand.assigned[0]

    def all(self, kind: type[A]) -> list[A]:
        return only(kind, self.done)

    @property
    def living(self) -> list[int]:
        return [hand.worker for hand in self.dispatcher.workers()]

    @property
    def end(self) -> EndJob | None:
        ends = self.all(EndJob)
        assert len(ends) <= 1
        return ends[0] if ends else None


def only(kind: type[A], actions: Sequence[Action]) -> list[A]:
    return [action for action in actions if isinstance(action, kind)]


def given(actions: Sequence[Action]) -> dict[int, list[int]]:
    """Mini-batches handed out by these actions, by worker."""
    return {score.worker: [piece.mini_batch for piece, _ in score.work] for score in only(Score, actions)}


def pieces(actions: Sequence[Action]) -> list[tuple[int, int]]:
    """Pieces handed out by these actions: (first item, items)."""
    return [(piece.first_item, piece.items) for score in only(Score, actions) for piece, _ in score.work]


def covered(plan: Coverage, *rows: tuple[int, int, int], failed: bool = False) -> Coverage:
    """The plan with ledger rows for these (mini-batch, first item, items)."""
    for mini_batch, first_item, items in rows:
        lost = items if failed else 0
        plan.add(LedgerRow(mini_batch, first_item, items, items - lost, lost, items - lost, 1, ()))
    return plan


def started(actions: Sequence[Action]) -> list[int]:
    """Numbers of the workers that these actions start."""
    return [start.worker for start in only(StartWorker, actions)]
