"""Group commits: bytes before rows, each row once, and nothing lost when a sync or a commit fails."""

from pathlib import Path

import pytest

from batchpoint.engine.ledger import COMMIT_EVERY_S, COMMIT_SHARE, GroupCommit
from batchpoint.entities.job import Progress
from batchpoint.errors import StoreUnavailable
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Fence, LedgerRow
from tests.contract.made import failed, job, row

SEGMENTS = Path("/seg")


class Scribe(MemoryLedger):
    """A ledger that writes down what happens around it."""

    def __init__(self) -> None:
        super().__init__([job("j")])
        self.happened: list[object] = []
        self.now = 0.0
        self.takes_s = 0.0
        claimed = self.claim("j", 0, "n", "host", 1)
        assert claimed is not None
        self.fence = claimed.fence
        self.start(self.fence, 10, 100)
        self.commits = GroupCommit(self, self.fence, SEGMENTS, self.sync)

    def sync(self, path: Path) -> None:
        self.happened.append(path)
        self.now += self.takes_s

    def commit(self, fence: Fence, rows: object, progress: Progress) -> set[tuple[int, int]]:
        rows = list(rows)  # type: ignore[call-overload]
        self.happened.append([one.mini_batch for one in rows])
        return super().commit(fence, rows, progress)

    def flush(self) -> list[object]:
        self.happened = []
        self.commits.flush(Progress(), lambda: self.now)
        return self.happened


def add(scribe: Scribe, *rows: LedgerRow) -> None:
    for one in rows:
        scribe.commits.add(one, scribe.now)


def test_each_segment_and_then_their_folder_is_synced_before_the_rows_are_committed() -> None:
    scribe = Scribe()
    add(scribe, row(0, segment="a"), row(1, segment="b"), row(2, segment="a"), failed(3))
    *syncs, rows = scribe.flush()
    assert sorted(map(str, syncs[:-1])) == ["/seg/a", "/seg/b"], "each once"
    assert syncs[-1] == SEGMENTS, "the names of new files are durable as well"
    assert rows == [0, 1, 2, 3]


def test_only_new_segments_make_the_folder_sync_again() -> None:
    scribe = Scribe()
    add(scribe, row(0, segment="a"))
    scribe.flush()
    add(scribe, row(1, segment="a"))
    assert scribe.flush() == [SEGMENTS / "a", [1]]
    add(scribe, row(2, segment="b"))
    assert scribe.flush() == [SEGMENTS / "b", SEGMENTS, [2]]


def test_failures_alone_sync_nothing() -> None:
    scribe = Scribe()
    add(scribe, failed(0))
    assert scribe.flush() == [[0]]


def test_a_row_is_committed_once() -> None:
    scribe = Scribe()
    add(scribe, row(0))
    scribe.flush()
    assert scribe.flush() == [[]]


def test_a_flush_is_due_once_something_waits() -> None:
    scribe = Scribe()
    assert scribe.commits.due is None
    add(scribe, row(0))
    scribe.now += 0.1
    add(scribe, row(1))
    assert scribe.commits.due == COMMIT_EVERY_S, "the first row decides"
    scribe.flush()
    assert scribe.commits.due is None


def test_slow_commits_come_less_often() -> None:
    scribe = Scribe()
    scribe.takes_s = 3.0
    add(scribe, row(0))
    scribe.flush()
    add(scribe, row(1, segment="b"))
    scribe.flush()
    add(scribe, row(2))
    assert scribe.commits.due is not None
    assert scribe.commits.due - scribe.now == pytest.approx(6.0 / COMMIT_SHARE), "the file and its folder"


def test_rows_wait_on_when_a_sync_fails_and_nothing_is_committed() -> None:
    scribe = Scribe()

    def fails(path: Path) -> None:
        raise OSError(5, "Input/output error")

    commits = GroupCommit(scribe, scribe.fence, SEGMENTS, fails)
    commits.add(row(0), 0.0)
    with pytest.raises(StoreUnavailable, match="Input/output"):
        commits.flush(Progress(), lambda: 0.0)
    assert scribe.happened == [] and scribe.ledger("j", 0) == []


def test_a_commit_that_failed_may_be_repeated() -> None:
    scribe = Scribe()
    add(scribe, row(0))
    real, scribe.commit = scribe.commit, lambda *_: (_ for _ in ()).throw(StoreUnavailable())  # type: ignore
    with pytest.raises(StoreUnavailable):
        scribe.commits.flush(Progress(), lambda: 0.0)
    scribe.commit = real  # type: ignore[method-assign]
    assert scribe.flush()[-1] == [0]
    assert [one.mini_batch for one in scribe.ledger("j", 0)] == [0]


def test_the_commit_after_one_that_had_to_wait_for_its_store_is_due_soon() -> None:
    scribe = Scribe()
    scribe.takes_s = 15.0
    add(scribe, row(0))
    scribe.flush()
    add(scribe, row(1))
    assert scribe.commits.due == scribe.now + COMMIT_EVERY_S
