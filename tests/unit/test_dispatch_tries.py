"""What a failed try costs: mini-batches that raise, workers that die of their own doing or are killed, time-outs."""

import pytest

from batchpoint.engine.dispatch import GIVEN_BACK_MAX
from batchpoint.engine.messages import (
    EndJob,
    Failed,
    Failure,
    GiveUp,
    InitFailed,
    Keep,
    KillWorker,
    NoteFailure,
    PlanReady,
    Ready,
    Scored,
    WorkerGone,
)
from batchpoint.engine.preparation.pieces import Coverage, Piece
from tests.unit.dispatch_hall import NO_MODEL, RAISED, SEGFAULT, Hall, covered, given, only, started


def one_worker(mini_batches: int = 2, **policy: float) -> Hall:
    hall = Hall(**policy)  # type: ignore[arg-type]
    hall.plan(mini_batches)
    hall.ready(0)
    return hall


def named(note: NoteFailure) -> int | None:
    return note.piece.mini_batch if note.piece else None


def last_worker(hall: Hall) -> int:
    (worker,) = hall.living
    return worker


def test_a_mini_batch_that_raises_is_tried_again_after_the_others() -> None:
    hall = one_worker(mini_batches=3)
    assert given(hall.raised(0)) == {0: [1]}
    assert given(hall.scored(0)) == {0: [2]}
    assert given(hall.scored(0)) == {0: [0]}
    (keep,) = only(Keep, hall.scored(0))
    assert (keep.scored.mini_batch, keep.tries) == (0, 2)
    assert hall.end is not None and hall.end.failure is None


@pytest.mark.parametrize("max_tries", [1, 2, 3, 7])
def test_max_retries_is_the_number_of_executions(max_tries: int) -> None:
    hall = one_worker(mini_batches=1, max_tries=max_tries)
    for _ in range(max_tries - 1):
        assert not only(GiveUp, hall.raised(0))
    (give_up,) = only(GiveUp, hall.raised(0))
    assert (give_up.piece.mini_batch, give_up.failure, give_up.tries) == (0, RAISED, max_tries)
    assert len(hall.all(NoteFailure)) == hall.dispatcher.failed_attempts == max_tries


def test_zero_retries_are_one_execution() -> None:
    hall = one_worker(mini_batches=1, max_tries=0)
    assert only(GiveUp, hall.raised(0))


def test_a_worker_that_raises_goes_on() -> None:
    hall = one_worker()
    assert not only(KillWorker, hall.raised(0))
    assert hall.living == [0]


def test_a_worker_s_own_death_costs_the_running_mini_batch_alone() -> None:
    hall = one_worker(mini_batches=40)
    for _ in range(8):
        hall.scored(0, seconds=0.001)
    held = [piece for piece, _ in next(iter(hall.dispatcher.workers())).assigned]
    assert len(held) > 1, "the test wants mini-batches sent ahead"
    actions = hall.dies(0)
    assert [(note.piece, note.failure) for note in only(NoteFailure, actions)] == [(held[0], SEGFAULT)]
    (worker,) = started(actions)
    assert given(hall.ready(worker))[worker][0] == held[1].mini_batch, (
        "what it had not begun comes first again, in order"
    )
    assert hall.dispatcher.failed_attempts == 1


def test_a_mini_batch_that_kills_its_workers_is_given_up_and_the_others_are_scored() -> None:
    hall = one_worker(mini_batches=2)
    hall.dies(0)
    hall.ready(1)
    hall.scored(1)  # mini-batch 1
    hall.dies(1)
    hall.ready(2)
    (give_up,) = only(GiveUp, hall.dies(2))
    assert (give_up.piece.mini_batch, give_up.failure) == (0, SEGFAULT)
    assert hall.end is not None and hall.end.failure is None


def test_a_kill_from_outside_gives_back_and_costs_nothing() -> None:
    hall = one_worker(mini_batches=2, max_tries=1)
    actions = hall.is_killed(0)
    assert not only(NoteFailure, actions) and not only(GiveUp, actions)
    (worker,) = started(actions)
    assert given(hall.ready(worker)) == {worker: [0]}, "it is given back to the front"
    assert hall.dispatcher.failed_attempts == 0


