"""The dispatcher: which worker scores which mini-batch, what is tried again, and when the job is over.

A pure core: ``handle`` takes an event and the time and returns actions; ``tick`` looks at deadlines. It owns no
clock, thread, file or process, so that a simulator can drive it through thousands of schedules. The driver calls it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from batchpoint.compute.pool import Slot
from batchpoint.engine.dispatch.crew import Crew, Hand
from batchpoint.engine.messages import (
    Action,
    Cancel,
    EndJob,
    Event,
    Failed,
    Failure,
    GiveUp,
    InitFailed,
    Keep,
    KillWorker,
    NoteFailure,
    PlanReady,
    Ready,
    Score,
    Scored,
    WorkerGone,
)

#: Times that a mini-batch is given back for free after kills from outside; then each counts as a try.
GIVEN_BACK_MAX = 5
#: Seconds of work that one message should carry, and above which nothing is sent ahead. An idle core takes long to
#: wake: tiny mini-batches travel several at a time.
MESSAGE_S = 0.020
AHEAD_S = 0.050
MESSAGE_MAX = 256
#: Weight of the newest measurement in the running mean of seconds for one mini-batch.
NEWEST = 0.2


@dataclass(frozen=True)
class Policy:
    """What the deployment asks of the dispatcher."""

    slots: tuple[Slot, ...]
    #: Executions of one mini-batch at most.
    max_tries: int
    #: Seconds for one run() and for one init().
    timeout_s: float
    init_timeout_s: float
    #: Failed items beyond which the job stops; -1 never.
    error_threshold: int
    #: Longer where every message costs more than a pipe's.
    message_s: float = MESSAGE_S
    ahead_s: float = AHEAD_S


class Dispatcher:
    """Decides; see ``handle`` and ``tick``. Public counters are for progress only."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.items_succeeded = 0
        self.items_failed = 0
        self.settled = 0
        self.failed_attempts = 0
        self.ended = False
        #: The first failure of the user's code: its traceback explains the job.
        self.first_failure: Failure | None = None
        self._crew = Crew(policy.slots, policy.init_timeout_s, policy.timeout_s)
        self._plan: PlanReady | None = None
        self._pending: deque[int] = deque()
        self._attempts: dict[int, int] = {}
        self._tries: dict[int, int] = {}
        self._given_back: dict[int, int] = {}
        self._mean_s: float | None = None

    # ---- what the driver calls ------------------------------------------------------------------------------------

    def begin(self, now: float) -> list[Action]:
        """Start a worker in every slot; they may load the script while the input is listed."""
        return [self._crew.start(slot, now) for slot in self.policy.slots]

    def handle(self, event: Event, now: float) -> list[Action]:
        """What follows from an event. Events of workers that are gone change nothing."""
        if self.ended:
            return []
        if isinstance(event, PlanReady):
            return self._plan_ready(event, now)
        if isinstance(event, Cancel):
            return self._end(EndJob(canceled=True))
        hand = self._crew.get(event.worker)
        if hand is None:
            return []
        if isinstance(event, Scored):
            return self._scored(hand, event, now)
        if isinstance(event, Failed):
            return self._failed(hand, event, now)
        if isinstance(event, Ready):
            return self._ready(hand, now)
        if isinstance(event, InitFailed):
            return self._out_of_turn(hand, now) if hand.ready else self._init_failed(hand, event.failure, now)
        return self._gone(hand, event, now)

    def tick(self, now: float) -> list[Action]:
        """End workers that are past their deadline."""
        actions: list[Action] = []
        for hand in self._crew.late(now):
            if self.ended:
                break
            actions.append(KillWorker(hand.worker))
            actions += self._timed_out(hand, now)
        return actions

    def next_deadline(self) -> float | None:
        """When ``tick`` is due, by the clock that ``now`` comes from."""
        return self._crew.next_deadline()

    def seconds_ahead(self) -> float:
        """How long every worker that has come up is surely busy, as far as the mean tells; 0 when one is idle."""
        mean_s = self._mean_s or 0.0
        return min((len(hand.assigned) for hand in self._crew.hands() if hand.ready), default=0) * mean_s

    def workers(self) -> Iterable[Hand]:
        """Every living worker."""
        return self._crew.hands()

    # ---- the plan -------------------------------------------------------------------------------------------------

    def _plan_ready(self, plan: PlanReady, now: float) -> list[Action]:
        self._plan = plan
        self.settled = len(plan.done)
        self.items_failed, self.items_succeeded = plan.items_failed, plan.items_succeeded
        self.failed_attempts = plan.failed_attempts
        if plan.first_failure is not None:
            self._note_first(plan.first_failure)
        done = frozenset(plan.done)
        given_up = self._remember_tries(plan, done)
        done |= {action.mini_batch for action in given_up}
        self._pending.extend(index for index in range(plan.mini_batches) if index not in done)
        return [*given_up, *(self._over() or self._feed_all(now))]

    def _remember_tries(self, plan: PlanReady, done: frozenset[int]) -> list[GiveUp]:
        """Tries that an earlier driver counted go on counting; a mini-batch that had its last one is given up."""
        given_up = []
        for mini_batch, (tries, failure) in plan.tries.items():
            if mini_batch in done:
                continue
            if tries < max(1, self.policy.max_tries):
                self._tries[mini_batch] = tries
            else:
                given_up.append(self._give_up(mini_batch, failure, tries))
        return given_up

    def _items(self, mini_batch: int) -> int:
        assert self._plan is not None
        return min(self._plan.mini_batch_size, self._plan.items - mini_batch * self._plan.mini_batch_size)

    # ---- workers --------------------------------------------------------------------------------------------------

    def _ready(self, hand: Hand, now: float) -> list[Action]:
        self._crew.became_ready(hand)
        return self._feed(hand, now) + self._start_parked(now)

    def _init_failed(self, hand: Hand, failure: Failure, now: float) -> list[Action]:
        self._note_first(failure)
        actions: list[Action] = [NoteFailure(hand.worker, None, failure), KillWorker(hand.worker)]
        hopeless = self._crew.init_failed(hand, for_good=failure.code == "ScriptUnusable")
        if hopeless:
            return actions + self._end(EndJob(self._init_explained(failure)))
        return actions + self._start_parked(now)

    def _init_explained(self, last: Failure) -> Failure:
        # Once init() has worked, the first failure may be one of run().
        first = last if self._crew.ever_ready or self.first_failure is None else self.first_failure
        if first.code in ("ScriptUnusable", "WorkersKeepDying"):
            return first
        message = "init() failed in every worker"
        return Failure("InitFailed", message + ("." if first.traceback else f": {first.message}"), first.traceback)

    def _gone(self, hand: Hand, event: WorkerGone, now: float) -> list[Action]:
        if not hand.ready:
            if event.own_doing:
                return self._init_failed(hand, _during_init(event.failure), now)
            if self._crew.killed_in_init(hand, GIVEN_BACK_MAX):
                return self._start_parked(now)
            return self._init_failed(hand, _during_init(Failure("WorkersKeepDying", event.failure.message)), now)
        head = hand.assigned[0] if hand.assigned else None
        self._dismiss(hand)
        actions: list[Action] = []
        if head is not None:
            actions = self._blame(hand, head, event, now)
        elif self._crew.idle_deaths > GIVEN_BACK_MAX * len(self.policy.slots):
            return self._end(EndJob(Failure("WorkersKeepDying", event.failure.message)))
        return actions + self._feed_all(now)

    def _blame(self, hand: Hand, head: int, event: WorkerGone, now: float) -> list[Action]:
        """The mini-batch that was running when a worker died pays for it, if the worker died of its own doing."""
        if not event.own_doing and self._give_back(head):
            return []
        return self._count_try(self._unanswered(hand, head, event.failure, now))

    def _unanswered(self, hand: Hand, head: int, failure: Failure, now: float) -> Failed:
        """What a worker would have said of its running mini-batch, had it been able to."""
        seconds = now - hand.since
        return Failed(hand.worker, head, self._attempts[head], failure, seconds, seconds)

    def _give_back(self, mini_batch: int) -> bool:
        """Put a mini-batch back in front at no cost, unless that has happened too often."""
        times = self._given_back[mini_batch] = self._given_back.get(mini_batch, 0) + 1
        if times > GIVEN_BACK_MAX:
            return False
        self._pending.appendleft(mini_batch)
        return True

    def _timed_out(self, hand: Hand, now: float) -> list[Action]:
        if not hand.ready:
            limit = f"{self.policy.init_timeout_s:g} s"
            return self._init_failed(hand, Failure("InitTimeout", f"init() did not return within {limit}."), now)
        head = hand.assigned[0]
        message = f"run() did not return within {self.policy.timeout_s:g} s (retry_settings.timeout)."
        failed = self._unanswered(hand, head, Failure("MiniBatchTimeout", message), now)
        self._dismiss(hand)
        return self._count_try(failed) + self._feed_all(now)

    def _dismiss(self, hand: Hand) -> None:
        """Forget a worker that is gone; what it had not begun goes back to the front, in order."""
        self._pending.extendleft(reversed(list(hand.assigned)[1:]))
        self._crew.lost(hand)

    # ---- mini-batches ---------------------------------------------------------------------------------------------

    def _scored(self, hand: Hand, event: Scored, now: float) -> list[Action]:
        if not self._is_head(hand, event):
            return self._out_of_turn(hand, now)
        self._pop(hand, event.seconds, now)
        size = self._items(event.mini_batch)
        failed = max(0, size - event.results)
        self.items_failed += failed
        self.items_succeeded += size - failed
        self.settled += 1
        tries = self._tries.pop(event.mini_batch, 0) + 1
        self._attempts.pop(event.mini_batch, None)
        actions: list[Action] = [Keep(event, failed, tries)]
        if failed:
            self._note_first(_too_few(event, size))
        return actions + (self._over() or self._feed(hand, now))

    def _failed(self, hand: Hand, event: Failed, now: float) -> list[Action]:
        if not self._is_head(hand, event):
            return self._out_of_turn(hand, now)
        self._pop(hand, event.seconds, now)
        if event.failure.code == "SegmentUnwritable":
            return self._unwritten(hand, event, now)
        return self._count_try(event) + self._feed_all(now)

    def _unwritten(self, hand: Hand, event: Failed, now: float) -> list[Action]:
        """The disk takes no rows: the items are not to blame, so the job ends rather than lose them."""
        spent = event.attempt, event.seconds, event.run_s
        note = NoteFailure(hand.worker, event.mini_batch, event.failure, 0, *spent)
        if self._give_back(event.mini_batch):
            return [note, *self._feed_all(now)]
        message = f"Scored rows cannot be written: {event.failure.message}. Make room there and invoke again."
        return [note, *self._end(EndJob(Failure("SegmentUnwritable", message)))]

    def _pop(self, hand: Hand, seconds: float, now: float) -> None:
        hand.assigned.popleft()
        hand.since = now
        self._crew.idle_deaths = 0
        self._mean_s = seconds if self._mean_s is None else (1 - NEWEST) * self._mean_s + NEWEST * seconds

    def _is_head(self, hand: Hand, event: Scored | Failed) -> bool:
        return (
            bool(hand.assigned)
            and hand.assigned[0] == event.mini_batch
            and event.attempt == self._attempts.get(event.mini_batch)
        )

    def _out_of_turn(self, hand: Hand, now: float) -> list[Action]:
        """Two processes answer as one, or the script wrote to our descriptor: this worker cannot be trusted."""
        failure = Failure("WorkerCrashed", "The worker answered for a mini-batch that it was not given.")
        return [KillWorker(hand.worker), *self._gone(hand, WorkerGone(hand.worker, failure, own_doing=True), now)]

    def _count_try(self, failed: Failed) -> list[Action]:
        mini_batch, failure = failed.mini_batch, failed.failure
        self.failed_attempts += 1
        self._note_first(failure)
        tries = self._tries[mini_batch] = self._tries.get(mini_batch, 0) + 1
        note = NoteFailure(failed.worker, mini_batch, failure, tries, failed.attempt, failed.seconds, failed.run_s)
        if tries < max(1, self.policy.max_tries):
            self._pending.append(mini_batch)
            return [note]
        return [note, self._give_up(mini_batch, failure, tries), *self._over()]

    def _give_up(self, mini_batch: int, failure: Failure, tries: int) -> GiveUp:
        self.settled += 1
        self.items_failed += self._items(mini_batch)
        self._tries.pop(mini_batch, None)
        self._attempts.pop(mini_batch, None)
        return GiveUp(mini_batch, failure, tries)

    def _note_first(self, failure: Failure) -> None:
        if self.first_failure is None or (failure.traceback and not self.first_failure.traceback):
            self.first_failure = failure

    # ---- handing out ----------------------------------------------------------------------------------------------

    def _feed_all(self, now: float) -> list[Action]:
        if self.ended:
            return []
        actions: list[Action] = []
        for hand in self._crew.hands():
            if hand.ready:
                actions += self._feed(hand, now)
        return actions + self._start_parked(now)

    def _feed(self, hand: Hand, now: float) -> list[Action]:
        message, window = self._message_size(), self._window()
        if self.ended or not self._pending or len(hand.assigned) > window - message:
            return []
        if not hand.assigned:
            hand.since = now
        work = []
        for _ in range(min(message, len(self._pending))):
            mini_batch = self._pending.popleft()
            attempt = self._attempts[mini_batch] = self._attempts.get(mini_batch, 0) + 1
            hand.assigned.append(mini_batch)
            work.append((mini_batch, attempt))
        return [Score(hand.worker, tuple(work))]

    def _message_size(self) -> int:
        """Mini-batches in one message: about ``message_s`` of work, ever fewer towards the end of the job."""
        if self._mean_s is None:
            return 1
        guided = len(self._pending) // (4 * len(self.policy.slots))
        return max(1, min(int(self.policy.message_s / max(self._mean_s, 1e-9)), guided, MESSAGE_MAX))

    def _window(self) -> int:
        """Mini-batches that a worker may hold: one message ahead when they are short, else the running one only."""
        ahead = self._mean_s is not None and self._mean_s < self.policy.ahead_s
        return 2 * self._message_size() if ahead else 1

    def _start_parked(self, now: float) -> list[Action]:
        wanted = self._plan is None or bool(self._pending)
        if self.ended or not wanted:
            return []
        return [self._crew.start(slot, now) for slot in self._crew.startable()]

    # ---- the end --------------------------------------------------------------------------------------------------

    def _over(self) -> list[Action]:
        plan = self._plan
        if self.ended or plan is None:
            return []
        threshold = self.policy.error_threshold
        if 0 <= threshold < self.items_failed:
            message = f"{self.items_failed:,} items failed; error_threshold allows {threshold:,}."
            return self._end(EndJob(self._explained("ErrorThresholdExceeded", message)))
        if self.settled < plan.mini_batches:
            return []
        if not self.items_succeeded:
            message = f"None of the {plan.items:,} items was scored successfully."
            return self._end(EndJob(self._explained("NoSuccessfulItems", message)))
        return self._end(EndJob())

    def _explained(self, code: str, message: str) -> Failure:
        first = self.first_failure
        if first is None:
            return Failure(code, message)
        return Failure(code, f"{message} The first failure: {first.message}", first.traceback)

    def _end(self, end: EndJob) -> list[Action]:
        self.ended = True
        return [end]


def _during_init(failure: Failure) -> Failure:
    return Failure(failure.code, f"{failure.message} This happened in init() or while the script was loaded.")


def _too_few(event: Scored, size: int) -> Failure:
    """The failure behind items that run() returned nothing for."""
    return Failure("TooFewResults", f"run() returned {event.results} results for {size} items.")
