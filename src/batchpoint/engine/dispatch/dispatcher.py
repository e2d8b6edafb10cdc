"""The dispatcher: which worker scores which piece, what is tried again or halved, and when the job is over.

A pure core: ``handle`` takes an event and the time and returns actions; ``tick`` looks at deadlines. It owns no
clock, thread, file or process, so that a simulator can drive it through thousands of schedules. The driver calls it.
"""

from collections.abc import Iterable

from batchpoint.engine.dispatch.agenda import Agenda, Past, taken_up
from batchpoint.engine.dispatch.crew import Crew, Hand
from batchpoint.engine.dispatch.policy import Policy
from batchpoint.engine.messages import (
    Action,
    Cancel,
    EndJob,
    Event,
    Failed,
    Failure,
    GiveUp,
    HoldBack,
    InitFailed,
    Keep,
    KillWorker,
    NoteFailure,
    PlanReady,
    Ready,
    RetireWorker,
    Score,
    Scored,
    WorkerGone,
)
from batchpoint.engine.preparation.pieces import Coverage, Piece
from batchpoint.errors import NoSpaceLeft

#: Times that a piece is given back for free after kills from outside; then each counts as a try.
GIVEN_BACK_MAX = 5
#: Pieces in one message at most.
MESSAGE_MAX = 256
#: What a worker says of a file that it cannot read, or that does not fit the model: another try changes nothing.
ITEM_REJECTED = "ItemRejected"
#: Weight of the newest measurement in the running mean of seconds for one mini-batch.
NEWEST = 0.2


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
        self._plan: Coverage | None = None
        self._agenda = Agenda(Coverage(0, 1))
        #: Mini-batch → times that it or a piece of it was handed out, until it is settled.
        self._attempts: dict[int, int] = {}
        #: Mini-batch → items that are not settled, for those in pieces.
        self._left: dict[int, int] = {}
        #: Piece → failed executions that its items took part in.
        self._tries: dict[Piece, int] = {}
        self._given_back: dict[Piece, int] = {}
        self._mean_s: float | None = None
        #: True while nothing is handed out, since there is no room for what would come back.
        self._is_held = False

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

    def go_on(self, now: float) -> list[Action]:
        """There is room again."""
        self._is_held = False
        return self._feed_all(now)

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

    def _plan_ready(self, ready: PlanReady, now: float) -> list[Action]:
        self._plan = plan = ready.covered
        self.settled = plan.done.count(1)
        self.items_failed, self.items_succeeded = plan.items_failed, plan.items_succeeded
        self.failed_attempts = ready.failed_attempts
        if ready.first_failure is not None:
            self._note_first(ready.first_failure)
        self._agenda = Agenda(plan)
        self._crew.listen(now)
        given_up = self._take_up(plan, ready)
        return [*given_up, *(self._over() or [*self._send_spare_home(), *self._feed_all(now)])]

    def _send_spare_home(self) -> list[Action]:
        """Workers that will find nothing to do, and have not come up: they only take the cores from those that will."""
        coming = [hand for hand in self._crew.hands() if not hand.ready]
        spare = min(len(coming), len(self.policy.slots) - len(self._agenda))
        actions: list[Action] = []
        for hand in coming[len(coming) - spare :] if spare > 0 else []:
            self._crew.send_home(hand)
            actions.append(KillWorker(hand.worker))
        return actions

    def _take_up(self, plan: Coverage, ready: PlanReady) -> list[GiveUp]:
        """Go on where an earlier driver stopped: its tries count, and what it had halved stays so."""
        pasts: dict[int, dict[Piece, Past]] = {}
        for piece, past in ready.tries.items():
            if not self._is_last(*past):
                self._tries[piece] = past[0]
            else:
                pasts.setdefault(piece.mini_batch, {})[piece] = past
        given_up: list[GiveUp] = []
        for mini_batch in sorted({*plan.in_part(), *pasts}, reverse=True):
            if not (gaps := plan.gaps(mini_batch)):
                continue
            self._agenda.leave_out(mini_batch)
            self._left[mini_batch] = sum(gap.items for gap in gaps)
            for gap in reversed(gaps):
                given_up += self._take_up_gap(gap, pasts.get(mini_batch, {}))
        return given_up

    def _take_up_gap(self, gap: Piece, failed: dict[Piece, Past]) -> list[GiveUp]:
        if not self.policy.isolate and gap in failed:
            return [self._give_up(gap, failed[gap][1], failed[gap][0])]
        given_up = []
        for piece, past in taken_up(gap, failed):
            if past is None:
                self._agenda.give_back([piece])
            elif piece in failed:
                given_up.append(self._give_up(piece, past[1], past[0]))
            else:
                self._tries[piece] = max(past[0], self._tries.get(piece, 0))
                self._agenda.put_off([piece])
        return given_up

    # ---- workers --------------------------------------------------------------------------------------------------

    def _ready(self, hand: Hand, now: float) -> list[Action]:
        self._crew.became_ready(hand)
        return self._feed(hand, now) + self._start_parked(now)

    def _init_failed(self, hand: Hand, failure: Failure, now: float) -> list[Action]:
        if failure.code == NoSpaceLeft.code:
            self._crew.left(hand)
            return [KillWorker(hand.worker), *self._hold_back()]
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
        if hand.retiring:
            self._crew.lost(hand)
            return self._start_parked(now)
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

    def _blame(self, hand: Hand, head: tuple[Piece, int], event: WorkerGone, now: float) -> list[Action]:
        """The piece that was running when a worker died pays for it, if the worker died of its own doing."""
        if not event.own_doing and self._give_back(head[0]):
            return []
        return self._count_try(head[0], self._unanswered(hand, head, event.failure, now))

    def _unanswered(self, hand: Hand, head: tuple[Piece, int], failure: Failure, now: float) -> Failed:
        """What a worker would have said of its running piece, had it been able to."""
        (piece, attempt), seconds = head, now - hand.since
        return Failed(hand.worker, piece.mini_batch, attempt, failure, seconds, seconds)

    def _give_back(self, piece: Piece) -> bool:
        """Put a piece back in front at no cost, unless that has happened too often."""
        times = self._given_back[piece] = self._given_back.get(piece, 0) + 1
        if times > GIVEN_BACK_MAX:
            return False
        self._agenda.give_back([piece])
        return True

    def _timed_out(self, hand: Hand, now: float) -> list[Action]:
        if hand.retiring:
            self._crew.lost(hand)
            return self._start_parked(now)
        if not hand.ready:
            limit = f"{self.policy.init_timeout_s:g} s"
            return self._init_failed(hand, Failure("InitTimeout", f"init() did not return within {limit}."), now)
        head = hand.assigned[0]
        message = f"run() did not return within {self.policy.timeout_s:g} s (retry_settings.timeout)."
        failed = self._unanswered(hand, head, Failure("MiniBatchTimeout", message), now)
        self._dismiss(hand)
        return self._count_try(head[0], failed) + self._feed_all(now)

    def _dismiss(self, hand: Hand) -> None:
        """Forget a worker that is gone; what it had not begun goes back to the front, in order."""
        self._agenda.give_back([piece for piece, _ in hand.assigned][1:])
        self._crew.lost(hand)

    # ---- pieces ---------------------------------------------------------------------------------------------------

    def _scored(self, hand: Hand, event: Scored, now: float) -> list[Action]:
        if not self._is_head(hand, event):
            return self._out_of_turn(hand, now)
        piece = self._pop(hand, event.seconds, now)
        size = piece.items
        failed = max(0, size - event.results)
        self.items_failed += failed
        self.items_succeeded += size - failed
        actions: list[Action] = [Keep(piece, event, failed, self._tries.get(piece, 0) + 1 if self._tries else 1)]
        self._settle(piece)
        if failed:
            self._note_first(_too_few(event, size))
        return actions + (self._over() or self._feed(hand, now))

    def _failed(self, hand: Hand, event: Failed, now: float) -> list[Action]:
        if not self._is_head(hand, event):
            return self._out_of_turn(hand, now)
        piece = self._pop(hand, event.seconds, now)
        if event.failure.code == NoSpaceLeft.code:
            self._agenda.give_back([piece])
            return self._hold_back()
        if event.failure.code == "SegmentUnwritable":
            return self._unwritten(piece, event, now)
        return self._count_try(piece, event) + self._feed_all(now)

    def _hold_back(self) -> list[Action]:
        """A full disk costs no item a try: everything waits until there is room."""
        self._is_held = True
        return [HoldBack()]

    def _unwritten(self, piece: Piece, event: Failed, now: float) -> list[Action]:
        """The disk refuses rows: the items are not to blame, so the job ends rather than lose them."""
        note = NoteFailure(event.worker, piece, event.failure, 0, event.attempt, event.seconds, event.run_s)
        if self._give_back(piece):
            return [note, *self._feed_all(now)]
        message = f"Scored rows cannot be written: {event.failure.message}. Check the disk, then resume the job."
        return [note, *self._end(EndJob(Failure("SegmentUnwritable", message)))]

    def _pop(self, hand: Hand, seconds: float, now: float) -> Piece:
        piece, _ = hand.assigned.popleft()
        hand.since = now
        self._crew.idle_deaths = 0
        self._mean_s = seconds if self._mean_s is None else (1 - NEWEST) * self._mean_s + NEWEST * seconds
        return piece

    def _is_head(self, hand: Hand, event: Scored | Failed) -> bool:
        if not hand.assigned:
            return False
        piece, attempt = hand.assigned[0]
        return piece.mini_batch == event.mini_batch and attempt == event.attempt

    def _out_of_turn(self, hand: Hand, now: float) -> list[Action]:
        """Two processes answer as one, or the script wrote to our descriptor: this worker cannot be trusted."""
        failure = Failure("WorkerCrashed", "The worker answered for a mini-batch that it was not given.")
        return [KillWorker(hand.worker), *self._gone(hand, WorkerGone(hand.worker, failure, own_doing=True), now)]

    def _count_try(self, piece: Piece, failed: Failed) -> list[Action]:
        failure = failed.failure
        self.failed_attempts += 1
        self._note_first(failure)
        tries = self._tries[piece] = self._tries.get(piece, 0) + 1
        is_last = self._is_last(tries, failure)
        halved = is_last and self.policy.isolate and piece.items > 1
        spent = failed.attempt, failed.seconds, failed.run_s
        note = NoteFailure(failed.worker, piece, failure, tries, *spent, halved)
        if halved:
            self._halve(piece)
        elif is_last:
            return [note, self._give_up(piece, failure, tries), *self._over()]
        else:
            self._agenda.put_off([piece])
        return [note]

    def _is_last(self, tries: int, failure: Failure) -> bool:
        """Whether a piece that failed so often, and in this way now, is not executed once more as it is."""
        return tries >= self.policy.tries or failure.code == ITEM_REJECTED

    def _halve(self, piece: Piece) -> None:
        """Each half has the executions that are left, one at least; unexplained kills are not forgiven anew."""
        self._left.setdefault(piece.mini_batch, piece.items)
        tries, times = self._tries.pop(piece), self._given_back.pop(piece, 0)
        for half in piece.halves():
            self._tries[half] = tries
            if times > GIVEN_BACK_MAX:
                self._given_back[half] = times
        self._agenda.put_off(piece.halves())

    def _give_up(self, piece: Piece, failure: Failure, tries: int) -> GiveUp:
        self.items_failed += piece.items
        self._settle(piece)
        return GiveUp(piece, failure, tries)

    def _settle(self, piece: Piece) -> None:
        """A mini-batch is settled with the last of its pieces."""
        mini_batch = piece.mini_batch
        if self._tries or self._given_back:
            self._tries.pop(piece, None)
            self._given_back.pop(piece, None)
        if mini_batch in self._left:
            self._left[mini_batch] -= piece.items
            if self._left[mini_batch]:
                return
            del self._left[mini_batch]
        self.settled += 1
        self._attempts.pop(mini_batch, None)

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
        message = self._message_size()
        window = self._window(message)
        if self.ended or self._is_held or hand.retiring or not self._agenda or len(hand.assigned) > window - message:
            return []
        per_worker = self.policy.pieces_per_worker
        if per_worker is not None:
            message = min(message, per_worker - hand.given)
            if message <= 0:
                return self._retire(hand, now)
        if not hand.assigned:
            hand.since = now
        work = []
        attempts = self._attempts
        for piece in self._agenda.take(message):
            mini_batch = piece.mini_batch
            attempt = attempts[mini_batch] = attempts.get(mini_batch, 0) + 1
            work.append((piece, attempt))
        hand.assigned.extend(work)
        hand.given += len(work)
        return [Score(hand.worker, tuple(work))]

    def _retire(self, hand: Hand, now: float) -> list[Action]:
        """There is work that this worker may not take any more: another one takes its place, once it has ended."""
        if hand.assigned:
            return []
        hand.retiring, hand.since = True, now
        return [RetireWorker(hand.worker)]

    def _message_size(self) -> int:
        """Pieces in one message: about ``message_s`` of work, ever fewer towards the end of the job."""
        if self._mean_s is None:
            return 1
        guided = len(self._agenda) // (4 * len(self.policy.slots))
        return max(1, min(int(self.policy.message_s / max(self._mean_s, 1e-9)), guided, MESSAGE_MAX))

    def _window(self, message: int) -> int:
        """Pieces that a worker may hold: one message ahead when they are short, else the running one only."""
        ahead = self._mean_s is not None and self._mean_s < self.policy.ahead_s
        return 2 * message if ahead else 1

    def _start_parked(self, now: float) -> list[Action]:
        wanted = self._plan is None or bool(self._agenda)
        if self.ended or self._is_held or not wanted:
            return []
        slots = self._crew.startable()
        if self._plan is not None:
            # Those that come up, or have nothing to do, take a piece each.
            free = sum(1 for hand in self._crew.hands() if not hand.assigned and not hand.retiring)
            slots = slots[: max(0, len(self._agenda) - free)]
        return [self._crew.start(slot, now) for slot in slots]

    # ---- the end --------------------------------------------------------------------------------------------------

    def _over(self) -> list[Action]:
        plan = self._plan
        if self.ended or plan is None:
            return []
        threshold = self.policy.error_threshold
        if 0 <= threshold < self.items_failed:
            failed = "1 item" if self.items_failed == 1 else f"{self.items_failed:,} items"
            message = f"{failed} failed; error_threshold allows {threshold:,}."
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
