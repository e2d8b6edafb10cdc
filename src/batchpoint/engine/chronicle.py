"""Tells the job's logs what the driver sees: workers coming and going, each try, the pace of the whole.

The driver calls it beside its own work. It decides nothing; what it remembers of failed tries is for the next driver.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from batchpoint.compute.pool import Slot
from batchpoint.engine.messages import NoteFailure, Ready, Scored
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.preparation.plan import Plan
from batchpoint.engine.tries import TryRecord
from batchpoint.entities.job import Progress
from batchpoint.observability.job_logs import ERROR, INFO, WARNING, JobLogs
from batchpoint.observability.job_report import FailedTry
from batchpoint.store.records import LedgerRow

#: Seconds between two lines of the progress overview.
OVERVIEW_EVERY_S = 5.0
#: Characters of a failure's message in a log of the engine.
_SAID_MAX = 500
_STATUS = {"MiniBatchTimeout": "RUN_TIMEOUT"}


@dataclass(slots=True)
class _Seat:
    slot: Slot
    #: ``<node>/<process>``, as the report names it.
    process: str
    #: When it was free for the mini-batch that it answers next, by the driver's clock.
    free_at: float
    #: Mini-batches that it has not answered.
    holds: int = 0
    #: Its process on this machine; 0 while that is not known, or elsewhere.
    pid: int = 0


@dataclass
class Chronicle:
    """What one driver has to tell."""

    logs: JobLogs
    clock: Callable[[], float]
    #: Where failed tries are remembered; None: nowhere.
    tries: TryRecord | None
    #: Seconds between two samples of what the machine and the workers use.
    sample_every_s: float
    _seats: dict[int, _Seat] = field(default_factory=dict)
    _living: set[int] = field(default_factory=set)
    #: Those that were asked to end.
    _retired: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._host = socket.gethostname()
        self._began = self.clock()
        #: Added to the driver's clock it gives the time of day.
        self._epoch_s = time.time() - self._began
        self._next_overview = self._began
        self._next_sample: float | None = None
        self._done_before = 0
        self._told_of_halving = False

    # ---- workers ----------------------------------------------------------------------------------------------------

    def started(self, worker: int, slot: Slot) -> None:
        """A worker was put in a slot."""
        self._seats[worker] = _Seat(slot, f"{slot.node}/{slot.agent}", self.clock())
        self._living.add(worker)
        self._say(INFO, worker, f"worker {worker} starts")

    def ready(self, said: Ready) -> None:
        """init() has returned."""
        seat = self._seats[said.worker]
        seat.free_at = self.clock()
        if said.host == self._host:
            seat.pid = said.pid
            self._next_sample = self._next_sample or seat.free_at
        told = f"init() took {said.init_s:.3f} s in process {said.pid} on {said.host}, Python {said.python}"
        self._say(INFO, said.worker, f"worker {said.worker} is ready: {told}")

    def gone(self, worker: int, why: str) -> None:
        """A worker has ended without being told to."""
        self._living.discard(worker)
        if worker in self._retired:
            self._say(INFO, worker, f"worker {worker} has ended")
        else:
            self._say(WARNING, worker, f"worker {worker} is gone: {why}")

    def retired(self, worker: int) -> None:
        """A worker was asked to end, to have another one in its place."""
        self._living.discard(worker)
        self._retired.add(worker)
        self._say(INFO, worker, f"worker {worker} has scored as many mini-batches as one may, and is to end")

    def killed(self, worker: int) -> None:
        """The driver has ended a worker."""
        if worker in self._living or worker in self._retired:
            self._living.discard(worker)
            self._say(INFO, worker, f"worker {worker} was ended by the driver")

    # ---- mini-batches -----------------------------------------------------------------------------------------------

    def handed(self, worker: int, mini_batches: int) -> None:
        """A worker got work; it matters to one that had none."""
        seat = self._seats[worker]
        if not seat.holds:
            seat.free_at = self.clock()
        seat.holds += mini_batches

    def kept(self, row: LedgerRow, scored: Scored, now: float) -> None:
        """A mini-batch was scored, and ``row`` waits for its commit."""
        seat = self._seats[scored.worker]
        seconds, elapsed = scored.seconds, now - seat.free_at
        seat.free_at = now
        seat.holds -= 1
        self.logs.report.scored(
            (
                row.mini_batch,
                scored.attempt,
                seat.process,
                self._epoch_s + now - seconds,
                row.items,
                row.succeeded,
                elapsed if elapsed > seconds else seconds,
                seconds,
                scored.run_s,
                row.first_item,
            )
        )

    def failed(self, action: NoteFailure, plan: Plan | None) -> None:
        """A try or an init() has failed."""
        subject, piece = "init()", action.piece
        if piece is not None and plan is not None:
            subject = _named(piece)
            self._report_failed(action, piece, plan)
        slot, failure = self._seats[action.worker].slot, action.failure
        self.logs.user_error(slot.node, slot.agent, subject, failure.message, failure.traceback)
        level = ERROR if piece is None else WARNING
        self._say(level, action.worker, f"{subject} failed ({failure.code}): {failure.message}")
        if self.tries is not None and (action.tries or piece is None):
            self.tries.note(piece, action.tries, failure)
        if action.halved and piece is not None and plan is not None and piece.items == plan.size(piece.mini_batch):
            self._taken_apart(action, subject)

    def _taken_apart(self, action: NoteFailure, subject: str) -> None:
        """Told once for each mini-batch; how often it may fail before that is the deployment's to say."""
        tries = "1 failed try" if action.tries == 1 else f"{action.tries} failed tries"
        text = f"{subject} is taken apart after {tries}: its halves are tried by themselves"
        self._say(INFO, action.worker, text)
        if not self._told_of_halving:
            self._told_of_halving = True
            text = f"{text[0].upper()}{text[1:]}, until the guilty items stand alone (isolate_failures)."
            self.logs.event(f"{text} So is each further one that keeps failing.")

    def _report_failed(self, action: NoteFailure, piece: Piece, plan: Plan) -> None:
        seat, now = self._seats[action.worker], self.clock()
        began, elapsed = self._epoch_s + now - action.seconds, max(action.seconds, now - seat.free_at)
        seconds = elapsed, action.seconds, action.run_s
        told = (piece.mini_batch, action.attempt, seat.process, began, piece.items, 0, *seconds, piece.first_item)
        status = _STATUS.get(action.failure.code, "RUN_EXCEPTION")
        path = plan.path(piece.first_item)
        self.logs.flush()
        self.logs.report.failed(FailedTry(told, status, action.failure.code, action.failure.message, path))
        seat.free_at = now
        seat.holds -= 1

    # ---- the job ----------------------------------------------------------------------------------------------------

    def scoring(self, progress: Progress) -> None:
        """The plan stands, and scoring goes on from ``progress``."""
        self._done_before = progress.mini_batches_done
        self.beat(progress)

    def beat(self, progress: Progress) -> None:
        """Now and then, about once a second: what is due."""
        now = self.clock()
        self.logs.flush()
        if self._next_overview <= now:
            self._next_overview = now + OVERVIEW_EVERY_S
            self.logs.overview(progress, now - self._began, self._remaining_s(progress, now))
        if self._next_sample is not None and self._next_sample <= now:
            self._next_sample = now + self.sample_every_s
            self._sample()

    def scored_all(self) -> None:
        """Nothing more is handed out; the workers are still there."""
        self.logs.flush()
        self.logs.report.summarise()
        if self._next_sample is not None:
            self._sample()

    def _remaining_s(self, progress: Progress, now: float) -> float | None:
        done = progress.mini_batches_done - self._done_before
        if done <= 0:
            return None
        return (now - self._began) * (progress.mini_batches - progress.mini_batches_done) / done

    def _sample(self) -> None:
        by_node: dict[str, dict[str, int]] = {}
        for worker in sorted(self._living):
            seat = self._seats[worker]
            if seat.pid:
                by_node.setdefault(seat.slot.node, {})[seat.slot.agent] = seat.pid
        for node, processes in by_node.items():
            self.logs.usage.sample(node, processes)

    def _say(self, level: int, worker: int, text: str) -> None:
        slot = self._seats[worker].slot
        self.logs.system(level, slot.node, slot.agent, " ".join(text[:_SAID_MAX].split()))


def _named(piece: Piece) -> str:
    last = piece.end - 1
    which = f"items {piece.first_item} to {last}" if last > piece.first_item else f"item {last}"
    return f"mini-batch {piece.mini_batch} ({which})"
