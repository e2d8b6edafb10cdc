"""``Hold``: a driver's hold on its job while something takes long, be it a listing, a build or an upload.

``engine.run`` and ``publishing.ending`` put its checks between the steps of what they do. It knows no step itself.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from batchpoint.engine.patience.room import Room
from batchpoint.errors import CancelRequested, JobLifetimeExceeded
from batchpoint.store.records import Claimed, JobLedger, LedgerRow

#: Seconds between two signs of life; also how soon a cancel is seen.
BEAT_EVERY_S = 1.0

T = TypeVar("T")


class Hold:
    """One granted claim, and what its signs of life tell."""

    def __init__(self, claimed: Claimed, ledger: JobLedger, room: Room, clock: Callable[[], float]) -> None:
        #: As it was claimed.
        self.job = claimed.job
        self.fence = claimed.fence
        #: sha256 of the output that the revision before published, which alone may be replaced; "" for none.
        self.replaces = claimed.replaces
        self.ledger = ledger
        self.room = room
        self.clock = clock
        #: The latest counts. What an earlier driver waited for, may be there.
        self.progress = claimed.job.progress.model_copy(update={"waiting_for": ""})
        #: When the job has to be at its end, by ``clock``.
        self._ends_at = self._end_of_life()

    def alive(self) -> Callable[[], None]:
        """A sign of life at most once a second, for what can no longer be canceled. Raises Fenced."""
        return self._at_times(lambda: self.ledger.beat(self.fence, self.progress))

    def still_wanted(self) -> Callable[[], None]:
        """The same for long preparations; raises CancelRequested or JobLifetimeExceeded when the job is to end."""
        return self._at_times(self._require_wanted)

    def rows(self, failed_only: bool = False) -> Iterator[LedgerRow]:
        """What the ledger has of the job, in output order; signs of life in between. Raises Fenced."""
        alive = self.alive()
        for row in self.ledger.rows(self.job.name, self.fence.revision, failed_only):
            alive()
            yield row

    def patiently(self, act: Callable[[], T], place: Path, what: str) -> T:
        """What ``act`` answers, once ``place`` has room for it; until then the job is alive, and says what it lacks."""
        return self.room.patiently(act, place, what, self.still_wanted())

    def check_lifetime(self) -> None:
        """Raises JobLifetimeExceeded."""
        if self.clock() >= self._ends_at:
            raise JobLifetimeExceeded(
                "The job has had its instances for as long as a job may. Score the input in parts, or raise the "
                "setting job_lifetime_s (low_priority_job_lifetime_s on a compute of that tier), and redrive the job: "
                "what was scored is kept."
            )

    def _require_wanted(self) -> None:
        progress = self.progress.model_copy(update={"waiting_for": self.room.sentence})
        if self.ledger.beat(self.fence, progress).cancel_requested:
            raise CancelRequested
        self.check_lifetime()

    def _at_times(self, act: Callable[[], object]) -> Callable[[], None]:
        due = self.clock() + BEAT_EVERY_S

        def when_due() -> None:
            nonlocal due
            if self.clock() >= due:
                due = self.clock() + BEAT_EVERY_S
                act()

        return when_due

    def _end_of_life(self) -> float:
        job = self.job
        if job.settings.lifetime_s is None or job.placed_at is None:
            return math.inf
        return self.clock() + job.settings.lifetime_s - (datetime.now(UTC) - job.placed_at).total_seconds()
