"""The driver: the one loop of a running job. It carries events to the dispatcher and does what the dispatcher says.

``engine.run`` prepares a job and hands it over; here is nothing but pool, ledger and clock. One thread; it waits
in ``pool.receive`` alone, and lingers a moment before it while that costs nobody anything.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from batchpoint.compute.pool import Exited, Said, WorkerPool
from batchpoint.engine import messages
from batchpoint.engine.chronicle import Chronicle
from batchpoint.engine.deaths import why_gone, why_not_started
from batchpoint.engine.dispatch import Dispatcher, Policy, reasons
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.messages import Action, EndJob, Event, Failure, GiveUp, Keep, PlanReady, Ready, WorkerGone
from batchpoint.engine.patience.hold import BEAT_EVERY_S
from batchpoint.engine.patience.room import Room
from batchpoint.engine.preparation.pieces import Coverage
from batchpoint.engine.preparation.plan import Plan
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.engine.tries import Remembered, TryRecord
from batchpoint.entities.job import Progress
from batchpoint.errors import CancelRequested, EnvironmentBuildFailed, JobFailed, NoSpaceLeft
from batchpoint.failpoints import reach
from batchpoint.observability.job_logs import JobLogs
from batchpoint.store.records import Fence, JobLedger, LedgerRow, Part

log = logging.getLogger(__name__)

#: A driver that is so many seconds late with a sign of life asks first whether the job is still its own.
LATE_S = 5.0
#: Seconds to let answers gather while every worker has work ahead: fewer, larger turns leave the cores to them.
LINGER_S = 0.003
#: Code, reason, class and fingerprint of items that run() returned nothing for.
_TOO_FEW_SAID = "run() returned fewer results than it got items"
_TOO_FEW = ("TooFewResults", _TOO_FEW_SAID, *reasons.cause(Failure("TooFewResults", _TOO_FEW_SAID)))


@dataclass
class Driver:
    """Scores the mini-batches of one job."""

    ledger: JobLedger
    fence: Fence
    commits: GroupCommit
    pool: WorkerPool
    start: WorkerStart
    policy: Policy
    logs: JobLogs
    #: Monotonic seconds.
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    #: Told after each commit and beat.
    on_progress: Callable[[Progress], None]
    #: What the drivers before this one counted; None: there was none, and nobody will come after.
    tries: TryRecord | None = None
    #: Seconds between two samples of what machine and workers use.
    sample_every_s: float = 600.0
    #: Called at each beat; raises when the job has taken too long.
    check_lifetime: Callable[[], None] = lambda: None
    #: The patience with full disks; None: it has none.
    room: Room | None = None

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.policy)
        self.chronicle = Chronicle(self.logs, self.clock, self.tries, self.sample_every_s)
        #: When the first mini-batch was scored, by ``clock``.
        self.first_result_at: float | None = None
        self._plan: Plan | None = None
        self._living: set[int] = set()
        self._rows = 0
        self._end: EndJob | None = None
        self._next_beat = self.clock()

    # ---- what engine.run calls ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the workers; they load the script while the caller lists the input."""
        self._perform(self.dispatcher.begin(self.clock()))

    def score(self, plan: Plan, rows: Iterable[LedgerRow]) -> EndJob:
        """Score what the ledger's ``rows`` do not cover; returns how it ended. Raises Fenced.

        With a plan of nothing it waits until one worker is ready, or none can be.
        """
        self._plan = plan
        if not plan.items:
            return self._wait_until_ready()
        covered = Coverage(plan.items, plan.mini_batch_size)
        for row in rows:
            covered.add(row)
        self._rows = covered.rows
        before = self.tries.recall() if self.tries else Remembered()
        self._perform(self.dispatcher.handle(_ready(covered, before), self.clock()))
        self.chronicle.scoring(self.progress())
        while self._end is None:
            self._turn()
        self.flush()
        self.chronicle.scored_all()
        return self._end

    def flush(self) -> None:
        """Commit what waits; its lines of the report come first."""
        self.logs.flush()
        self.commits.flush(self.progress(), self.clock)
        reach("D11")
        self.on_progress(self.progress())

    def progress(self) -> Progress:
        """The counts as of the last event."""
        plan, dispatcher = self._plan, self.dispatcher
        return Progress(
            mini_batches=plan.mini_batches if plan else 0,
            mini_batches_done=dispatcher.settled,
            items=plan.items if plan else 0,
            items_succeeded=dispatcher.items_succeeded,
            items_failed=dispatcher.items_failed,
            rows=self._rows,
            failed_attempts=dispatcher.failed_attempts,
            waiting_for=self.room.sentence if self.room else "",
        )

    def dismiss(self) -> None:
        """Let the workers call shutdown() and end; whoever takes longer than one run() may is killed."""
        for hand in list(self.dispatcher.workers()):
            if not hand.ready:
                self._kill(hand.worker)
            elif not hand.retiring:
                self.pool.send(hand.worker, messages.line({"t": "Shutdown"}))

    def wait_for_workers(self) -> None:
        """Return when every dismissed worker has ended. Raises CancelRequested."""
        until = self.clock() + self.policy.timeout_s
        while self._living and self.clock() < until:
            for event in self.pool.receive(max(0.0, min(until, self._next_beat) - self.clock())):
                if isinstance(event, Exited):
                    self._living.discard(event.worker)
            if self._next_beat <= self.clock():
                self._next_beat = self.clock() + BEAT_EVERY_S
                if self.ledger.beat(self.fence, self.progress()).cancel_requested:
                    raise CancelRequested
        for worker in list(self._living):
            self._kill(worker)

    def _wait_until_ready(self) -> EndJob:
        while self._end is None and not any(hand.ready for hand in self.dispatcher.workers()):
            self._turn()
        return self._end or EndJob()

    # ---- the loop -------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self.dispatcher.seconds_ahead() > 3 * LINGER_S:
            self.sleep(LINGER_S)
        self._receive(max(0.0, self._next_due() - self.clock()))
        now = self.clock()
        deadline = self.dispatcher.next_deadline()
        if deadline is not None and deadline <= now:
            self._receive(0)  # an answer that is already in the pipe came in time
            self._perform(self.dispatcher.tick(now))
        if self.commits.due is not None and self.commits.due <= now:
            self.flush()
        if self._next_beat <= now:
            self._beat(now)

    def _next_due(self) -> float:
        due = [self._next_beat, self.commits.due, self.dispatcher.next_deadline()]
        return min(moment for moment in due if moment is not None)

    def _receive(self, timeout_s: float) -> None:
        events = self.pool.receive(timeout_s)
        if self.clock() - self._next_beat > LATE_S:
            # Stopped meanwhile, perhaps for long: what went wrong in its workers may be the next driver's doing.
            self.ledger.beat(self.fence, self.progress())
        for event in events:
            understood = self._understand(event)
            if understood is not None:
                self._perform(self.dispatcher.handle(understood, self.clock()))

    def _beat(self, now: float) -> None:
        self._next_beat = now + BEAT_EVERY_S
        try:
            self.check_lifetime()
        except JobFailed as error:
            # Not raised further: what was scored until now is committed first, and counted.
            self._end = EndJob(Failure(error.code, error.message))
        self._look_for_room(now)
        progress = self.progress()
        if self.commits.due is None:
            self.on_progress(progress)
        else:
            self.flush()
        if self.ledger.beat(self.fence, progress).cancel_requested:
            self._perform(self.dispatcher.handle(messages.Cancel(), now))
        self.chronicle.beat(progress)

    def _look_for_room(self, now: float) -> None:
        if self.room is None or not self.room.is_short:
            return
        try:
            if self.room.is_back():
                self._perform(self.dispatcher.go_on(now))
        except NoSpaceLeft as error:
            self._end = EndJob(Failure(error.code, error.message))

    def _hold_back(self) -> None:
        place = self.start.folder.segments
        try:
            if self.room is None:
                raise NoSpaceLeft(f"No room for scored rows in {place}.")
            self.room.ran_out(place, "the rows that are scored")
        except NoSpaceLeft as error:
            self._end = EndJob(Failure(error.code, error.message))

    def _understand(self, event: Said | Exited) -> Event | None:
        if isinstance(event, Said):
            try:
                said = messages.parse(event.worker, event.line)
            except ValueError as error:
                log.warning("%s", error)
                self._kill(event.worker)
                failure = Failure("WorkerCrashed", "The script wrote to the worker's own channel.")
                return WorkerGone(event.worker, failure, own_doing=True)
            if isinstance(said, Ready):
                self.chronicle.ready(said)
            return said
        self._living.discard(event.worker)
        failure, own_doing = why_gone(event)
        self.chronicle.gone(event.worker, failure.message)
        return WorkerGone(event.worker, failure, own_doing)

    # ---- actions --------------------------------------------------------------------------------------------------

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, messages.Score):
                self._hand_out(action)
            elif isinstance(action, Keep):
                self._keep(action)
            elif isinstance(action, GiveUp):
                self._give_up(action)
            elif isinstance(action, messages.NoteFailure):
                self.chronicle.failed(action, self._plan)
            elif isinstance(action, messages.StartWorker):
                self._start_worker(action)
            elif isinstance(action, messages.KillWorker):
                self._kill(action.worker)
            elif isinstance(action, messages.HoldBack):
                self._hold_back()
            elif isinstance(action, messages.RetireWorker):
                self.chronicle.retired(action.worker)
                self.pool.send(action.worker, messages.line({"t": "Shutdown"}))
            else:
                self._end = action

    def _kill(self, worker: int) -> None:
        self.pool.kill(worker)
        self._living.discard(worker)
        self.chronicle.killed(worker)

    def _start_worker(self, action: messages.StartWorker) -> None:
        self.chronicle.started(action.worker, action.slot)
        self._living.add(action.worker)
        try:
            self.pool.start(action.worker, self.start.spec(action.worker, action.slot))
        except OSError as error:
            failure = why_not_started(error)
            if failure is None:
                raise EnvironmentBuildFailed(
                    f"The interpreter {self.start.python} does not start: {error.strerror}.", target=self.start.python
                ) from error
            self._living.discard(action.worker)
            self._perform(self.dispatcher.handle(messages.InitFailed(action.worker, failure), self.clock()))
            return
        self.pool.send(action.worker, self.start.first_line(action.worker, action.slot))

    def _hand_out(self, action: messages.Score) -> None:
        plan = self._known_plan()
        work = [[piece.mini_batch, attempt, *piece[1:], *plan.range(piece)] for piece, attempt in action.work]
        self.chronicle.handed(action.worker, len(action.work))
        self.pool.send(action.worker, messages.line({"t": "Score", "work": work}))
        reach("D5")

    def _keep(self, action: Keep) -> None:
        reach("D6")
        scored, piece, now = action.scored, action.piece, self.clock()
        if self.room is not None:
            self.room.got_on()
        if self.first_result_at is None:
            self.first_result_at = now
        self._rows += scored.rows
        row = LedgerRow(
            *piece,
            piece.items - action.items_failed,
            action.items_failed,
            scored.rows,
            action.tries,
            # Nothing written may mean that there is no segment.
            (Part(self.start.segment(scored.worker), scored.offset, scored.length, scored.crc),) * bool(scored.length),
            *(_TOO_FEW if action.items_failed else ()),
        )
        self.chronicle.kept(row, scored, now)
        self.commits.add(row, now)

    def _give_up(self, action: GiveUp) -> None:
        failure, items = action.failure, action.piece.items
        reason, cause = failure.message.split("\n", 1)[0], reasons.cause(failure)
        row = LedgerRow(*action.piece, 0, items, 0, action.tries, (), failure.code, reason, *cause)
        self.commits.add(row, self.clock())

    def _known_plan(self) -> Plan:
        assert self._plan is not None
        return self._plan


def _ready(covered: Coverage, before: Remembered) -> PlanReady:
    """What is to be scored of the plan, and all that is known of it from earlier drivers."""
    row, first = covered.first_failed, before.first_failure
    if first is None and row is not None:
        first = Failure(row.reason_code, row.reason)
    return PlanReady(covered, first, before.tries, before.failed_attempts)
