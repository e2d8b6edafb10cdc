"""When a job is over, what its counters say, and how mini-batches travel in messages."""

import random

import pytest

from batchpoint.engine.dispatch.dispatcher import MESSAGE_MAX
from batchpoint.engine.messages import Cancel, GiveUp, Keep, PlanReady, Score
from batchpoint.engine.preparation.pieces import Coverage
from tests.unit.dispatch_hall import RAISED, Hall, covered, given, only, started


def counts(hall: Hall) -> tuple[int, int, int]:
    dispatcher = hall.dispatcher
    return dispatcher.settled, dispatcher.items_succeeded, dispatcher.items_failed


def test_a_job_ends_when_every_mini_batch_is_settled() -> None:
    hall = Hall(slots=2)
    hall.plan(3, size=10, items=25)
    hall.ready(0, 1)
    hall.scored(0)
    hall.scored(1)
    assert hall.end is None
    hall.scored(0, results=5)
    assert hall.end is not None and hall.end.failure is None and not hall.end.canceled
    assert counts(hall) == (3, 25, 0)


def test_after_the_end_nothing_follows() -> None:
    hall = Hall()
    hall.plan(1)
    hall.ready(0)
    hall.scored(0)
    for event in (Cancel(), PlanReady(Coverage(10, 10))):
        assert hall.tell(event) == []
    assert hall.dies(0) == [] and hall.wait(10_000) == []


def test_too_few_results_count_as_failed_items() -> None:
    hall = Hall()
    hall.plan(2)
    hall.ready(0)
    (keep,) = only(Keep, hall.scored(0, results=7))
    assert keep.items_failed == 3
    hall.scored(0, results=0)
    assert counts(hall) == (2, 7, 13)
    assert hall.end is not None and hall.end.failure is None


def test_more_results_than_items_count_as_items() -> None:
    hall = Hall()
    hall.plan(1)
    hall.ready(0)
    (keep,) = only(Keep, hall.scored(0, results=99))
    assert keep.items_failed == 0
    assert counts(hall) == (1, 10, 0)


@pytest.mark.parametrize(("threshold", "ends"), [(-1, False), (0, True), (9, True), (10, False), (11, False)])
def test_error_threshold_counts_items_and_is_exceeded_not_reached(threshold: int, ends: bool) -> None:
    hall = Hall(max_tries=1, error_threshold=threshold)
    hall.plan(2)
    hall.ready(0)
    hall.raised(0)
    assert (hall.end is not None) == ends
    if hall.end is not None:
        assert hall.end.failure is not None and hall.end.failure.code == "ErrorThresholdExceeded"
        assert "10 items failed" in hall.end.failure.message and "bad header" in hall.end.failure.message
        assert hall.end.failure.traceback == RAISED.traceback


def test_a_mini_batch_that_succeeds_later_does_not_count_toward_error_threshold() -> None:
    hall = Hall(error_threshold=0)
    hall.plan(1)
    hall.ready(0)
    hall.raised(0)
    hall.raised(0)
    hall.scored(0)
    assert hall.end is not None and hall.end.failure is None


def test_missing_results_count_toward_error_threshold() -> None:
    hall = Hall(error_threshold=2)
    hall.plan(2)
    hall.ready(0)
    hall.scored(0, results=8)
    assert hall.end is None
    hall.scored(0, results=9)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "ErrorThresholdExceeded"


def test_the_last_mini_batch_counts_its_own_size() -> None:
    hall = Hall(max_tries=1, error_threshold=4)
    hall.plan(2, size=10, items=14)
    hall.ready(0)
    hall.scored(0)
    hall.raised(0)
    assert counts(hall) == (2, 10, 4)
    assert hall.end is not None and hall.end.failure is None


def test_a_job_without_a_single_success_fails_with_the_first_traceback() -> None:
    hall = Hall(max_tries=1)
    hall.plan(2)
    hall.ready(0)
    hall.raised(0)
    hall.raised(0)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "NoSuccessfulItems"
    assert "20" in hall.end.failure.message and "bad header" in hall.end.failure.message
    assert hall.end.failure.traceback == RAISED.traceback


def test_empty_results_everywhere_are_no_success() -> None:
    hall = Hall()
    hall.plan(1)
    hall.ready(0)
    hall.scored(0, results=0)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "NoSuccessfulItems" and "0 results" in hall.end.failure.message


