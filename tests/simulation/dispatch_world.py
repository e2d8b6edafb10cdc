"""A world of simulated workers around an unmodified Dispatcher, on seeded dice and a calendar for a clock.

It checks after every action what must hold whatever workers do.
"""

import heapq
import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from batchpoint.compute.pool import Slot
from batchpoint.engine import messages
from batchpoint.engine.dispatch import GIVEN_BACK_MAX, Dispatcher, Policy
from batchpoint.engine.messages import Action, EndJob, Event, Failure, PlanReady, WorkerGone
from batchpoint.engine.preparation.pieces import Coverage, Piece
from batchpoint.store.records import LedgerRow

RAISED = Failure("ScriptRaised", "ValueError: bad header", "Traceback: bad header")
CRASHED = Failure("WorkerCrashed", "SIGSEGV")
FULL = Failure("SegmentUnwritable", "No space left on device")
LOST = Failure("WorkerLost", "SIGKILL")
INIT_RAISED = Failure("InitFailed", "ValueError: no model", "Traceback: no model")

#: What one execution may come to.
HAPPENINGS = (
    "scores",
    "scores too few",
    "raises",
    "dies",
    "is killed",
    "hangs",
    "answers late",
    "lies",
    "disk is full",
)


@dataclass
class Temper:
    """How much goes wrong in one world."""

    run: tuple[float, ...]
    #: Weights of: comes up, raises, dies, is killed, hangs.
    init: tuple[float, ...]
    seconds: float

    @classmethod
    def drawn(cls, dice: random.Random) -> "Temper":
        trouble = dice.choice([0.0, 0.05, 0.3, 0.9])
        run = [1.0, *(trouble * dice.random() * dice.choice([0, 1]) for _ in HAPPENINGS[1:])]
        if dice.random() < 0.03:
            run[0] = 0.0001
        if dice.random() < 0.02:
            run[HAPPENINGS.index("disk is full")] = 50.0
        init_trouble = dice.choice([0.0, 0.0, 0.1, 0.5, 3.0, 30.0])
        init = [1.0, *(init_trouble * dice.random() * dice.choice([0, 1]) for _ in range(4))]
        return cls(tuple(run), tuple(init), dice.choice([0.0001, 0.004, 0.05, 2.0]))

    @classmethod
    def of_guilty_items(cls, dice: random.Random) -> "Temper":
        """Nothing goes wrong but by guilty items, and in some worlds by kills from outside."""
        kills = dice.choice([0.0, 0.0, 0.1, 0.5])
        run = [kills if happening == "is killed" else 0.0 for happening in HAPPENINGS]
        return cls((1.0, *run[1:]), (1.0, 0.0, 0.0, 0.0, 0.0), dice.choice([0.0001, 0.004, 0.05, 2.0]))


@dataclass
class SimulatedWorker:
    queue: deque[tuple[Piece, int]] = field(default_factory=deque)
    ready: bool = False
    busy: bool = False
    given: int = 0
    retiring: bool = False


