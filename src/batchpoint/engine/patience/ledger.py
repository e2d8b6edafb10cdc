"""A driver's ledger that rides out a store which cannot be reached for a while, and gives up before the lease is over.

``engine.__main__`` puts it between a driver and its store. Every primitive may be repeated, so a reply that never came
is found by calling again. It knows no database; clock and sleep are given to it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from batchpoint.entities.job import FailureReason, JobError, Progress
from batchpoint.errors import StoreDamaged, StoreUnavailable
from batchpoint.failpoints import reach
from batchpoint.store.records import Claimed, Fence, Heartbeat, JobLedger, LedgerRow, Standing, Tally

log = logging.getLogger(__name__)

#: Share of the lease after which a driver without a confirmed sign of life is no driver any more.
FENCE_SHARE = 2 / 3
#: Seconds until the first repetition; doubled each time, up to the longest pause.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0

T = TypeVar("T")


def uptime() -> float:
    """Monotonic seconds that also count while the machine sleeps, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class PatientLedger(JobLedger):
    """The ledger of one driver.

    Raises StoreUnavailable only when no write was confirmed for two thirds of ``lease_s``: then somebody else may soon
    take the driver for dead, and it has to be. A driver that was stopped for longer asks first; whether it still has
    the job, only the store can say. A damaged store is not asked again.
    """

    def __init__(
        self,
        ledger: JobLedger,
        lease_s: float,
        clock: Callable[[], float] = uptime,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._fence_s = lease_s * FENCE_SHARE
        self._clock = clock
        self._sleep = sleep
        #: When the latest write began that the store confirmed.
        self._confirmed = clock()

    # ---- writes: each confirmed one is a sign of life --------------------------------------------------------------

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        return self._write(lambda: self._ledger.claim(job, observed_epoch, nonce, host, pid))

    def start(self, fence: Fence, mini_batches: int, items: int) -> None:
        self._write(lambda: self._ledger.start(fence, mini_batches, items))

    def beat(self, fence: Fence, progress: Progress) -> Standing:
        return self._write(lambda: self._ledger.beat(fence, progress))

    def commit(self, fence: Fence, rows: Sequence[LedgerRow], progress: Progress) -> set[tuple[int, int]]:
        def commit() -> set[tuple[int, int]]:
            standing = self._ledger.commit(fence, rows, progress)
            reach("D10")
            return standing

        return self._write(commit)

    def void(self, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        self._write(lambda: self._ledger.void(fence, rows))

    def freeze(self, fence: Fence) -> None:
        self._write(lambda: self._ledger.freeze(fence))

    def complete(
        self,
        fence: Fence,
        sha256: str,
        length: int,
        progress: Progress,
        failures: Sequence[FailureReason],
        properties: Mapping[str, str],
    ) -> None:
        def complete() -> None:
            self._ledger.complete(fence, sha256, length, progress, failures, properties)
            reach("D18")

        self._write(complete)

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: Sequence[FailureReason]) -> None:
        self._write(lambda: self._ledger.fail(fence, error, progress, failures))

    def canceled(self, fence: Fence, progress: Progress) -> None:
        self._write(lambda: self._ledger.canceled(fence, progress))

    # ---- reads ----------------------------------------------------------------------------------------------------

    def epoch_of(self, job: str) -> int:
        return self._call(lambda: self._ledger.epoch_of(job))

    def heartbeat(self, job: str) -> Heartbeat:
        return self._call(lambda: self._ledger.heartbeat(job))

    def rows(self, job: str, revision: int, failed_only: bool = False) -> Iterator[LedgerRow]:
        rows, last = self._ledger.rows(job, revision, failed_only), (-1, -1)
        while True:
            try:
                row = next(rows, None)
            except StoreDamaged:
                raise
            except StoreUnavailable:
                rows = self._call(partial(self._rows_after, job, revision, failed_only, last))
                continue
            if row is None:
                return
            last = row.key
            yield row

    def _rows_after(self, job: str, revision: int, failed_only: bool, last: tuple[int, int]) -> Iterator[LedgerRow]:
        """The rest of rows that broke off; raises StoreUnavailable before the first of them, if at all, once."""
        rows = (row for row in self._ledger.rows(job, revision, failed_only) if row.key > last)
        first = next(rows, None)
        return iter(()) if first is None else _preceded(first, rows)

    def tally(self, job: str, revision: int) -> Tally:
        return self._call(lambda: self._ledger.tally(job, revision))

    def published_outputs(self) -> list[tuple[str, str]]:
        return self._call(self._ledger.published_outputs)

    def output_of(self, job: str) -> tuple[str, int] | None:
        return self._call(lambda: self._ledger.output_of(job))

    # ---- patience -------------------------------------------------------------------------------------------------

    def _write(self, call: Callable[[], T]) -> T:
        began = 0.0

        def timed() -> T:
            nonlocal began
            began = self._clock()
            return call()

        answer = self._call(timed)
        self._confirmed = began
        return answer

    def _call(self, call: Callable[[], T]) -> T:
        pause_s, is_told = FIRST_PAUSE_S, False
        while True:
            try:
                return call()
            except StoreDamaged:
                raise
            except StoreUnavailable as error:
                left_s = self._confirmed + self._fence_s - self._clock()
                if left_s <= 0:
                    raise
                if not is_told:
                    log.warning("trying again for %.0f s: %s", left_s, error)
                    is_told = True
                self._sleep(min(pause_s, left_s))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _preceded(first: LedgerRow, rows: Iterator[LedgerRow]) -> Iterator[LedgerRow]:
    yield first
    yield from rows
