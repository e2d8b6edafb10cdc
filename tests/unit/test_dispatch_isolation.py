"""How a mini-batch that keeps failing is taken apart: what is tried, in which order, how often, and what is lost."""

import math
import tracemalloc

import pytest

from batchpoint.engine.dispatch import GIVEN_BACK_MAX
from batchpoint.engine.messages import Failure, GiveUp, Keep, NoteFailure, PlanReady
from batchpoint.engine.preparation.pieces import Coverage, Piece
from tests.unit.dispatch_hall import KILLED, RAISED, REJECTED, SEGFAULT, Hall, covered, only, pieces, started

Rows = list[tuple[int, int]]


def isolating(mini_batches: int = 1, size: int = 8, **policy: float) -> Hall:
    hall = Hall(isolate=True, **policy)  # type: ignore[arg-type]
    hall.plan(mini_batches, size=size)
    hall.ready(0)
    return hall


def play(hall: Hall, guilty: set[int], failure: Failure = RAISED) -> Rows:
    """One worker scores until the end; answers what was executed, as (first item, items)."""
    executed = []
    while hall.end is None:
        (piece, _) = hall.running(0)
        executed.append((piece.first_item, piece.items))
        if guilty & set(range(piece.first_item, piece.end)):
            hall.raised(0, failure)
        else:
            hall.scored(0)
    return executed


def lost(hall: Hall) -> Rows:
    return [(give_up.piece.first_item, give_up.piece.items) for give_up in hall.all(GiveUp)]


def kept(hall: Hall) -> Rows:
    return sorted((keep.piece.first_item, keep.piece.items) for keep in hall.all(Keep))


