"""Workers that are replaced after so many mini-batches: told to end once they hold nothing, and nobody is blamed."""

from batchpoint.engine.messages import Failure, KillWorker, NoteFailure, RetireWorker, Score, WorkerGone
from tests.unit.dispatch_hall import Hall, given, only, started

ENDED = Failure("WorkerCrashed", "The worker exited with status 0 before it answered.")


def leaves(hall: Hall, worker: int) -> list[int]:
    """The worker has ended, as it was told; answers who is started."""
    return started(hall.tell(WorkerGone(worker, ENDED, own_doing=True)))


def test_a_worker_is_told_to_end_after_so_many_mini_batches_and_another_one_takes_its_slot() -> None:
    hall = Hall(pieces_per_worker=2)
    hall.plan(3)
    hall.ready(0)
    hall.scored(0)
    assert only(RetireWorker, hall.scored(0)) == [RetireWorker(0)]
    assert leaves(hall, 0) == [1]
    assert given(hall.ready(1)) == {1: [2]}
    hall.scored(1)
    assert hall.end is not None and hall.end.failure is None
    assert not hall.all(NoteFailure) and hall.dispatcher.failed_attempts == 0


def test_nobody_is_told_to_end_while_there_is_nothing_to_do() -> None:
    hall = Hall(slots=2, pieces_per_worker=1)
    hall.plan(2)
    hall.ready(0, 1)
    assert not only(RetireWorker, hall.scored(0))
    actions = hall.raised(1)
    assert only(RetireWorker, actions) == [RetireWorker(0), RetireWorker(1)], "there is something to be tried again"


def test_messages_carry_no_more_than_a_worker_may_still_take() -> None:
    hall = Hall(pieces_per_worker=50)
    hall.plan(1000)
    worker = 0
    hall.ready(worker)
    while hall.end is None:
        hand = next(iter(hall.dispatcher.workers()))
        assert hand.given <= 50
        if only(RetireWorker, hall.scored(worker, seconds=0.0001)):
            (worker,) = leaves(hall, worker)
            hall.ready(worker)
    sizes = [len(score.work) for score in hall.all(Score)]
    assert max(sizes) > 1 and sum(sizes) == 1000
    assert worker == 1000 // 50 - 1


def test_a_shutdown_that_takes_too_long_is_killed() -> None:
    hall = Hall(pieces_per_worker=1, timeout_s=30)
    hall.plan(2)
    hall.ready(0)
    hall.scored(0)
    assert hall.dispatcher.next_deadline() == hall.now + 30
    actions = hall.wait(31)
    assert only(KillWorker, actions) == [KillWorker(0)] and started(actions) == [1]
    assert given(hall.ready(1)) == {1: [1]}
    assert not hall.all(NoteFailure)


def test_workers_that_end_as_they_were_told_are_no_sign_of_trouble() -> None:
    hall = Hall(pieces_per_worker=1)
    hall.plan(100)
    worker = 0
    for _ in range(99):
        hall.ready(worker)
        hall.scored(worker)
        (worker,) = leaves(hall, worker)
    hall.ready(worker)
    hall.scored(worker)
    assert hall.end is not None and hall.end.failure is None
