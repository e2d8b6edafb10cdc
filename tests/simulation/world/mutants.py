"""Planted bugs, one at a time, each in another layer: a world that does not notice them proves nothing."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from batchpoint.engine.driver import Driver
from batchpoint.engine.ledger import GroupCommit
from batchpoint.engine.publishing import output
from batchpoint.engine.run import JobRun
from batchpoint.entities.job import Job, JobStatus, Progress
from batchpoint.server.supervision import watch
from batchpoint.storage import atomic
from batchpoint.store import lifecycle
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.memory.packed import PackedRows
from batchpoint.store.records import Fence, Heartbeat, LedgerRow


@contextlib.contextmanager
def _with(place: object, name: str, value: object) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def _rows_before_bytes() -> contextlib.AbstractContextManager[None]:
    return _with(GroupCommit, "_make_durable", lambda self: None)


def _names_are_not_synced() -> contextlib.AbstractContextManager[None]:
    def only_files(self: Any) -> None:
        for segment in {part.segment for row in self._waiting for part in row.parts if part.length}:
            self._sync(self._segments / segment)

    return _with(GroupCommit, "_make_durable", only_files)


def _committed_rows_are_forgotten() -> contextlib.AbstractContextManager[None]:
    score = Driver.score
    return _with(Driver, "score", lambda self, plan, rows: score(self, plan, iter(())))


def _driver_takes_whatever_claim_is_latest() -> contextlib.AbstractContextManager[None]:
    claim = JobRun._claim

    def claim_latest(self: JobRun) -> object:
        self.observed_epoch = None
        return claim(self)

    return _with(JobRun, "_claim", claim_latest)


def _no_fence() -> contextlib.AbstractContextManager[None]:
    return _with(lifecycle, "_require_holder", lambda record, fence: None)


def _claim_without_observed_epoch() -> contextlib.AbstractContextManager[None]:
    claim = lifecycle.claim

    def claim_any(record: Any, observed: int, nonce: str, host: str, pid: int) -> object:
        return claim(record, record.epoch, nonce, host, pid)

    return _with(lifecycle, "claim", claim_any)


def _rows_after_the_freeze() -> contextlib.AbstractContextManager[None]:
    def commit(record: Any, fence: Fence, progress: Progress) -> object:
        lifecycle._require_holder(record, fence)
        return dataclasses.replace(record, beat=record.beat + 1)

    return _with(lifecycle, "commit", commit)


def _freeze_without_coverage() -> contextlib.AbstractContextManager[None]:
    freeze = MemoryLedger.freeze

    def freeze_half(self: MemoryLedger, fence: Fence) -> None:
        stored = self._rows[fence.job, fence.revision]
        keys = [row.key for row in stored]
        if len(keys) > 1 and self.job(fence.job).status is JobStatus.RUNNING:
            stored.remove(keys[-1])
        with _with(lifecycle, "require_coverage", lambda *_: None):
            freeze(self, fence)

    return _with(MemoryLedger, "freeze", freeze_half)


def _no_unique_key() -> contextlib.AbstractContextManager[None]:
    def enter(self: Any, row: LedgerRow, epoch: int) -> bool:
        self._others[*row.key, len(self._others)] = epoch, row
        return True

    return _with(PackedRows, "enter", enter)


def _cancel_after_the_freeze() -> contextlib.AbstractContextManager[None]:
    def request_cancel(record: Any, now: object) -> object:
        if record.status.is_terminal:
            return record
        status = JobStatus.CANCEL_REQUESTED if record.nonce else JobStatus.CANCELED
        return dataclasses.replace(record, job=record.job.model_copy(update={"status": status}))

    return _with(lifecycle, "request_cancel", request_cancel)


def _publish_by_replacing() -> contextlib.AbstractContextManager[None]:
    def publish(finished: Path, final: Path) -> bool:
        atomic.fsync_file(finished)
        os.replace(finished, final)
        atomic.fsync_folder(final.parent)
        return True

    return _with(output, "publish_without_clobber", publish)


def _publish_without_syncing_the_name() -> contextlib.AbstractContextManager[None]:
    def publish(finished: Path, final: Path) -> bool:
        atomic.fsync_file(finished)
        with contextlib.suppress(FileExistsError):
            os.link(finished, final)
            return True
        return False

    return _with(output, "publish_without_clobber", publish)


def _stalled_driver_is_never_killed() -> contextlib.AbstractContextManager[None]:
    def revoke(self: watch.Watch, job: Job, beat: Heartbeat, seen: Any) -> None:
        seen.silent_s = 0.0

    return _with(watch.Watch, "_revoke", revoke)


def _lease_of_a_moment() -> contextlib.AbstractContextManager[None]:
    attend = watch.Watch._hear

    def hear(self: watch.Watch, job: Job, beat: Heartbeat, seen: Any, passed: float) -> None:
        attend(self, job, beat, seen, passed * 20)

    return _with(watch.Watch, "_hear", hear)


def _no_end_of_dying() -> contextlib.AbstractContextManager[None]:
    return _with(watch.Watch, "_end", lambda self, job, beat, seen: setattr(seen, "deaths", 0))


#: Name → how it is planted.
MUTANTS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    name.removeprefix("_"): plant
    for name, plant in sorted(globals().items())
    if callable(plant) and name.startswith("_") and not name.startswith("__") and name != "_with"
}