class World:
    """One job from begin to end; ``run`` plays it, ``check_end`` looks back."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        #: Every third world: what goes wrong is the doing of certain items, each time that they are run.
        self.has_culprits = seed % 3 == 1
        self.mini_batches = dice.randint(1, 6 if self.has_culprits else 40)
        self.size = dice.randint(1, 40 if self.has_culprits else 5)
        self.items = self.size * self.mini_batches - dice.randrange(self.size)
        self.culprits = self.drawn_culprits() if self.has_culprits else {}
        self.policy = self.drawn_policy()
        self.dispatcher = Dispatcher(self.policy)
        self.temper = Temper.of_guilty_items(dice) if self.has_culprits else Temper.drawn(dice)
        self.workers: dict[int, SimulatedWorker] = {}
        self.gone: list[int] = []
        self.seats: dict[int, Slot] = {}
        self.now = 0.0
        self.calendar: list[tuple[float, int, Event]] = []
        self.serial = 0
        #: Piece → (worker, attempt) that holds it now.
        self.outstanding: dict[Piece, tuple[int, int]] = {}
        #: Every (mini-batch, attempt) that was ever handed out.
        self.handed: set[tuple[int, int]] = set()
        self.kept: dict[Piece, messages.Keep] = {}
        self.given_up: dict[Piece, messages.GiveUp] = {}
        #: Item → failed executions that it took part in.
        self.costs: Counter[int] = Counter()
        self.failed_executions = 0
        #: Mini-batch → executions of it and its pieces that were begun.
        self.executions: Counter[int] = Counter()
        self.free: Counter[Piece] = Counter()
        self.seen: Counter[str] = Counter()
        #: Ledger rows of an earlier driver, and the items that are settled.
        self.rows = self.drawn_rows() if seed % 3 == 0 else []
        self.settled = {item for row in self.rows for item in range(row.first_item, row.first_item + row.items)}
        self.end: EndJob | None = None

    def drawn_policy(self) -> Policy:
        dice = self.dice
        threshold = dice.choice([-1, -1, -1, 0, self.items // 3])
        slots = tuple(Slot(number % 2, number // 2) for number in range(dice.randint(1, 5)))
        isolates, per_worker = dice.random() < 0.7, dice.choice([None, None, None, 1, 3, 20])
        tries = dice.randint(0, 4)
        return Policy(slots, tries, 10.0, 20.0, threshold, isolate=isolates, pieces_per_worker=per_worker)

    def drawn_culprits(self) -> dict[int, str]:
        """Item → what it does to those who run it."""
        share = self.dice.choice([0.0, 0.01, 0.03, 0.3, 1.0])
        ways = ("raises", "dies", "hangs")
        return {item: self.dice.choice(ways) for item in range(self.items) if self.dice.random() < share}

    def drawn_rows(self) -> list[LedgerRow]:
        """What an earlier driver has entered: whole mini-batches and pieces of others."""
        covered, rows = Coverage(self.items, self.size), []
        for number in range(self.mini_batches):
            mini_batch, first, items = covered.whole(number)
            drawn = self.dice.random()
            if 0.2 < drawn < 0.4 and items > 1:
                first, items = first + self.dice.randrange(items), 1
            if drawn < 0.4:
                rows.append(LedgerRow(mini_batch, first, items, items, 0, items, 1, ()))
        return rows

    # ---- play -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.perform(self.dispatcher.begin(self.now))
        self.later(self.dice.choice([0.0, 0.5, 50.0]), self.plan())
        if self.dice.random() < 0.1:
            self.later(self.dice.uniform(0, 30), messages.Cancel())
        for _ in range(20_000):
            if self.end is not None:
                return
            self.step()
        raise AssertionError("the job does not end")

    def plan(self) -> PlanReady:
        covered = Coverage(self.items, self.size)
        for row in self.rows:
            covered.add(row)
        return PlanReady(covered)

    def step(self) -> None:
        deadline = self.dispatcher.next_deadline()
        if deadline is not None and (not self.calendar or deadline < self.calendar[0][0]):
            self.now = max(self.now, deadline)
            self.seen["deadline"] += 1
            self.perform(self.dispatcher.tick(self.now))
            return
        assert self.calendar, "nobody will ever say anything, and the job has not ended"
        at, _, event = heapq.heappop(self.calendar)
        self.now = max(self.now, at)
        if not isinstance(event, PlanReady | messages.Cancel):
            self.happen(event)
        else:
            self.perform(self.dispatcher.handle(event, self.now))

    def happen(
        self, event: "messages.Ready | messages.InitFailed | messages.Scored | messages.Failed | WorkerGone"
    ) -> None:
        worker = self.workers.get(event.worker)
        if worker is None:
            self.seen["stale"] += 1
            assert self.dispatcher.handle(event, self.now) == [], "a worker that is gone has no say"
            return
        lie = self.is_lie(event)
        self.seen["lie"] += lie
        if isinstance(event, WorkerGone) or lie:
            self.blame(event.worker, own_doing=lie or (isinstance(event, WorkerGone) and event.own_doing))
            self.forget(event.worker)
        elif isinstance(event, messages.Scored | messages.Failed):
            piece = self.release(event.worker)
            if isinstance(event, messages.Failed) and event.failure is FULL:
                self.free[piece] += 1
            elif isinstance(event, messages.Failed):
                self.pay(piece, own_doing=True)
        elif isinstance(event, messages.Ready):
            worker.ready = True
        else:
            self.forget(event.worker)
        self.perform(self.dispatcher.handle(event, self.now))
        self.go_on(event.worker)

    def is_lie(self, event: Event) -> bool:
        if isinstance(event, messages.Scored | messages.Failed):
            queue = self.workers[event.worker].queue
            return not queue or (queue[0][0].mini_batch, queue[0][1]) != (event.mini_batch, event.attempt)
        return isinstance(event, messages.InitFailed) and self.workers[event.worker].ready

    def blame(self, number: int, own_doing: bool) -> None:
        """The running piece pays; the dispatcher must agree, which ``perform`` sees by its tries."""
        worker = self.workers[number]
        if worker.queue:
            self.pay(worker.queue[0][0], own_doing)

    def pay(self, piece: Piece, own_doing: bool) -> None:
        self.free[piece] += not own_doing
        if own_doing or any(times > GIVEN_BACK_MAX for other, times in self.free.items() if other.holds(piece)):
            self.costs.update(items_of(piece))
            self.failed_executions += 1

    def release(self, number: int) -> Piece:
        worker = self.workers[number]
        piece, _ = worker.queue.popleft()
        worker.busy = False
        assert self.outstanding.pop(piece)[0] == number
        return piece

    def forget(self, number: int) -> None:
        for piece, _ in self.workers.pop(number).queue:
            assert self.outstanding.pop(piece)[0] == number
        self.gone.append(number)

    # ---- what the dispatcher wants --------------------------------------------------------------------------------

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            assert self.end is None, "nothing follows the end"
            self.seen[type(action).__name__] += 1
            if isinstance(action, messages.StartWorker):
                self.start(action)
            elif isinstance(action, messages.KillWorker):
                self.kill(action.worker)
            elif isinstance(action, messages.Score):
                self.score(action)
            elif isinstance(action, messages.RetireWorker):
                self.retire(action.worker)
            elif isinstance(action, messages.Keep):
                self.keep(action)
            elif isinstance(action, messages.GiveUp):
                self.give_up(action)
            elif isinstance(action, EndJob):
                self.end = action

    def start(self, action: messages.StartWorker) -> None:
        assert action.worker not in self.seats, "numbers are never used twice"
        taken = [self.seats[number] for number in self.workers]
        assert action.slot not in taken, "one worker in each slot"
        self.seats[action.worker] = action.slot
        self.workers[action.worker] = SimulatedWorker()
        happening = self.dice.choices(("comes up", "raises", "dies", "is killed", "hangs"), self.temper.init)[0]
        self.seen[f"init {happening}"] += 1
        seconds = self.dice.choice([0.01, 1.0, 19.0])
        number = action.worker
        if happening == "comes up":
            self.later(seconds, messages.Ready(number))
        elif happening == "raises":
            self.later(seconds, messages.InitFailed(number, INIT_RAISED))
        elif happening != "hangs":
            self.later(seconds, self.death(number, happening))

    def kill(self, number: int) -> None:
        worker = self.workers.get(number)
        if worker is None:
            return
        if worker.queue:
            self.pay(worker.queue[0][0], own_doing=True)
        self.forget(number)

    def retire(self, number: int) -> None:
        worker = self.workers[number]
        assert not worker.queue and not worker.retiring and worker.given == self.policy.pieces_per_worker
        worker.retiring = True
        if self.dice.random() < 0.9:
            self.later(self.dice.choice([0.01, 1.0, 9.0]), self.death(number, "dies"))
        else:
            self.seen["shutdown hangs"] += 1

    def score(self, action: messages.Score) -> None:
        worker = self.workers[action.worker]
        assert worker.ready, "work goes to workers that are ready"
        for piece, attempt in action.work:
            held = {item for other in self.outstanding for item in items_of(other)}
            assert not held & set(items_of(piece)), "one worker at a time"
            assert not self.settled & set(items_of(piece)), "what is settled is not scored again"
            assert (piece.mini_batch, attempt) not in self.handed, "an answer names one execution"
            self.handed.add((piece.mini_batch, attempt))
            self.outstanding[piece] = action.worker, attempt
            worker.queue.append((piece, attempt))
            worker.given += 1
        assert worker.given <= (self.policy.pieces_per_worker or math.inf) and not worker.retiring
        self.go_on(action.worker)

    def go_on(self, number: int) -> None:
        """Begin with the next mini-batch of a worker that is at none."""
        worker = self.workers.get(number)
        if worker is None or worker.busy or not worker.queue:
            return
        worker.busy = True
        piece, attempt = worker.queue[0]
        self.executions[piece.mini_batch] += 1
        happening = self.drawn_happening(piece)
        self.seen[happening] += 1
        mini_batch, size = piece.mini_batch, piece.items
        seconds = self.temper.seconds * self.dice.uniform(0.1, 2.0)
        results = self.dice.randrange(size) if happening == "scores too few" else size
        scored = messages.Scored(number, mini_batch, attempt, results, results, 0, 1, 2, seconds)
        if happening.startswith("scores"):
            self.later(seconds, scored)
        elif happening == "answers late":
            self.later(self.policy.timeout_s + 1, scored)
        elif happening in ("raises", "disk is full"):
            failure = RAISED if happening == "raises" else FULL
            self.later(seconds, messages.Failed(number, mini_batch, attempt, failure, seconds))
        elif happening == "lies":
            self.later(seconds, self.lie(number, mini_batch, attempt))
        elif happening != "hangs":
            self.later(seconds, self.death(number, happening))

    def drawn_happening(self, piece: Piece) -> str:
        for item in items_of(piece):
            if item in self.culprits:
                return self.culprits[item]
        happening = self.dice.choices(HAPPENINGS, self.temper.run)[0]
        if self.has_culprits and happening == "is killed" and self.free[piece] >= GIVEN_BACK_MAX:
            return "scores"
        return happening

    def lie(self, number: int, mini_batch: int, attempt: int) -> Event:
        other = (mini_batch + 1) % (self.mini_batches + 1)
        return self.dice.choice(
            [
                messages.Scored(number, other, attempt, 9, 9, 0, 1, 2, 0.1),
                messages.Scored(number, mini_batch, attempt + 1, 9, 9, 0, 1, 2, 0.1),
                messages.Failed(number, other, attempt, RAISED, 0.1),
                messages.InitFailed(number, INIT_RAISED),
            ]
        )

    def death(self, number: int, happening: str) -> Event:
        own = happening == "dies"
        return WorkerGone(number, CRASHED if own else LOST, own_doing=own)

    def keep(self, action: messages.Keep) -> None:
        piece = action.piece
        self.settle(piece)
        self.kept[piece] = action
        assert action.tries == self.cost(piece) + 1 <= self.tries_max(piece)
        assert action.items_failed == piece.items - action.scored.results

    def give_up(self, action: messages.GiveUp) -> None:
        piece = action.piece
        self.settle(piece)
        self.given_up[piece] = action
        assert action.tries == self.cost(piece) >= self.policy.tries
        assert piece.items == 1 or not self.policy.isolate, "a single item is given up, and no other"
        if not self.policy.isolate:
            assert action.tries == self.policy.tries

    def settle(self, piece: Piece) -> None:
        assert piece not in self.outstanding
        assert not self.settled & set(items_of(piece))
        self.settled.update(items_of(piece))

    def cost(self, piece: Piece) -> int:
        (cost,) = {self.costs[item] for item in items_of(piece)}
        return cost

    def tries_max(self, piece: Piece) -> int:
        """One execution for each time that its mini-batch can be halved comes on top."""
        return self.policy.tries + (levels(self.size_of(piece.mini_batch)) if self.policy.isolate else 0)

    # ---- calendar -------------------------------------------------------------------------------------------------

    def later(self, seconds: float, event: Event) -> None:
        self.serial += 1
        heapq.heappush(self.calendar, (self.now + seconds, self.serial, event))

    def size_of(self, mini_batch: int) -> int:
        return min(self.size, self.items - mini_batch * self.size)

    # ---- the end --------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        assert self.end is not None
        dispatcher = self.dispatcher
        failed = sum(keep.items_failed for keep in self.kept.values()) + sum(piece.items for piece in self.given_up)
        succeeded = len(self.settled) - failed
        if self.planned:
            assert (dispatcher.settled, dispatcher.items_failed) == (self.settled_mini_batches(), failed)
            assert dispatcher.items_succeeded == succeeded
        assert dispatcher.failed_attempts == self.failed_executions
        self.check_ending(failed, succeeded)
        if self.has_culprits and self.policy.isolate:
            self.check_isolation()

    def settled_mini_batches(self) -> int:
        of = Counter(item // self.size for item in self.settled)
        return sum(of[number] == self.size_of(number) for number in range(self.mini_batches))

    def check_isolation(self) -> None:
        """The guilty items are given up, all others kept, and it took no more executions than halving takes."""
        lost = {piece.first_item for piece in self.given_up}
        assert lost <= set(self.culprits), "no innocent item is given up"
        if len(self.settled) == self.items:
            assert lost == set(self.culprits)
            self.seen["isolated"] += bool(lost)
        if any(self.free.values()):
            return
        for number, executions in self.executions.items():
            guilty = sum(item // self.size == number for item in self.culprits)
            tries = self.policy.tries if guilty else 1
            assert executions <= tries + 2 * guilty * levels(self.size_of(number))

    def check_ending(self, failed: int, succeeded: int) -> None:
        assert self.end is not None
        failure = self.end.failure
        self.seen["canceled" if self.end.canceled else failure.code if failure else "completed"] += 1
        if failure is None and not self.end.canceled:
            assert len(self.settled) == self.items and succeeded
            assert self.policy.error_threshold < 0 or failed <= self.policy.error_threshold
        elif failure is not None and failure.code == "SegmentUnwritable":
            assert max(self.free.values()) > GIVEN_BACK_MAX
        elif failure is not None and failure.code == "ErrorThresholdExceeded":
            assert failed > self.policy.error_threshold >= 0
        elif failure is not None and failure.code == "NoSuccessfulItems":
            assert len(self.settled) == self.items and not succeeded

    @property
    def planned(self) -> bool:
        return not any(isinstance(event, PlanReady) for _, _, event in self.calendar)


def items_of(piece: Piece) -> range:
    return range(piece.first_item, piece.end)


def levels(items: int) -> int:
    """How often so many items can be halved."""
    return math.ceil(math.log2(items))
