"""Workers that do not come up: which job ends at once, and which slot gets another worker."""

from batchpoint.engine.dispatch import GIVEN_BACK_MAX
from batchpoint.engine.dispatch.crew import INIT_TRIES
from batchpoint.engine.messages import Failure, InitFailed, Keep, KillWorker, NoteFailure, Scored
from tests.unit.dispatch_hall import NO_MODEL, SEGFAULT, Hall, given, only, started


def test_a_worker_starts_in_every_slot_before_the_plan_stands() -> None:
    hall = Hall(slots=3)
    assert started(hall.done) == [0, 1, 2]
    hall.ready(0)
    assert given(hall.plan(2)) == {0: [0]}


def test_workers_that_would_find_nothing_to_do_are_sent_home_before_they_come_up() -> None:
    hall = Hall(slots=4)
    hall.ready(0)
    assert only(KillWorker, hall.plan(2)) == [KillWorker(2), KillWorker(3)], "one for each mini-batch stays"
    assert given(hall.ready(1)) == {1: [1]}
    assert hall.living == [0, 1] and started(hall.done) == [0, 1, 2, 3]


def test_a_slot_that_was_not_needed_gets_a_worker_when_another_one_dies() -> None:
    hall = Hall(slots=3)
    hall.plan(1)
    hall.ready(0)
    (worker,) = started(hall.dies(0))
    assert given(hall.ready(worker)) == {worker: [0]}


def test_where_one_slot_is_needed_init_may_fail_once_more_in_another_one() -> None:
    hall = Hall(slots=4)
    hall.plan(1)
    (worker,) = started(hall.tell(InitFailed(0, NO_MODEL)))
    assert hall.end is None
    hall.tell(InitFailed(worker, NO_MODEL))
    assert hall.end is not None and hall.end.failure is not None and hall.end.failure.code == "InitFailed"


def test_init_failing_in_every_worker_ends_the_job_at_once_with_its_traceback() -> None:
    hall = Hall(slots=2)
    hall.plan(5)
    other = Failure("InitFailed", "KeyError: 2", "Traceback: other")
    assert started(hall.tell(InitFailed(0, NO_MODEL))) == [], "it waits until another slot has shown that it can"
    actions = hall.tell(InitFailed(1, other))
    assert hall.end is not None
    assert hall.end.failure == Failure("InitFailed", "init() failed in every worker.", NO_MODEL.traceback)
    assert [note.failure for note in only(NoteFailure, hall.done)] == [NO_MODEL, other]
    assert started(actions) == []


def test_init_failing_everywhere_before_the_plan_stands_ends_the_job() -> None:
    hall = Hall()
    hall.tell(InitFailed(0, NO_MODEL))
    assert hall.end is not None and hall.end.failure is not None and hall.end.failure.code == "InitFailed"
    assert hall.plan(5) == []


def test_a_script_that_cannot_be_loaded_ends_the_job_at_once() -> None:
    unusable = Failure("ScriptUnusable", "SyntaxError: invalid syntax (score.py:1)", "Traceback: syntax")
    hall = Hall(slots=4)
    hall.plan(5)
    hall.tell(InitFailed(2, unusable))
    assert hall.end is not None and hall.end.failure == unusable


def test_init_past_its_time_is_a_failed_init() -> None:
    hall = Hall(init_timeout_s=600)
    hall.plan(5)
    assert hall.dispatcher.next_deadline() == hall.now + 600
    assert hall.wait(599) == []
    assert KillWorker(0) in hall.wait(2)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "InitFailed" and "600 s" in hall.end.failure.message


def test_init_has_all_its_time_from_when_the_driver_listens() -> None:
    hall = Hall(init_timeout_s=60)
    # A long listing, or a disk that had no room for the plan.
    hall.now += 500
    hall.plan(1)
    assert not hall.wait(59) and hall.end is None
    hall.wait(1)
    assert hall.end is not None and hall.end.failure is not None and "60 s" in hall.end.failure.message


def test_a_death_in_init_is_a_failed_init() -> None:
    hall = Hall()
    hall.plan(5)
    hall.dies(0)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "InitFailed"
    assert "SIGSEGV" in hall.end.failure.message and "init()" in hall.end.failure.message


def test_a_kill_from_outside_in_init_is_no_failed_init() -> None:
    hall = Hall()
    hall.plan(1)
    assert started(hall.is_killed(0)) == [1]
    hall.ready(1)
    hall.scored(1)
    assert hall.end is not None and hall.end.failure is None
    assert hall.dispatcher.first_failure is None