def test_cancel_ends_the_job_whatever_runs() -> None:
    hall = Hall(slots=2)
    hall.plan(10)
    hall.ready(0)
    hall.tell(Cancel())
    assert hall.end is not None and hall.end.canceled and hall.end.failure is None
    assert hall.scored(0) == []


# ---- resume -------------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_given_out_again() -> None:
    hall = Hall()
    hall.ready(0)
    before = covered(Coverage(50, 10), (0, 0, 10), (2, 20, 10))
    hall.tell(PlanReady(covered(before, (4, 40, 10), failed=True)))
    assert counts(hall) == (3, 20, 10)
    hall.scored(0)
    hall.scored(0)
    assert [piece.mini_batch for score in hall.all(Score) for piece, _ in score.work] == [1, 3]
    assert counts(hall) == (5, 40, 10) and hall.end is not None and hall.end.failure is None


def test_a_plan_that_is_done_already_ends_at_once() -> None:
    hall = Hall()
    hall.tell(PlanReady(covered(Coverage(20, 10), (0, 0, 10), (1, 10, 10))))
    assert hall.end is not None and hall.end.failure is None


def test_failures_of_an_earlier_driver_count_toward_the_threshold() -> None:
    hall = Hall(error_threshold=9)
    before = covered(Coverage(30, 10), (0, 0, 10))
    hall.tell(PlanReady(covered(before, (1, 10, 10), failed=True)))
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "ErrorThresholdExceeded"


def test_a_job_whose_every_mini_batch_failed_under_an_earlier_driver_fails_with_the_reason() -> None:
    hall = Hall()
    hall.tell(PlanReady(covered(Coverage(10, 10), (0, 0, 10), failed=True), first_failure=RAISED))
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "NoSuccessfulItems" and "bad header" in hall.end.failure.message


# ---- messages -----------------------------------------------------------------------------------------------------


def sizes(hall: Hall, seconds: float, answers: int) -> list[int]:
    """Mini-batches in each message while one worker answers so often, each mini-batch taking ``seconds``."""
    seen = []
    for _ in range(answers):
        seen += [len(score.work) for score in only(Score, hall.scored(0, seconds=seconds))]
    return seen


def test_the_first_message_carries_one_mini_batch() -> None:
    hall = Hall()
    hall.plan(10_000)
    assert given(hall.ready(0)) == {0: [0]}


def test_short_mini_batches_travel_several_at_a_time_and_never_beyond_the_limit() -> None:
    hall = Hall()
    hall.plan(10_000)
    hall.ready(0)
    seen = sizes(hall, 0.000_001, 2000)
    assert max(seen) == MESSAGE_MAX


def test_a_worker_holds_two_messages_at_most() -> None:
    hall = Hall()
    hall.plan(10_000)
    hall.ready(0)
    for _ in range(3000):
        hall.scored(0, seconds=0.001)
        (hand,) = hall.dispatcher.workers()
        assert len(hand.assigned) <= 40


@pytest.mark.parametrize("seconds", [0.06, 1.0, 500.0])
def test_long_mini_batches_travel_alone_and_none_is_sent_ahead(seconds: float) -> None:
    hall = Hall()
    hall.plan(200)
    hall.ready(0)
    for _ in range(100):
        (score,) = only(Score, hall.scored(0, seconds=seconds))
        assert len(score.work) == 1
        (hand,) = hall.dispatcher.workers()
        assert len(hand.assigned) == 1


def test_messages_shrink_toward_the_end_so_that_no_worker_is_left_with_the_rest() -> None:
    hall = Hall(slots=4)
    hall.plan(400)
    hall.ready(0, 1, 2, 3)
    last: dict[int, int] = {}
    while hall.end is None:
        for worker in range(4):
            hand = next(hand for hand in hall.dispatcher.workers() if hand.worker == worker)
            if hall.end is None and hand.assigned:
                for score in only(Score, hall.scored(worker, seconds=0.000_1)):
                    last[score.worker] = len(score.work)
    assert set(last.values()) == {1}
    assert counts(hall)[0] == 400


def test_every_mini_batch_is_given_out_in_order_where_nothing_goes_wrong() -> None:
    hall = Hall()
    hall.plan(500)
    hall.ready(0)
    random.seed(7)
    while hall.end is None:
        hall.scored(0, seconds=random.choice([0.0001, 0.004, 0.03, 0.3]))
    assert [keep.scored.mini_batch for keep in hall.all(Keep)] == list(range(500))
    assert not hall.all(GiveUp) and started(hall.done) == [0]
