"""The decisions of a supervisor: which job needs a driver, which driver is dead or stalled, and when to stop trying.

``supervisor`` calls it at each look. It starts and kills through ``Drivers``, reads signs of life from the store and
time from the clock that it is given: it knows no process, no file and no time of day.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from batchpoint.entities.job import FailureReason, Job, JobError, JobStatus, Progress
from batchpoint.errors import DriverKeepsDying, Fenced, ResourceNotFound, StoreUnavailable
from batchpoint.store.records import Claimed, Fence, Heartbeat, Tally

log = logging.getLogger("batchpoint.supervisor")

#: Pause before the next driver of a job whose drivers die without getting anywhere: doubled each time, up to the cap.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
#: A driver that is still there so long after a cancel is stuck in something; its successor ends what it left.
_CANCEL_PATIENCE_S = 2.5
#: Kills for one cancel; then the supervisor ends the job itself.
_CANCEL_KILLS_MAX = 3
#: A pause between two looks counts as silence of a driver up to this share of the lease: while nobody looks, or the
#: whole machine stands still, no driver can be heard.
_GAP_SHARE = 0.2
#: Each driver that is taken for dead makes the next one's lease longer, up to this: slow is not dead.
_LEASE_GROWTH_MAX = 8
#: Exit statuses that are nobody's fault: the job is another driver's; the store could not be reached.
_BLAMELESS = (0, 75)
#: In which order a revision goes through them.
_STAGES = (JobStatus.QUEUED, JobStatus.PREPARING, JobStatus.RUNNING, JobStatus.CANCEL_REQUESTED, JobStatus.FINALIZING)


@dataclass(frozen=True)
class Patience:
    """What the operator decided."""

    #: Seconds without a sign of life after which a driver is taken for dead.
    lease_s: float
    #: Drivers of one job that may die in a row without getting any further.
    deaths_max: int


class Drivers(Protocol):
    """Where the drivers of this machine run. Nothing here blocks for long."""

    #: Name of this machine, as its drivers give it with a claim.
    host: str

    def start(self, job: str, observed_epoch: int) -> None:
        """Start a driver that may claim the job if nobody has claimed it since. Raises OSError."""

    def poll(self, job: str) -> int | None:
        """Exit status of the driver that was started last; None while it runs."""

    def is_held(self, job: str) -> bool:
        """Whether any driver of the job lives on this machine."""

    def kill(self, job: str, beat: Heartbeat) -> None:
        """End what is left of the driver that gave this sign of life, and whoever else holds the job here."""

    def close(self, job: str, sentence: str) -> None:
        """End workers that the job's drivers left here, and write how it ended to its log, for people."""


class WatchedStore(Protocol):
    """What a supervisor asks of the store; see ``JobLedger``."""

    def placed_jobs(self) -> list[Job]: ...

    def heartbeats(self) -> dict[str, Heartbeat]: ...

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None: ...

    def tally(self, job: str, revision: int) -> Tally: ...

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: tuple[FailureReason, ...]) -> None: ...

    def canceled(self, fence: Fence, progress: Progress) -> None: ...


@dataclass
class _Seen:
    """What we remember of one job and its drivers."""

    #: The latest sign of life, (epoch, beat), and for how many seconds it has been the same.
    sign: tuple[int, int] = (-1, -1)
    silent_s: float = 0.0
    #: The furthest that the job has come: revision, status, items.
    reached: tuple[int, int, int] = (-1, -1, -1)
    #: Whether it has come any further since its driver was started.
    got_further: bool = False
    #: A driver that we started runs, as far as we know; the claim that it may make.
    is_ours: bool = False
    claimable: int = 0
    #: Since the job last got further: drivers that ended, and those of them that should not have.
    ends: int = 0
    deaths: int = 0
    #: The claim whose driver has been counted among them.
    buried: int = 0
    not_before: float = 0.0
    #: When the cancel of the job was first seen, or the last driver was killed for it; None: nobody asked for one.
    cancel_seen: float | None = None
    cancel_kills: int = 0


