"""One suite over every ``JobLedger``: the fenced primitives answer alike, in memory and on the database."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchpoint.entities.job import FailureReason, Job, JobError, JobStatus, Progress
from batchpoint.errors import (
    BatchpointError,
    CancelRequested,
    Fenced,
    InternalError,
    ResourceConflict,
    ResourceNotFound,
)
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Claimed, Fence, JobLedger, LedgerRow, Standing
from batchpoint.store.store import Store, open_store
from tests.contract.conftest import open_files
from tests.contract.made import W, failed, job, row

DONE = Progress(mini_batches=2, mini_batches_done=2, items=20, items_succeeded=20, rows=20)


@dataclass(frozen=True)
class Kept:
    """A ledger, and what the control plane does beside it."""

    ledger: JobLedger
    add: Callable[[Job], object]
    job: Callable[[str], Job | None]
    cancel: Callable[[str], Job]


def in_memory() -> Kept:
    memory = MemoryLedger()
    return Kept(memory, memory.add, memory.job, memory.request_cancel)


def on_database(store: Store) -> Kept:
    return Kept(store, lambda new: store.create_job(W, new), store.find_job, lambda name: store.request_cancel(W, name))


@pytest.fixture(params=["memory", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """A ledger that holds one job, "j", of two mini-batches with ten items each."""
    if request.param == "memory":
        subject = in_memory()
        subject.add(job("j"))
        yield subject
        return
    with open_store(tmp_path / "home") as store:
        subject = on_database(store)
        subject.add(job("j"))
        yield subject
    assert not open_files(tmp_path / "home")


def claimed(kept: Kept, nonce: str = "mine") -> Fence:
    granted = kept.ledger.claim("j", kept.ledger.epoch_of("j"), nonce, "host", 7)
    assert granted
    return granted.fence


def running(kept: Kept) -> Fence:
    fence = claimed(kept)
    kept.ledger.start(fence, 2, 20)
    return fence


def finalizing(kept: Kept) -> Fence:
    fence = running(kept)
    kept.ledger.commit(fence, [row(0), row(1)], DONE)
    kept.ledger.freeze(fence)
    return fence


def completed(kept: Kept) -> Fence:
    fence = finalizing(kept)
    kept.ledger.complete(fence, "5ha", 400, DONE, (), {})
    return fence


def cancel_requested(kept: Kept) -> Fence:
    fence = running(kept)
    kept.cancel("j")
    return fence


def status(kept: Kept) -> JobStatus:
    found = kept.job("j")
    assert found
    return found.status


# --- claim


def test_the_first_claim_is_granted_and_tells_who_drives(kept: Kept) -> None:
    granted = kept.ledger.claim("j", 0, "mine", "host", 7)
    assert granted == Claimed(Fence("j", 0, 1, "mine"), job("j"), driver_deaths=0)
    heart = kept.ledger.heartbeat("j")
    assert (heart.epoch, heart.host, heart.pid) == (1, "host", 7)
    assert heart.beat > 0, "a driver that dies right after its claim must be seen to have lived"


def test_a_repeated_claim_gets_the_same_answer(kept: Kept) -> None:
    first = kept.ledger.claim("j", 0, "mine", "host", 7)
    assert kept.ledger.claim("j", 0, "mine", "host", 7) == first
    assert kept.ledger.epoch_of("j") == 1


def test_a_driver_never_takes_over_from_itself(kept: Kept) -> None:
    first = kept.ledger.claim("j", 0, "mine", "host", 7)
    assert kept.ledger.claim("j", 1, "mine", "host", 7) == first


def test_of_two_claims_on_one_observation_the_first_wins(kept: Kept) -> None:
    assert kept.ledger.claim("j", 0, "mine", "host", 7)
    assert kept.ledger.claim("j", 0, "other", "host", 8) is None
    assert kept.ledger.heartbeat("j").pid == 7


def test_a_claim_that_arrives_after_a_later_one_is_refused(kept: Kept) -> None:
    claimed(kept, "mine")
    claimed(kept, "other")
    assert kept.ledger.claim("j", 0, "mine", "host", 7) is None
    assert kept.ledger.claim("j", 1, "mine", "host", 7) is None


def test_a_take_over_counts_as_a_death_of_the_driver(kept: Kept) -> None:
    claimed(kept, "mine")
    second = kept.ledger.claim("j", 1, "other", "host", 8)
    assert second and second.driver_deaths == 1 and second.fence.epoch == 2
    third = kept.ledger.claim("j", 2, "third", "host", 9)
    assert third and third.driver_deaths == 2


def test_a_job_that_has_ended_cannot_be_claimed_not_even_again(kept: Kept) -> None:
    completed(kept)
    assert kept.ledger.claim("j", 1, "other", "host", 8) is None
    assert kept.ledger.claim("j", 0, "mine", "host", 7) is None


def test_a_job_whose_cancel_was_requested_can_be_taken_over_to_finish_the_cancel(kept: Kept) -> None:
    cancel_requested(kept)
    granted = kept.ledger.claim("j", 1, "other", "host", 8)
    assert granted and granted.job.status is JobStatus.CANCEL_REQUESTED
    kept.ledger.canceled(granted.fence, Progress())
    assert status(kept) is JobStatus.CANCELED


def test_an_unknown_job_is_not_found(kept: Kept) -> None:
    nobody = Fence("nobody", 0, 1, "mine")
    for call in (
        lambda: kept.ledger.epoch_of("nobody"),
        lambda: kept.ledger.claim("nobody", 0, "mine", "host", 7),
        lambda: kept.ledger.beat(nobody, Progress()),
        lambda: kept.ledger.ledger("nobody", 0),
        lambda: kept.ledger.output_of("nobody"),
    ):
        with pytest.raises(ResourceNotFound, match="nobody"):
            call()


# --- fences

PRIMITIVES: dict[str, Callable[[JobLedger, Fence], object]] = {
    "start": lambda ledger, fence: ledger.start(fence, 2, 20),
    "beat": lambda ledger, fence: ledger.beat(fence, DONE),
    "commit": lambda ledger, fence: ledger.commit(fence, [row(0)], DONE),
    "freeze": lambda ledger, fence: ledger.freeze(fence),
    "complete": lambda ledger, fence: ledger.complete(fence, "5ha", 400, DONE, (), {}),
    "fail": lambda ledger, fence: ledger.fail(fence, JobError(code="c", message="m"), DONE, ()),
    "canceled": lambda ledger, fence: ledger.canceled(fence, DONE),
}
STALE = {
    "an earlier claim": lambda fence: Fence("j", fence.revision, fence.epoch - 1, "mine"),
    "the epoch with another nonce": lambda fence: Fence("j", fence.revision, fence.epoch, "stale"),
    "another revision": lambda fence: Fence("j", fence.revision - 1, fence.epoch, fence.nonce),
}


@pytest.mark.parametrize("reach", [running, finalizing, cancel_requested, completed])
@pytest.mark.parametrize("stale", STALE)
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_who_no_longer_holds_the_job_changes_nothing(
    kept: Kept, primitive: str, stale: str, reach: Callable[[Kept], Fence]
) -> None:
    held = reach(kept)
    if not status(kept).is_terminal:
        held = claimed(kept, "other")
    before = (kept.job("j"), kept.ledger.heartbeat("j"), kept.ledger.ledger("j", 0))
    with pytest.raises(Fenced, match="Another driver"):
        PRIMITIVES[primitive](kept.ledger, STALE[stale](held))
    assert before == (kept.job("j"), kept.ledger.heartbeat("j"), kept.ledger.ledger("j", 0))


# --- start


def test_start_makes_the_job_run_and_records_its_size(kept: Kept) -> None:
    running(kept)
    found = kept.job("j")
    assert found and found.status is JobStatus.RUNNING and found.started_at
    assert (found.progress.mini_batches, found.progress.items) == (2, 20)


def test_a_driver_that_takes_over_does_not_start_the_job_again(kept: Kept) -> None:
    kept.ledger.commit(running(kept), [row(0)], DONE)
    before = kept.job("j")
    kept.ledger.start(claimed(kept, "other"), 9, 90)
    assert kept.job("j") == before


@pytest.mark.parametrize("reach", [finalizing, cancel_requested])
def test_start_does_not_lead_back(kept: Kept, reach: Callable[[Kept], Fence]) -> None:
    fence = reach(kept)
    before = status(kept)
    kept.ledger.start(fence, 2, 20)
    assert status(kept) is before


def test_start_is_refused_once_the_job_has_ended(kept: Kept) -> None:
    with pytest.raises(Fenced, match="ended"):
        kept.ledger.start(completed(kept), 2, 20)


# --- beat


def test_every_beat_can_be_told_from_the_one_before(kept: Kept) -> None:
    fence = running(kept)
    beats = []
    for _ in range(3):
        kept.ledger.beat(fence, DONE)
        beats.append(kept.ledger.heartbeat("j"))
    assert len(set(beats)) == 3
    found = kept.job("j")
    assert found and found.progress == DONE


def test_a_beat_tells_that_somebody_asked_to_cancel(kept: Kept) -> None:
    fence = running(kept)
    assert kept.ledger.beat(fence, DONE) == Standing(JobStatus.RUNNING, cancel_requested=False)
    kept.cancel("j")
    assert kept.ledger.beat(fence, DONE) == Standing(JobStatus.CANCEL_REQUESTED, cancel_requested=True)


def test_a_beat_after_the_end_changes_nothing(kept: Kept) -> None:
    fence = completed(kept)
    before = (kept.job("j"), kept.ledger.heartbeat("j"))
    assert kept.ledger.beat(fence, Progress()).status is JobStatus.COMPLETED
    assert before == (kept.job("j"), kept.ledger.heartbeat("j"))


# --- commit


def test_committed_rows_stand_in_output_order(kept: Kept) -> None:
    fence = running(kept)
    rows = [row(1), failed(2), row(0, 5, 5), row(0, 0, 5), row(10)]
    assert kept.ledger.commit(fence, rows, DONE) == {(1, 0), (2, 0), (0, 5), (0, 0), (10, 0)}
    assert kept.ledger.ledger("j", 0) == [row(0, 0, 5), row(0, 5, 5), row(1), failed(2), row(10)]
    assert kept.ledger.ledger("j", 1) == []
    found = kept.job("j")
    assert found and found.progress == DONE


def test_a_commit_is_a_sign_of_life(kept: Kept) -> None:
    fence = running(kept)
    before = kept.ledger.heartbeat("j")
    assert kept.ledger.commit(fence, [], DONE) == set()
    assert kept.ledger.heartbeat("j") != before


def test_the_first_row_under_a_key_stays(kept: Kept) -> None:
    fence = running(kept)
    kept.ledger.commit(fence, [row(0, attempt=1)], DONE)
    assert kept.ledger.commit(fence, [row(0, attempt=2), row(1)], DONE) == {(1, 0)}
    assert kept.ledger.ledger("j", 0) == [row(0, attempt=1), row(1)]


def test_of_two_rows_in_one_commit_the_first_stays(kept: Kept) -> None:
    kept.ledger.commit(running(kept), [row(0, attempt=1), row(0, attempt=2)], DONE)
    assert kept.ledger.ledger("j", 0) == [row(0, attempt=1)]


def test_a_repeated_commit_gets_the_same_answer(kept: Kept) -> None:
    fence = running(kept)
    rows = [row(n) for n in range(1200)]
    first = kept.ledger.commit(fence, rows, DONE)
    assert kept.ledger.commit(fence, rows, DONE) == first == {row.key for row in rows}
    assert kept.ledger.ledger("j", 0) == rows


def test_the_same_failure_seen_by_an_earlier_driver_is_not_mine(kept: Kept) -> None:
    kept.ledger.commit(running(kept), [failed(0)], DONE)
    assert kept.ledger.commit(claimed(kept, "other"), [failed(0)], DONE) == set()


def test_rows_are_ignored_once_cancel_is_requested(kept: Kept) -> None:
    fence = cancel_requested(kept)
    assert kept.ledger.commit(fence, [row(0)], DONE) == set()
    assert kept.ledger.ledger("j", 0) == []


@pytest.mark.parametrize("reach", [claimed, finalizing, completed])
def test_rows_are_taken_only_while_the_job_runs(kept: Kept, reach: Callable[[Kept], Fence]) -> None:
    fence = reach(kept)
    before = kept.ledger.ledger("j", 0)
    with pytest.raises(Fenced, match="takes no rows"):
        kept.ledger.commit(fence, [row(5)], DONE)
    assert kept.ledger.ledger("j", 0) == before


def test_a_reason_keeps_bytes_that_are_no_text_readable(kept: Kept) -> None:
    kept.ledger.commit(running(kept), [failed(0, "no such file: b\udcff\0.png")], DONE)
    assert kept.ledger.ledger("j", 0)[0].reason == "no such file: b\\udcff\\x00.png"


# --- freeze


def test_freeze_demands_every_item(kept: Kept) -> None:
    fence = running(kept)
    kept.ledger.commit(fence, [row(0), row(1, 0, 9)], DONE)
    with pytest.raises(InternalError, match=r"covers 19 items .* the plan has 20"):
        kept.ledger.freeze(fence)
    assert status(kept) is JobStatus.RUNNING
    kept.ledger.commit(fence, [row(1, 9, 1)], DONE)
    kept.ledger.freeze(fence)
    assert status(kept) is JobStatus.FINALIZING


def test_freeze_sees_that_an_item_is_there_twice_while_another_is_missing(kept: Kept) -> None:
    fence = running(kept)
    kept.ledger.commit(fence, [row(0), row(1, 0, 6), row(1, 4, 4)], DONE)
    with pytest.raises(InternalError, match="1 overlapping"):
        kept.ledger.freeze(fence)


def test_freeze_counts_failures_as_covered(kept: Kept) -> None:
    fence = running(kept)
    kept.ledger.commit(fence, [row(0), failed(1)], DONE)
    kept.ledger.freeze(fence)
    assert status(kept) is JobStatus.FINALIZING


def test_freeze_may_be_repeated_and_found_done_by_the_next_driver(kept: Kept) -> None:
    fence = finalizing(kept)
    kept.ledger.freeze(fence)
    kept.ledger.freeze(claimed(kept, "other"))
    assert status(kept) is JobStatus.FINALIZING


def test_a_cancel_that_came_before_freeze_wins(kept: Kept) -> None:
    fence = running(kept)
    kept.ledger.commit(fence, [row(0), row(1)], DONE)
    kept.cancel("j")
    with pytest.raises(CancelRequested):
        kept.ledger.freeze(fence)
    assert status(kept) is JobStatus.CANCEL_REQUESTED


# --- the end


def test_complete_records_the_output_and_what_failed(kept: Kept) -> None:
    fence = finalizing(kept)
    assert kept.ledger.output_of("j") is None
    reasons = (FailureReason(code="ScriptRaised", message="ValueError", mini_batches=1, items=10),)
    kept.ledger.complete(fence, "5ha", 400, DONE, reasons, {"failed_items": "10"})
    found = kept.job("j")
    assert found and found.status is JobStatus.COMPLETED and found.ended_at and found.failures == reasons
    assert found.properties == {"failed_items": "10"} and found.progress == DONE
    assert kept.ledger.output_of("j") == ("5ha", 400)


def test_complete_demands_a_frozen_ledger(kept: Kept) -> None:
    fence = running(kept)
    with pytest.raises(InternalError, match="frozen"):
        kept.ledger.complete(fence, "5ha", 400, DONE, (), {})
    assert status(kept) is JobStatus.RUNNING


@pytest.mark.parametrize("reach", [claimed, running, finalizing, cancel_requested])
def test_a_job_may_fail_at_any_time_before_its_end(kept: Kept, reach: Callable[[Kept], Fence]) -> None:
    error = JobError(code="ScriptRaised", message="ValueError: x")
    kept.ledger.fail(reach(kept), error, DONE, ())
    found = kept.job("j")
    assert found and found.status is JobStatus.FAILED and found.error == error and found.ended_at


def test_only_a_job_that_was_asked_to_cancel_becomes_canceled(kept: Kept) -> None:
    fence = running(kept)
    with pytest.raises(InternalError, match="nobody asked"):
        kept.ledger.canceled(fence, DONE)
    kept.cancel("j")
    kept.ledger.canceled(fence, DONE)
    found = kept.job("j")
    assert found and found.status is JobStatus.CANCELED and found.ended_at


ENDS: dict[str, tuple[Callable[[Kept], Fence], Callable[[JobLedger, Fence], object]]] = {
    end: (reach, PRIMITIVES[end])
    for end, reach in {"complete": finalizing, "fail": running, "canceled": cancel_requested}.items()
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_may_be_repeated(kept: Kept, end: str) -> None:
    reach, call = ENDS[end]
    fence = reach(kept)
    call(kept.ledger, fence)
    before = (kept.job("j"), kept.ledger.heartbeat("j"))
    call(kept.ledger, fence)
    assert before == (kept.job("j"), kept.ledger.heartbeat("j"))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("other", ENDS)
def test_an_end_is_never_replaced_by_another(kept: Kept, end: str, other: str) -> None:
    if end == other:
        return
    reach, call = ENDS[end]
    fence = reach(kept)
    call(kept.ledger, fence)
    before = kept.job("j")
    with pytest.raises(Fenced, match="ended"):
        PRIMITIVES[other](kept.ledger, fence)
    assert kept.job("j") == before


# --- cancel


def test_a_job_that_no_driver_has_claimed_is_canceled_at_once(kept: Kept) -> None:
    canceled = kept.cancel("j")
    assert canceled.status is JobStatus.CANCELED and canceled.ended_at
    assert kept.ledger.claim("j", 0, "mine", "host", 7) is None


@pytest.mark.parametrize("reach", [claimed, running])
def test_a_claimed_job_waits_for_its_driver_to_stop(kept: Kept, reach: Callable[[Kept], Fence]) -> None:
    reach(kept)
    assert kept.cancel("j").status is JobStatus.CANCEL_REQUESTED
    assert kept.cancel("j").status is JobStatus.CANCEL_REQUESTED
    assert status(kept) is JobStatus.CANCEL_REQUESTED


@pytest.mark.parametrize(("reach", "word"), [(finalizing, "Finalizing"), (completed, "Completed")])
def test_it_can_be_too_late_to_cancel(kept: Kept, reach: Callable[[Kept], Fence], word: str) -> None:
    reach(kept)
    with pytest.raises(ResourceConflict, match=word):
        kept.cancel("j")
    assert status(kept) == word


# --- both at once


@dataclass(frozen=True)
class Call:
    """Something that a driver, in time or late, or a user does."""

    name: str
    #: True: with the fence of the latest claim; else with the one below.
    current: bool
    epoch: int
    nonce: str
    rows: tuple[LedgerRow, ...]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(["claim", "claim", "cancel", "commit", "commit", *PRIMITIVES]))
    keys = st.tuples(st.integers(0, 1), st.sampled_from([(0, 10), (0, 10), (0, 5), (5, 5)]))
    rows = tuple(row(m, first, items) for m, (first, items) in draw(st.lists(keys, max_size=3)))
    current = draw(st.integers(0, 4)) > 0
    return Call(name, current, draw(st.integers(0, 3)), draw(st.sampled_from("ab")), rows)


def answer(kept: Kept, call: Call, fence: Fence) -> object:
    try:
        if call.name == "claim":
            granted = kept.ledger.claim(fence.job, fence.epoch, call.nonce, "host", 7)
            return granted and (granted.fence, granted.job.status, granted.driver_deaths)
        if call.name == "cancel":
            return kept.cancel(fence.job).status
        if call.name == "commit":
            return kept.ledger.commit(fence, call.rows, DONE)
        return PRIMITIVES[call.name](kept.ledger, fence)
    except BatchpointError as error:
        return type(error), error.message


NUMBERS = itertools.count()
#: A run that gets through, so that what is tried at random starts from every status.
PROLOGUE = [
    Call("claim", True, 0, "a", ()),
    Call("start", True, 0, "a", ()),
    Call("commit", True, 0, "a", (row(0), row(1))),
    Call("freeze", True, 0, "a", ()),
    Call("complete", True, 0, "a", ()),
]


@given(prologue=st.integers(0, len(PROLOGUE)), sequence=st.lists(calls(), min_size=1, max_size=20))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ledgers_answer_alike_whatever_is_asked(store: Store, prologue: int, sequence: list[Call]) -> None:
    name = f"job-{next(NUMBERS)}"
    memory, database = in_memory(), on_database(store)
    memory.add(job(name))
    database.add(job(name))
    held = Fence(name, 0, 0, "")
    for call in [*PROLOGUE[:prologue], *sequence]:
        fence = held if call.current else Fence(name, 0, call.epoch, call.nonce)
        given_answer = answer(memory, call, fence)
        assert given_answer == answer(database, call, fence)
        if call.name == "claim" and isinstance(given_answer, tuple) and isinstance(given_answer[0], Fence):
            held = given_answer[0]
        assert memory.ledger.ledger(name, 0) == database.ledger.ledger(name, 0)
        assert memory.ledger.heartbeat(name) == database.ledger.heartbeat(name)
