"""A world of simulated workers around an unmodified Dispatcher, on seeded dice and a calendar for a clock.

It checks after every action what must hold whatever workers do.
"""

import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from batchpoint.compute.pool import Slot
from batchpoint.engine import messages
from batchpoint.engine.dispatch import GIVEN_BACK_MAX, Dispatcher, Policy
from batchpoint.engine.messages import Action, EndJob, Event, Failure, PlanReady, WorkerGone
from batchpoint.engine.preparation.pieces import Coverage
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
        init_trouble = dice.choice([0.0, 0.0, 0.1, 0.5, 3.0, 30.0])
        init = [1.0, *(init_trouble * dice.random() * dice.choice([0, 1]) for _ in range(4))]
        return cls(tuple(run), tuple(init), dice.choice([0.0001, 0.004, 0.05, 2.0]))


@dataclass
class SimulatedWorker:
    queue: deque[tuple[int, int]] = field(default_factory=deque)
    ready: bool = False
    busy: bool = False


class World:
    """One job from begin to end; ``run`` plays it, ``check_end`` looks back."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.mini_batches = dice.randint(1, 40)
        self.size = dice.randint(1, 5)
        self.items = self.size * self.mini_batches - dice.randrange(self.size)
        threshold = dice.choice([-1, -1, -1, 0, self.items // 3])
        slots = tuple(Slot(number % 2, number // 2) for number in range(dice.randint(1, 5)))
        self.policy = Policy(slots, dice.randint(0, 4), 10.0, 20.0, threshold)
        self.dispatcher = Dispatcher(self.policy)
        self.temper = Temper.drawn(dice)
        self.workers: dict[int, SimulatedWorker] = {}
        self.gone: list[int] = []
        self.seats: dict[int, Slot] = {}
        self.now = 0.0
        self.calendar: list[tuple[float, int, Event]] = []
        self.serial = 0
        #: Mini-batch → (worker, attempt) that holds it now.
        self.outstanding: dict[int, tuple[int, int]] = {}
        self.kept: dict[int, messages.Keep] = {}
        self.given_up: dict[int, messages.GiveUp] = {}
        self.costly: Counter[int] = Counter()
        self.free: Counter[int] = Counter()
        self.seen: Counter[str] = Counter()
        self.done = tuple(number for number in range(self.mini_batches) if dice.random() < 0.2 * (seed % 3 == 0))
        self.end: EndJob | None = None

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
        for number in self.done:
            piece = covered.whole(number)
            covered.add(LedgerRow(*piece, piece.items, 0, piece.items, 1, ()))
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
            self.release(event.worker, event.mini_batch)
            if isinstance(event, messages.Failed) and event.failure is FULL:
                self.free[event.mini_batch] += 1
            elif isinstance(event, messages.Failed):
                self.pay(event.mini_batch, own_doing=True)
        elif isinstance(event, messages.Ready):
            worker.ready = True
        else:
            self.forget(event.worker)
        self.perform(self.dispatcher.handle(event, self.now))
        self.go_on(event.worker)

    def is_lie(self, event: Event) -> bool:
        if isinstance(event, messages.Scored | messages.Failed):
            queue = self.workers[event.worker].queue
            return not queue or queue[0] != (event.mini_batch, event.attempt)
        return isinstance(event, messages.InitFailed) and self.workers[event.worker].ready

    def blame(self, number: int, own_doing: bool) -> None:
        """The running mini-batch pays; the dispatcher must agree, which ``perform`` sees by its tries."""
        worker = self.workers[number]
        if not worker.queue:
            return
        self.pay(worker.queue[0][0], own_doing)

    def pay(self, mini_batch: int, own_doing: bool) -> None:
        self.free[mini_batch] += not own_doing
        self.costly[mini_batch] += own_doing or self.free[mini_batch] > GIVEN_BACK_MAX

    def release(self, number: int, mini_batch: int) -> None:
        worker = self.workers[number]
        worker.queue.popleft()
        worker.busy = False
        assert self.outstanding.pop(mini_batch)[0] == number

    def forget(self, number: int) -> None:
        for mini_batch, _ in self.workers.pop(number).queue:
            assert self.outstanding.pop(mini_batch)[0] == number
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
            self.costly[worker.queue[0][0]] += 1
        self.forget(number)

    def score(self, action: messages.Score) -> None:
        worker = self.workers[action.worker]
        assert worker.ready, "work goes to workers that are ready"
        for (mini_batch, _, _), attempt in action.work:
            assert mini_batch not in self.outstanding, "one worker at a time"
            assert mini_batch not in self.kept and mini_batch not in self.given_up and mini_batch not in self.done
            self.outstanding[mini_batch] = action.worker, attempt
            worker.queue.append((mini_batch, attempt))
        self.go_on(action.worker)

    def go_on(self, number: int) -> None:
        """Begin with the next mini-batch of a worker that is at none."""
        worker = self.workers.get(number)
        if worker is None or worker.busy or not worker.queue:
            return
        worker.busy = True
        mini_batch, attempt = worker.queue[0]
        happening = self.dice.choices(HAPPENINGS, self.temper.run)[0]
        self.seen[happening] += 1
        seconds = self.temper.seconds * self.dice.uniform(0.1, 2.0)
        size = self.size_of(mini_batch)
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
        mini_batch = action.scored.mini_batch
        self.settle(mini_batch)
        self.kept[mini_batch] = action
        assert action.tries == self.costly[mini_batch] + 1 <= max(1, self.policy.max_tries)
        assert action.items_failed == self.size_of(mini_batch) - action.scored.results

    def give_up(self, action: messages.GiveUp) -> None:
        self.settle(action.piece.mini_batch)
        self.given_up[action.piece.mini_batch] = action
        assert action.tries == self.costly[action.piece.mini_batch] == max(1, self.policy.max_tries)

    def settle(self, mini_batch: int) -> None:
        assert mini_batch not in self.outstanding
        assert mini_batch not in self.kept and mini_batch not in self.given_up and mini_batch not in self.done

    # ---- calendar -------------------------------------------------------------------------------------------------

    def later(self, seconds: float, event: Event) -> None:
        self.serial += 1
        heapq.heappush(self.calendar, (self.now + seconds, self.serial, event))

    def size_of(self, mini_batch: int) -> int:
        return min(self.size, self.items - mini_batch * self.size)

    # ---- the end --------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        assert self.end is not None
        dispatcher, settled = self.dispatcher, {*self.kept, *self.given_up, *self.done}
        failed = sum(keep.items_failed for keep in self.kept.values()) + sum(map(self.size_of, self.given_up))
        succeeded = sum(map(self.size_of, [*self.kept, *self.done])) - sum(k.items_failed for k in self.kept.values())
        if self.planned:
            assert (dispatcher.settled, dispatcher.items_failed) == (len(settled), failed)
            assert dispatcher.items_succeeded == succeeded
        assert dispatcher.failed_attempts == sum(self.costly.values())
        failure = self.end.failure
        self.seen["canceled" if self.end.canceled else failure.code if failure else "completed"] += 1
        if failure is None and not self.end.canceled:
            assert len(settled) == self.mini_batches and succeeded
            assert self.policy.error_threshold < 0 or failed <= self.policy.error_threshold
        elif failure is not None and failure.code == "SegmentUnwritable":
            assert max(self.free.values()) > GIVEN_BACK_MAX
        elif failure is not None and failure.code == "ErrorThresholdExceeded":
            assert failed > self.policy.error_threshold >= 0
        elif failure is not None and failure.code == "NoSuccessfulItems":
            assert len(settled) == self.mini_batches and not succeeded

    @property
    def planned(self) -> bool:
        return not any(isinstance(event, PlanReady) for _, _, event in self.calendar)