def test_a_mini_batch_is_halved_after_its_tries_until_the_guilty_item_stands_alone() -> None:
    hall = isolating(size=8)
    assert play(hall, {5}) == [(0, 8), (0, 8), (0, 8), (0, 4), (4, 4), (4, 2), (6, 2), (4, 1), (5, 1)]
    assert (lost(hall), kept(hall)) == ([(5, 1)], [(0, 4), (4, 1), (6, 2)])
    assert hall.end is not None and hall.end.failure is None
    assert (hall.dispatcher.settled, hall.dispatcher.items_succeeded, hall.dispatcher.items_failed) == (1, 7, 1)
    assert hall.dispatcher.failed_attempts == 6


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 100, 1000])
@pytest.mark.parametrize("tries", [1, 3])
def test_executions_stay_within_their_bound(size: int, tries: int) -> None:
    for guilty in ({0}, {size - 1}, {size // 3}, {0, size - 1}, set(range(0, size, 7))):
        hall = isolating(size=size, max_tries=tries)
        executed = play(hall, guilty)
        assert {first for first, _ in lost(hall)} == guilty and len(lost(hall)) == len(guilty)
        assert sum(items for _, items in kept(hall)) == size - len(guilty)
        assert len(executed) <= tries + 2 * len(guilty) * math.ceil(math.log2(size))


def test_rows_count_the_tries_of_the_whole_and_one_for_each_halving() -> None:
    hall = isolating(size=4, max_tries=2)
    play(hall, {3})
    tries = {(keep.piece.first_item, keep.piece.items): keep.tries for keep in hall.all(Keep)}
    assert tries == {(0, 2): 3, (2, 1): 4}
    assert [give_up.tries for give_up in hall.all(GiveUp)] == [4]
    assert [(note.tries, note.halved) for note in hall.all(NoteFailure)] == [
        (1, False),
        (2, True),
        (3, True),
        (4, False),
    ]


def test_what_is_halved_comes_after_what_nobody_has_tried() -> None:
    hall = isolating(mini_batches=3, size=2, max_tries=1)
    assert play(hall, {0}) == [(0, 2), (2, 2), (4, 2), (0, 1), (1, 1)]


def test_without_isolation_the_whole_mini_batch_is_lost() -> None:
    hall = Hall()
    hall.plan(1, size=8, items=8)
    hall.ready(0)
    assert play(hall, {5}) == 3 * [(0, 8)]
    assert lost(hall) == [(0, 8)]


def test_too_few_results_are_kept_as_they_are() -> None:
    hall = isolating(size=8)
    (keep,) = only(Keep, hall.scored(0, results=5))
    assert keep.items_failed == 3 and not hall.all(GiveUp)


def test_error_threshold_counts_what_is_lost_after_isolation() -> None:
    hall = isolating(size=8, error_threshold=1)
    play(hall, {5})
    assert hall.end is not None and hall.end.failure is None
    hall = isolating(size=8, error_threshold=1)
    play(hall, {1, 5})
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "ErrorThresholdExceeded"


def test_a_half_that_kills_its_worker_is_halved_like_one_that_raises() -> None:
    hall = isolating(size=2, max_tries=1)
    for worker in range(2):
        hall.ready(*started(hall.dies(worker)))
    assert lost(hall) == [(0, 1)]
    hall.scored(2)
    assert hall.end is not None and hall.end.failure is None and kept(hall) == [(1, 1)]


def test_a_half_past_its_time_is_halved() -> None:
    hall = isolating(size=4, max_tries=1, timeout_s=30)
    assert pieces(hall.ready(*started(hall.wait(31)))) == [(0, 2)]
    assert pieces(hall.ready(*started(hall.wait(31)))) == [(2, 2)]
    hall.scored(2)
    assert hall.running(2)[0] == Piece(0, 0, 1)


def test_kills_from_outside_cost_a_piece_nothing() -> None:
    hall = isolating(size=2, max_tries=1)
    hall.raised(0)
    worker = 0
    for _ in range(GIVEN_BACK_MAX):
        (worker,) = started(hall.is_killed(worker))
        assert pieces(hall.ready(worker)) == [(0, 1)]
    hall.scored(worker)
    for _ in range(GIVEN_BACK_MAX):
        (worker,) = started(hall.is_killed(worker))
        assert pieces(hall.ready(worker)) == [(1, 1)]
    hall.scored(worker)
    assert not hall.all(GiveUp) and hall.dispatcher.failed_attempts == 1


def test_kills_that_were_never_explained_are_not_forgiven_again_to_the_halves() -> None:
    hall = isolating(size=2, max_tries=1)
    worker = 0
    for _ in range(GIVEN_BACK_MAX + 1):
        (worker,) = started(hall.is_killed(worker))
        hall.ready(worker)
    assert hall.running(worker)[0] == Piece(0, 0, 1)
    assert [give_up.failure for give_up in only(GiveUp, hall.is_killed(worker))] == [KILLED]


def test_pieces_of_one_mini_batch_never_share_an_attempt() -> None:
    hall = isolating(size=4, max_tries=1)
    seen = set()
    while hall.end is None:
        piece, attempt = hall.running(0)
        assert (piece.mini_batch, attempt) not in seen
        seen.add((piece.mini_batch, attempt))
        hall.raised(0)
    assert len(seen) == 1 + 2 + 4


# ---- items that are rejected --------------------------------------------------------------------------------------


def test_what_is_rejected_is_halved_at_once_and_never_tried_again() -> None:
    hall = isolating(size=8, max_tries=3)
    assert play(hall, {5}, REJECTED) == [(0, 8), (0, 4), (4, 4), (4, 2), (6, 2), (4, 1), (5, 1)]
    assert (lost(hall), kept(hall)) == ([(5, 1)], [(0, 4), (4, 1), (6, 2)])
    assert [note.halved for note in hall.all(NoteFailure)] == [True, True, True, False]


def test_a_rejected_item_that_stands_alone_is_given_up_after_one_execution() -> None:
    hall = isolating(size=1, max_tries=3)
    hall.raised(0, REJECTED)
    assert [(one.piece, one.tries, one.failure) for one in hall.all(GiveUp)] == [(Piece(0, 0, 1), 1, REJECTED)]


def test_without_isolation_a_rejected_item_fails_its_mini_batch_at_once() -> None:
    hall = Hall(max_tries=3)
    hall.plan(1, size=8, items=8)
    hall.ready(0)
    assert play(hall, {5}, REJECTED) == [(0, 8)]
    assert lost(hall) == [(0, 8)]


def test_a_half_of_what_was_rejected_is_tried_again_after_another_failure() -> None:
    hall = isolating(size=2, max_tries=3)
    hall.raised(0, REJECTED)
    assert hall.running(0)[0] == Piece(0, 0, 1)
    hall.raised(0, RAISED)
    hall.scored(0)
    hall.scored(0)
    assert not hall.all(GiveUp) and kept(hall) == [(0, 1), (1, 1)]


def test_a_rejection_under_another_driver_is_not_repeated() -> None:
    hall = taken_over(Coverage(8, 8), {(0, 8): 1, (0, 4): 2}, failure=REJECTED)
    assert sorted(play(hall, {1}, REJECTED)) == [(0, 1), (0, 2), (1, 1), (2, 2), (4, 4)]
    hall = taken_over(covered(Coverage(4, 4), (0, 1, 3)), {(0, 4): 1, (0, 2): 2, (0, 1): 3}, failure=REJECTED)
    assert lost(hall) == [(0, 1)]


def test_tries_of_a_half_that_failed_otherwise_are_not_forgotten_by_the_next_driver() -> None:
    hall = Hall(isolate=True)
    hall.ready(0)
    tries = {Piece(0, 0, 8): (1, REJECTED), Piece(0, 0, 4): (2, RAISED)}
    hall.tell(PlanReady(covered(Coverage(8, 8), (0, 4, 4)), tries=tries))
    assert play(hall, {1})[:3] == [(0, 4), (0, 2), (2, 2)]


# ---- after another driver -----------------------------------------------------------------------------------------


def taken_over(plan: Coverage, tries: dict[tuple[int, int], int], failure: Failure = SEGFAULT, **policy: bool) -> Hall:
    """A dispatcher of mini-batch 0 after a driver that noted these failures: (first item, items) → tries."""
    hall = Hall(**{"isolate": True, **policy})  # type: ignore[arg-type]
    hall.ready(0)
    noted = {Piece(0, first, items): (count, failure) for (first, items), count in tries.items()}
    hall.tell(PlanReady(plan, tries=noted))
    return hall


def test_a_mini_batch_that_had_its_tries_under_another_driver_is_halved_at_once() -> None:
    hall = taken_over(Coverage(8, 8), {(0, 8): 3})
    assert not hall.all(GiveUp)
    assert play(hall, {5}) == [(0, 4), (4, 4), (4, 2), (6, 2), (4, 1), (5, 1)]
    assert [give_up.tries for give_up in hall.all(GiveUp)] == [6]


def test_fewer_tries_go_on_counting() -> None:
    hall = taken_over(Coverage(8, 8), {(0, 8): 2})
    assert play(hall, {5})[:2] == [(0, 8), (0, 4)]


def test_an_isolation_goes_on_where_another_driver_stopped() -> None:
    hall = taken_over(covered(Coverage(8, 8), (0, 0, 4)), {(0, 8): 3, (4, 4): 4})
    assert play(hall, {5}) == [(4, 2), (6, 2), (4, 1), (5, 1)]
    assert [give_up.tries for give_up in hall.all(GiveUp)] == [6]
    assert (hall.dispatcher.settled, hall.dispatcher.items_succeeded) == (1, 7)


def test_a_half_that_was_not_tried_has_its_execution() -> None:
    hall = taken_over(covered(Coverage(8, 8), (0, 0, 4)), {(0, 8): 3})
    assert play(hall, set()) == [(4, 4)]
    assert [keep.tries for keep in hall.all(Keep)] == [4]


def test_failures_within_a_gap_are_not_repeated() -> None:
    noted = {(0, 8): 3, (0, 4): 4, (4, 4): 4}
    hall = taken_over(covered(Coverage(8, 8), (0, 0, 2)), noted)
    assert sorted(play(hall, set())) == [(2, 2), (4, 2), (6, 2)]


def test_a_single_item_that_had_failed_is_given_up_without_another_execution() -> None:
    hall = taken_over(covered(Coverage(4, 4), (0, 2, 2)), {(0, 4): 3, (0, 2): 4, (0, 1): 5})
    assert lost(hall) == [(0, 1)]
    assert play(hall, set()) == [(1, 1)]


def test_without_isolation_what_had_its_tries_is_given_up() -> None:
    hall = taken_over(Coverage(16, 8), {(0, 8): 3}, isolate=False)
    assert lost(hall) == [(0, 8)]
    assert play(hall, set()) == [(8, 8)]


def test_gaps_that_were_never_tried_have_all_their_tries() -> None:
    hall = taken_over(covered(Coverage(20, 10), (0, 3, 1), (1, 10, 1), (1, 19, 1)), {})
    assert pieces(hall.done) == [(0, 3)]
    executed = play(hall, {12})
    assert executed[:3] == [(0, 3), (4, 6), (11, 8)] and executed.count((11, 8)) == 3
    assert lost(hall) == [(12, 1)] and hall.dispatcher.settled == 2


# ---- the book -----------------------------------------------------------------------------------------------------


def test_gaps_are_what_no_row_covers() -> None:
    plan = covered(Coverage(25, 10), (0, 0, 4), (0, 6, 4), (1, 10, 10), (2, 22, 1))
    assert [plan.gaps(number) for number in range(3)] == [
        [Piece(0, 4, 2)],
        [],
        [Piece(2, 20, 2), Piece(2, 23, 2)],
    ]
    assert list(plan.in_part()) == [0, 2] and plan.done == bytearray([0, 1, 0])
    covered(plan, (0, 4, 2))
    assert list(plan.in_part()) == [2] and plan.done == bytearray([1, 1, 0])


def test_a_million_mini_batches_wait_without_an_object_each() -> None:
    tracemalloc.start()
    try:
        hall = Hall()
        hall.ready(0)
        hall.tell(PlanReady(Coverage(1_000_000, 1)))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