def test_kills_in_init_that_never_stop_end_the_job() -> None:
    hall = Hall()
    hall.plan(1)
    for worker in range(GIVEN_BACK_MAX):
        assert started(hall.is_killed(worker)) == [worker + 1]
    hall.is_killed(GIVEN_BACK_MAX)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "WorkersKeepDying"


def test_kills_in_init_of_a_long_job_do_not_add_up() -> None:
    hall = Hall(slots=2)
    hall.plan(100)
    hall.ready(0, 1)
    worker = 1
    for _ in range(3 * GIVEN_BACK_MAX):
        (worker,) = started(hall.is_killed(worker))
        (worker,) = started(hall.is_killed(worker))
        hall.ready(worker)
        hall.scored(0)
        hall.scored(worker)
    assert hall.end is None


def test_one_slot_that_is_always_killed_in_init_does_not_end_a_job_that_others_can_do() -> None:
    hall = Hall(slots=2)
    hall.plan(2)
    hall.ready(0)
    worker = 1
    while new := started(hall.is_killed(worker)):
        (worker,) = new
    assert hall.end is None
    hall.scored(0)
    hall.scored(0)
    assert hall.end is not None and hall.end.failure is None


def test_a_failing_slot_is_tried_three_times_once_another_came_up() -> None:
    hall = Hall(slots=2)
    hall.plan(50)
    assert started(hall.tell(InitFailed(0, NO_MODEL))) == []
    (again,) = started(hall.ready(1))
    for _ in range(INIT_TRIES - 2):
        (again,) = started(hall.tell(InitFailed(again, NO_MODEL)))
    assert started(hall.tell(InitFailed(again, NO_MODEL))) == []
    for _ in range(50):
        hall.scored(1)
    assert hall.end is not None and hall.end.failure is None
    assert len(hall.all(Keep)) == 50


def test_a_slot_that_came_up_has_its_tries_anew() -> None:
    hall = Hall(max_tries=100)
    hall.plan(1)
    hall.ready(0)
    worker = 0
    for _ in range(5):
        (worker,) = started(hall.dies(worker, SEGFAULT))
        for _ in range(INIT_TRIES - 1):
            (worker,) = started(hall.tell(InitFailed(worker, NO_MODEL)))
        hall.ready(worker)
    assert hall.end is None


def test_init_that_works_no_longer_ends_the_job() -> None:
    hall = Hall(slots=2)
    hall.plan(10)
    hall.ready(0, 1)
    hall.raised(0)
    workers = [*started(hall.dies(0)), *started(hall.dies(1))]
    while workers:
        workers += started(hall.tell(InitFailed(workers.pop(), NO_MODEL)))
    assert hall.end is not None and hall.end.failure is not None
    assert (hall.end.failure.code, hall.end.failure.traceback) == ("InitFailed", NO_MODEL.traceback)
    assert hall.living == []


def test_a_worker_that_is_needed_no_more_is_not_replaced() -> None:
    hall = Hall(slots=2)
    hall.plan(1)
    hall.ready(0, 1)
    assert started(hall.is_killed(1)) == [], "it had nothing to do, and nothing waits"
    hall.raised(0)
    assert hall.end is None


def test_idle_workers_that_die_again_and_again_end_the_job() -> None:
    hall = Hall()
    worker = 0
    for _ in range(GIVEN_BACK_MAX):
        hall.ready(worker)
        (worker,) = started(hall.dies(worker))
    hall.ready(worker)
    hall.dies(worker)
    assert hall.end is not None and hall.end.failure is not None
    assert hall.end.failure.code == "WorkersKeepDying"


def test_idle_deaths_between_answers_do_not_add_up() -> None:
    hall = Hall(slots=2)
    hall.plan(100)
    hall.ready(0, 1)
    assert hall.end is None
    for _ in range(30):
        hall.scored(0)
        hall.scored(1)
    assert hall.end is None


def test_a_script_that_answers_before_it_is_ready_has_failed_to_start() -> None:
    hall = Hall()
    hall.plan(1)
    assert KillWorker(0) in hall.tell(Scored(0, 0, 1, 10, 10, 0, 5, 7, 1.0))
    assert hall.end is not None and hall.end.failure is not None
    assert not hall.all(Keep)
