"""Commits finished mini-batches in groups: first the bytes are durable, then the rows that point at them.

The driver adds rows as they come and asks for a flush when one is due. The fence stands in the store
(``store/records.py``); this module keeps the order of the two writes and nothing else.
"""

from collections.abc import Callable
from pathlib import Path

from batchpoint.entities.job import Progress
from batchpoint.errors import StoreUnavailable
from batchpoint.failpoints import reach
from batchpoint.store.records import Fence, JobLedger, LedgerRow

#: Seconds between two commits; longer where a commit itself takes long.
COMMIT_EVERY_S = 0.2
#: A commit may take at most this share of the time.
COMMIT_SHARE = 0.1


class GroupCommit:
    """Rows that wait for their commit."""

    def __init__(self, store: JobLedger, fence: Fence, segments: Path, sync: Callable[[Path], None]) -> None:
        self._store = store
        self._fence = fence
        self._segments = segments
        self._sync = sync
        self._waiting: list[LedgerRow] = []
        self._due: float | None = None
        self._pause_s = COMMIT_EVERY_S
        self._took_before = 0.0
        #: Segments whose names are durable as well.
        self._named: set[str] = set()

    def add(self, row: LedgerRow, now: float) -> None:
        """Take a row; it counts only once ``flush`` has returned."""
        self._waiting.append(row)
        if self._due is None:
            self._due = now + self._pause_s

    @property
    def due(self) -> float | None:
        """When the next flush should be, or None while nothing waits."""
        return self._due

    def flush(self, progress: Progress, clock: Callable[[], float]) -> None:
        """Sync every segment that waiting rows point into, then commit them in one transaction.

        Raises Fenced when another driver owns the job, StoreUnavailable when a segment cannot be synced: the disk may
        have lost its bytes for good, so its rows are scored again by a new driver, never synced a second time.
        """
        began = clock()
        try:
            self._make_durable()
        except OSError as error:
            raise StoreUnavailable(f"Scored rows cannot be synced to {self._segments}: {error.strerror}.") from error
        self._store.commit(self._fence, self._waiting, progress)
        self._waiting = []
        self._due = None
        took = clock() - began
        # One commit that had to wait for a store that was away tells nothing of the next one.
        self._pause_s = max(COMMIT_EVERY_S, min(took, self._took_before) / COMMIT_SHARE)
        self._took_before = took

    def _make_durable(self) -> None:
        reach("D7")
        segments = {part.segment for row in self._waiting for part in row.parts if part.length}
        for segment in segments:
            self._sync(self._segments / segment)
        reach("D8")
        if not segments <= self._named:
            self._sync(self._segments)
            self._named |= segments
        reach("D9")
