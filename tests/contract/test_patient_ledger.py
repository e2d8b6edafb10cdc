"""A store that loses requests and replies: a driver's patient ledger answers as if it had not, until time is up."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from batchpoint.compute.fake import VirtualClock
from batchpoint.engine.patience.ledger import FENCE_SHARE, PatientLedger
from batchpoint.entities.job import Job, JobError, JobStatus, Progress
from batchpoint.errors import Fenced, StoreDamaged, StoreUnavailable
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Fence, JobLedger
from batchpoint.store.store import open_store
from tests.contract.made import W, job, row

DONE = Progress(mini_batches=2, mini_batches_done=2, items=20, items_succeeded=20, rows=20)
LEASE_S = 30.0


class Losing:
    """A ledger whose requests or replies get lost on the way."""

    def __init__(self, ledger: JobLedger) -> None:
        self.ledger = ledger
        self.requests_lost = self.replies_lost = 0
        #: Rows that still arrive before a reading breaks off.
        self.rows_until_lost = -1
        self.error: type[StoreUnavailable] = StoreUnavailable
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.ledger, name)

        def call(*arguments: object) -> object:
            self.calls += 1
            if self.requests_lost:
                self.requests_lost -= 1
                raise self.error("The request was lost.")
            answer = method(*arguments)
            if self.replies_lost:
                self.replies_lost -= 1
                raise self.error("The reply was lost.")
            return answer

        return call

    def rows(self, *arguments: Any) -> Iterator[object]:
        for one in self.ledger.rows(*arguments):
            if self.rows_until_lost == 0:
                self.rows_until_lost = -1
                raise self.error("The connection was lost.")
            self.rows_until_lost -= 1
            yield one


class Bench:
    """A patient ledger on a store that can be made to lose what one says to it, and a clock that it moves."""

    def __init__(self, ledger: JobLedger, find: Callable[[], Job | None], cancel: Callable[[], object]) -> None:
        self.store = Losing(ledger)
        self._find = find
        self.cancel = cancel
        self.clock = VirtualClock()
        self.patient = PatientLedger(cast(JobLedger, self.store), LEASE_S, self.clock, self.clock.sleep)

    def find(self) -> Job:
        found = self._find()
        assert found is not None
        return found

    def fence(self) -> Fence:
        granted = self.patient.claim("j", 0, "mine", "host", 7)
        assert granted is not None
        return granted.fence

    def running(self) -> Fence:
        fence = self.fence()
        self.patient.start(fence, 2, 20)
        return fence

    def finalizing(self) -> Fence:
        fence = self.running()
        self.patient.commit(fence, [row(0), row(1)], DONE)
        self.patient.freeze(fence)
        return fence


@pytest.fixture(params=["memory", "sqlite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "memory":
        memory = MemoryLedger([job("j")])
        yield Bench(memory, lambda: memory.job("j"), lambda: memory.request_cancel("j"))
        return
    with open_store(tmp_path / "home") as store:
        store.create_job(W, job("j"))
        yield Bench(store, lambda: store.find_job("j"), lambda: store.request_cancel(W, "j"))


@pytest.fixture(params=["requests_lost", "replies_lost"])
def lose(request: pytest.FixtureRequest, bench: Bench) -> Callable[[], None]:
    """Has the store lose the next three."""
    return lambda: setattr(bench.store, request.param, 3)


def test_a_claim_is_made_once(bench: Bench, lose: Callable[[], None]) -> None:
    lose()
    assert bench.fence().epoch == 1
    assert bench.patient.epoch_of("j") == 1


def test_a_job_starts_once(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.fence()
    lose()
    bench.patient.start(fence, 2, 20)
    assert bench.find().status is JobStatus.RUNNING and bench.find().progress.mini_batches == 2


def test_a_beat_learns_of_a_cancel(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.running()
    bench.cancel()
    lose()
    assert bench.patient.beat(fence, DONE).cancel_requested


def test_rows_are_committed_once(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.running()
    lose()
    assert bench.patient.commit(fence, [row(0), row(1)], DONE) == {(0, 0), (1, 0)}
    assert bench.patient.ledger("j", 0) == [row(0), row(1)]
    assert bench.patient.tally("j", 0).items == 20


def test_rows_that_came_too_late_for_a_cancel_are_not_taken_for_committed(
    bench: Bench, lose: Callable[[], None]
) -> None:
    fence = bench.running()
    bench.cancel()
    lose()
    assert bench.patient.commit(fence, [row(0)], DONE) == set()


def test_a_ledger_is_frozen_once(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.running()
    bench.patient.commit(fence, [row(0), row(1)], DONE)
    lose()
    bench.patient.freeze(fence)
    assert bench.find().status is JobStatus.FINALIZING


def test_a_job_completes_once(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.finalizing()
    lose()
    bench.patient.complete(fence, "abc", 7, DONE, (), {})
    assert bench.find().status is JobStatus.COMPLETED
    assert bench.patient.output_of("j") == ("abc", 7)


def test_a_job_fails_once(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.running()
    lose()
    bench.patient.fail(fence, JobError(code="X", message="why"), DONE, ())
    ended = bench.find()
    assert ended.error == JobError(code="X", message="why")


def test_a_cancel_is_carried_out_once(bench: Bench, lose: Callable[[], None]) -> None:
    fence = bench.running()
    bench.cancel()
    lose()
    bench.patient.canceled(fence, DONE)
    assert bench.find().status is JobStatus.CANCELED


def test_a_driver_that_lost_its_job_meanwhile_is_told_so(bench: Bench) -> None:
    fence = bench.running()
    bench.store.ledger.claim("j", 1, "another", "host", 8)
    bench.store.requests_lost = 3
    with pytest.raises(Fenced):
        bench.patient.commit(fence, [row(0)], DONE)


def test_a_reading_that_breaks_off_goes_on_where_it_was(bench: Bench) -> None:
    fence = bench.running()
    bench.patient.commit(fence, [row(0), row(1)], DONE)
    for arrived in range(3):
        bench.store.rows_until_lost = arrived
        assert bench.patient.ledger("j", 0) == [row(0), row(1)]


def test_a_driver_waits_for_two_thirds_of_its_lease_and_no_longer(bench: Bench) -> None:
    fence = bench.running()
    confirmed = bench.clock.now
    bench.store.requests_lost = 10_000
    with pytest.raises(StoreUnavailable):
        bench.patient.beat(fence, DONE)
    assert bench.clock.now - confirmed == pytest.approx(LEASE_S * FENCE_SHARE)
    assert bench.store.calls < 40, "it asks again, but does not hammer"


def test_only_a_confirmed_write_is_a_sign_of_life(bench: Bench) -> None:
    fence = bench.running()
    bench.clock.sleep(15)
    bench.patient.epoch_of("j")
    bench.store.requests_lost = 10_000
    with pytest.raises(StoreUnavailable):
        bench.patient.beat(fence, DONE)
    assert bench.clock.now == pytest.approx(LEASE_S * FENCE_SHARE)


def test_a_driver_that_was_stopped_for_long_asks_once_whether_the_job_is_still_its_own(bench: Bench) -> None:
    fence = bench.running()
    bench.clock.sleep(3600)
    assert not bench.patient.beat(fence, DONE).cancel_requested
    bench.clock.sleep(3600)
    bench.store.requests_lost = 1
    with pytest.raises(StoreUnavailable):
        bench.patient.beat(fence, DONE)


def test_a_damaged_store_is_not_asked_again(bench: Bench) -> None:
    fence = bench.running()
    bench.store.error, bench.store.requests_lost = StoreDamaged, 1
    with pytest.raises(StoreDamaged):
        bench.patient.beat(fence, DONE)
    assert bench.clock.now == 0