def test_after_five_kills_from_outside_each_is_a_try() -> None:
    hall = one_worker(mini_batches=1, max_tries=2)
    for _ in range(GIVEN_BACK_MAX):
        hall.ready(*started(hall.is_killed(last_worker(hall))))
    assert hall.dispatcher.failed_attempts == 0
    hall.ready(*started(hall.is_killed(last_worker(hall))))
    assert hall.dispatcher.failed_attempts == 1
    assert [give_up.tries for give_up in only(GiveUp, hall.is_killed(last_worker(hall)))] == [2]


def test_a_full_disk_costs_no_try_and_ends_the_job_when_it_stays_full() -> None:
    full = Failure("SegmentUnwritable", "No space left on device")
    hall = one_worker(mini_batches=2, max_tries=1)
    for _ in range(GIVEN_BACK_MAX):
        actions = hall.raised(0, full)
        assert [note.failure for note in only(NoteFailure, actions)] == [full]
        assert given(actions) == {0: [0]}, "it is given back to the front"
    (end,) = only(EndJob, hall.raised(0, full))
    assert end.failure is not None and end.failure.code == "SegmentUnwritable"
    assert "No space left on device" in end.failure.message
    assert not hall.all(GiveUp), "no item is lost to a full disk"


def test_kills_are_counted_for_each_mini_batch() -> None:
    hall = one_worker(mini_batches=20, max_tries=1)
    for _ in range(19):
        hall.ready(*started(hall.is_killed(last_worker(hall))))
        hall.scored(last_worker(hall))
    assert not hall.all(GiveUp)


def test_a_mini_batch_past_its_time_costs_a_try_and_its_worker() -> None:
    hall = one_worker(mini_batches=2, timeout_s=30)
    assert hall.dispatcher.next_deadline() == hall.now + 30
    assert hall.wait(29.9) == []
    actions = hall.wait(0.2)
    assert only(KillWorker, actions) == [KillWorker(0)]
    (note,) = only(NoteFailure, actions)
    assert (named(note), note.failure.code) == (0, "MiniBatchTimeout")
    assert "30 s" in note.failure.message and "retry_settings.timeout" in note.failure.message
    (worker,) = started(actions)
    assert given(hall.ready(worker)) == {worker: [1]}, "the others first"


def test_the_time_is_taken_for_each_mini_batch_of_a_message() -> None:
    hall = one_worker(mini_batches=40, timeout_s=30)
    for _ in range(8):
        hall.scored(0, seconds=0.001)
    held = len(next(iter(hall.dispatcher.workers())).assigned)
    assert held > 2
    for _ in range(held):
        assert hall.wait(29) == []
        hall.scored(0, seconds=29)


def test_an_idle_worker_has_no_deadline() -> None:
    hall = Hall(slots=2)
    hall.plan(1)
    hall.ready(0, 1)
    assert hall.dispatcher.next_deadline() == hall.now + 30
    hall.now += 29
    hall.raised(0)  # a second try: worker 0 or 1 has it, the other one idles
    assert hall.wait(29) == []
    assert len(only(KillWorker, hall.wait(2))) == 1


def test_several_workers_may_be_late_at_once() -> None:
    hall = Hall(slots=3, max_tries=1)
    hall.plan(3)
    hall.ready(0, 1, 2)
    assert len(only(GiveUp, hall.wait(31))) == 3
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "NoSuccessfulItems"


def test_events_of_workers_that_are_gone_change_nothing() -> None:
    hall = one_worker(mini_batches=3, max_tries=5)
    (mini_batch, _, _), attempt = hall.running(0)
    hall.wait(31)
    hall.ready(1)
    before = list(hall.done)
    for event in (
        Scored(0, mini_batch, attempt, 10, 10, 0, 5, 7, 1.0),
        Failed(0, mini_batch, attempt, RAISED, 1.0),
        Ready(0),
        InitFailed(0, NO_MODEL),
        WorkerGone(0, SEGFAULT, own_doing=True),
        WorkerGone(0, SEGFAULT, own_doing=False),
        Ready(99),
    ):
        assert hall.tell(event) == []
    assert hall.done == before and hall.dispatcher.items_succeeded == 0