class Watch:
    """Sees to the open jobs of one home. One thread calls it."""

    def __init__(
        self,
        store: WatchedStore,
        drivers: Drivers,
        patience: Patience,
        clock: Callable[[], float],
        draw_nonce: Callable[[], str],
    ) -> None:
        self._store = store
        self._drivers = drivers
        self._patience = patience
        self._clock = clock
        self._draw_nonce = draw_nonce
        self._seen: dict[str, _Seen] = {}
        self._looked_at = clock()

    def look(self) -> bool:
        """Give every job that needs one a driver; True while a job or a driver of ours is left.

        Raises StoreUnavailable; the time until the next look then counts as no driver's silence.
        """
        jobs = self._store.placed_jobs()
        beats = self._store.heartbeats() if jobs else {}
        now = self._clock()
        passed = min(now - self._looked_at, _GAP_SHARE * self._patience.lease_s)
        self._looked_at = now
        for job in jobs:
            if job.name in beats:
                self._attend_safely(job, beats[job.name], passed)
        self._forget({job.name for job in jobs})
        return bool(jobs or self._seen)

    def _forget(self, open_names: set[str]) -> None:
        for name in [name for name in self._seen if name not in open_names]:
            if not self._seen[name].is_ours or self._drivers.poll(name) is not None:
                del self._seen[name]

    def _attend_safely(self, job: Job, beat: Heartbeat, passed: float) -> None:
        """One job's trouble must not keep the supervisor from the others."""
        seen = self._seen.setdefault(job.name, _Seen())
        try:
            self._hear(job, beat, seen, passed)
            self._attend(job, beat, seen)
        except OSError as error:
            # No room for a log, no more processes.
            self._note_no_start(job, seen, error)
        except StoreUnavailable as error:
            # A store that takes no claim takes no sign of life either: silence proves nothing.
            seen.silent_s = 0.0
            log.warning("store unavailable, looking at %s again: %s", job.name, error)
        except (Fenced, ResourceNotFound) as error:
            log.info("%s has gone on meanwhile: %s", job.name, error)

    # ---- one job --------------------------------------------------------------------------------------------------

    def _hear(self, job: Job, beat: Heartbeat, seen: _Seen, passed: float) -> None:
        """Take in how far the job is, and whether its driver has given a sign of life since the last look."""
        sign = beat.epoch, beat.beat
        seen.silent_s = seen.silent_s + passed if sign == seen.sign else 0.0
        seen.sign = sign
        items = job.progress.items_succeeded + job.progress.items_failed
        reached = job.revision, _STAGES.index(job.status), items
        if reached > seen.reached:
            seen.reached, seen.got_further = reached, True
            seen.ends = seen.deaths = 0

    def _attend(self, job: Job, beat: Heartbeat, seen: _Seen) -> None:
        if job.status is JobStatus.CANCEL_REQUESTED:
            self._see_cancel(job, beat, seen)
        else:
            seen.cancel_seen, seen.cancel_kills = None, 0
        if seen.is_ours:
            status = self._drivers.poll(job.name)
            if status is not None:
                self._note_end(job, beat, seen, status)
        is_elsewhere = beat.host not in ("", self._drivers.host)
        if not (seen.is_ours or is_elsewhere or self._drivers.is_held(job.name)):
            self._succeed(job, beat, seen)
        elif seen.silent_s >= self._patience.lease_s * min(2**seen.deaths, _LEASE_GROWTH_MAX):
            self._revoke(job, beat, seen)

    def _revoke(self, job: Job, beat: Heartbeat, seen: _Seen) -> None:
        """Take the job from a driver that has been silent for too long: in the store, then by a kill."""
        log.warning("driver of %s gave no sign of life for %g s; taken for dead", job.name, seen.silent_s)
        seen.silent_s = 0.0
        claimed = self._store.claim(job.name, beat.epoch, self._draw_nonce(), self._drivers.host, 0)
        if claimed is None:
            # Another supervisor was faster, or the driver has ended the job.
            return
        seen.buried = claimed.fence.epoch
        # Stopped, it would keep the lock of the job as long as it lives.
        self._drivers.kill(job.name, beat)
        if not seen.is_ours:
            self._count_death(job, seen, "silence")

    def _succeed(self, job: Job, beat: Heartbeat, seen: _Seen) -> None:
        """Start the next driver of a job that has none, if it is time, or end the job when that has been no use."""
        if beat.host and seen.buried < beat.epoch:
            # An earlier supervisor started it.
            seen.buried = beat.epoch
            seen.deaths += 1
        if self._clock() < seen.not_before:
            return
        if seen.deaths >= self._patience.deaths_max or seen.cancel_kills >= _CANCEL_KILLS_MAX:
            self._end(job, beat, seen)
            return
        self._drivers.start(job.name, beat.epoch)
        seen.is_ours, seen.got_further, seen.silent_s = True, False, 0.0
        seen.claimable = beat.epoch + 1

    def _see_cancel(self, job: Job, beat: Heartbeat, seen: _Seen) -> None:
        """A canceled job has no time for pauses, and its driver none for what it is stuck in."""
        now = self._clock()
        # Where everything is slow, a successor may not even have started so soon.
        patience_s = _CANCEL_PATIENCE_S * 2**seen.cancel_kills
        if seen.cancel_seen is None:
            seen.cancel_seen, seen.not_before = now, 0.0
        elif now - seen.cancel_seen >= patience_s and (seen.is_ours or self._drivers.is_held(job.name)):
            seen.cancel_seen, seen.not_before = now, 0.0
            seen.cancel_kills += 1
            self._drivers.kill(job.name, beat)

    def _note_end(self, job: Job, beat: Heartbeat, seen: _Seen, status: int) -> None:
        # Whether it has claimed since the signs of life were read or not.
        seen.is_ours, seen.buried = False, max(beat.epoch, seen.claimable)
        if status in _BLAMELESS:
            seen.ends += 1
            self._pause(job, seen, f"ended with {status}")
        else:
            self._count_death(job, seen, f"ended with {status}")

    def _count_death(self, job: Job, seen: _Seen, how: str) -> None:
        seen.ends += 1
        seen.deaths += 1
        self._pause(job, seen, how)

    def _pause(self, job: Job, seen: _Seen, how: str) -> None:
        in_a_hurry = seen.got_further or seen.cancel_seen is not None
        pause = 0.0 if in_a_hurry else pause_after(seen.ends)
        seen.not_before = self._clock() + pause
        log.warning("driver of %s: %s; the next one starts in %g s", job.name, how, pause)

    def _note_no_start(self, job: Job, seen: _Seen, error: OSError) -> None:
        seen.ends += 1
        pause = pause_after(seen.ends)
        seen.not_before = self._clock() + pause
        log.warning("no driver of %s can be started, trying again in %g s: %s", job.name, pause, error)

    # ---- a job whose drivers get nowhere --------------------------------------------------------------------------

    def _end(self, job: Job, beat: Heartbeat, seen: _Seen) -> None:
        """Bring the job to its end without a driver: Canceled if somebody asked for that, else Failed."""
        claimed = self._store.claim(job.name, beat.epoch, self._draw_nonce(), self._drivers.host, 0)
        if claimed is None:
            return
        fence, progress = claimed.fence, self._counted(claimed)
        seen.buried = fence.epoch
        if claimed.job.status is JobStatus.CANCEL_REQUESTED:
            self._store.canceled(fence, progress)
            self._drivers.close(job.name, "Canceled.")
            return
        error = DriverKeepsDying(_why(claimed.job, seen.deaths))
        self._store.fail(fence, JobError(code=error.code, message=error.message), progress, ())
        self._drivers.close(job.name, f"Failed ({error.code}): {error.message}")
        log.error("%s", error.message)

    def _counted(self, claimed: Claimed) -> Progress:
        """The counts of the ledger: a driver tells what it has seen, committed or not."""
        tally = self._store.tally(claimed.job.name, claimed.job.revision)
        counts = {
            "mini_batches_done": tally.mini_batches,
            "items_succeeded": tally.succeeded,
            "items_failed": tally.failed_items,
            "rows": tally.rows,
            "waiting_for": "",
        }
        return claimed.job.progress.model_copy(update=counts)


def pause_after(ends: int) -> float:
    """Seconds until the next driver of a job that lost ``ends`` of them without getting any further."""
    return float(min(_FIRST_PAUSE_S * 2 ** min(ends - 1, 16), _LONGEST_PAUSE_S))


def _why(job: Job, deaths: int) -> str:
    said = (
        f"{deaths} drivers of job {job.name} died one after the other, and it got no further. What they said is in "
        f"driver.log in the job's folder; one item of the input may be what kills them. "
    )
    if job.status is JobStatus.FINALIZING:
        return f"{said}Every item was scored: the output may already stand in {job.settings.output_uri}, complete."
    return f"{said}What was scored is kept."