def test_an_answer_out_of_turn_ends_the_worker_and_costs_what_it_was_at() -> None:
    for event in (
        Scored(0, 1, 1, 10, 10, 0, 5, 7, 1.0),  # another mini-batch
        Scored(0, 0, 2, 10, 10, 0, 5, 7, 1.0),  # another attempt
        Failed(0, 7, 1, RAISED, 1.0),
    ):
        hall = one_worker(mini_batches=2)
        actions = hall.tell(event)
        assert only(KillWorker, actions) == [KillWorker(0)]
        assert [named(note) for note in only(NoteFailure, actions)] == [0]
        assert not only(Keep, actions) and hall.dispatcher.settled == 0
        (worker,) = started(actions)
        assert given(hall.ready(worker)) == {worker: [1]}


def test_an_answer_of_an_idle_worker_ends_it() -> None:
    hall = Hall(slots=2)
    hall.ready(0, 1)
    hall.plan(1)
    assert only(KillWorker, hall.tell(Scored(1, 0, 1, 10, 10, 0, 5, 7, 1.0))) == [KillWorker(1)]
    assert not hall.all(Keep)
    hall.scored(0)
    assert hall.end is not None and hall.end.failure is None


def test_a_worker_that_says_it_failed_to_start_after_it_was_ready_loses_no_mini_batch() -> None:
    hall = one_worker(mini_batches=1)
    actions = hall.tell(InitFailed(0, NO_MODEL))
    assert only(KillWorker, actions) == [KillWorker(0)]
    (worker,) = started(actions)
    assert given(hall.ready(worker)) == {worker: [0]}
    hall.scored(worker)
    assert hall.end is not None and hall.end.failure is None


def test_the_first_traceback_is_remembered_over_what_has_none() -> None:
    hall = one_worker(mini_batches=1)
    hall.raised(0, Failure("InvalidResult", "run() returned None"))
    hall.raised(0, RAISED)
    hall.raised(0, Failure("ScriptRaised", "KeyError: 1", "Traceback: KeyError"))
    assert hall.dispatcher.first_failure == RAISED


def test_tries_that_an_earlier_driver_counted_go_on_counting() -> None:
    hall = Hall()
    tries = {Piece(0, 0, 10): (2, RAISED), Piece(2, 20, 10): (3, SEGFAULT)}
    hall.tell(PlanReady(Coverage(30, 10), tries=tries, failed_attempts=5, first_failure=RAISED))
    (given_up,) = hall.all(GiveUp)
    assert (given_up.piece.mini_batch, given_up.failure, given_up.tries) == (2, SEGFAULT, 3), "it had its three tries"
    hall.ready(0)
    (note,) = only(NoteFailure, hall.raised(0))
    assert (named(note), note.tries) == (0, 3)
    assert [one.piece.mini_batch for one in hall.all(GiveUp)] == [2, 0]
    hall.scored(0)
    assert hall.end is not None and hall.end.failure is None
    assert hall.dispatcher.failed_attempts == 6 and hall.dispatcher.items_failed == 20
    assert hall.dispatcher.first_failure == RAISED


def test_what_is_committed_needs_no_tries_any_more() -> None:
    hall = Hall()
    hall.tell(PlanReady(covered(Coverage(20, 10), (0, 0, 10)), tries={Piece(0, 0, 10): (3, RAISED)}))
    hall.ready(0)
    hall.scored(0)
    assert not hall.all(GiveUp) and hall.dispatcher.items_succeeded == 20


def test_a_job_whose_every_mini_batch_had_its_tries_ends_at_once() -> None:
    hall = Hall()
    tries = {Piece(0, 0, 10): (3, RAISED), Piece(1, 10, 10): (4, RAISED)}
    hall.tell(PlanReady(Coverage(20, 10), tries=tries, first_failure=RAISED))
    assert hall.end is not None and hall.end.failure is not None
    assert (hall.end.failure.code, hall.end.failure.traceback) == ("NoSuccessfulItems", RAISED.traceback)


def test_a_failed_try_tells_what_it_took() -> None:
    hall = one_worker(mini_batches=2, timeout_s=30)
    (note,) = only(NoteFailure, hall.raised(0))
    assert (note.tries, note.attempt, note.seconds) == (1, 1, 1.0)
    hall.now += 7
    (note,) = only(NoteFailure, hall.dies(0))
    assert (named(note), note.seconds, note.run_s) == (1, 7.0, 7.0)
