"""What one driver of a job learned about failed tries, the next one knows."""

from pathlib import Path

from batchpoint.engine.messages import Failure
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.tries import Remembered, TryRecord

RAISED = Failure("ScriptRaised", "ValueError: bad (score.py:3)", "Traceback: bad")
CRASHED = Failure("WorkerCrashed", "The worker crashed with SIGSEGV.")


def whole(mini_batch: int) -> Piece:
    return Piece(mini_batch, 2 * mini_batch, 2)


def test_the_first_driver_has_nothing_to_recall(tmp_path: Path) -> None:
    assert TryRecord(tmp_path / "tries", 0, 1).recall() == Remembered()
    assert not (tmp_path / "tries").exists()


def test_every_driver_knows_what_all_before_it_counted(tmp_path: Path) -> None:
    first = TryRecord(tmp_path, 0, 1)
    first.note(whole(5), 1, CRASHED)
    first.note(whole(5), 2, RAISED)
    first.note(None, 0, RAISED)
    second = TryRecord(tmp_path, 0, 2)
    assert second.recall().tries == {whole(5): (2, Failure(RAISED.code, RAISED.message, RAISED.traceback))}
    second.note(whole(7), 1, RAISED)
    remembered = TryRecord(tmp_path, 0, 4).recall()
    assert {piece.mini_batch: tries for piece, (tries, _) in remembered.tries.items()} == {5: 2, 7: 1}
    assert remembered.failed_attempts == 3
    assert remembered.first_failure == RAISED, "the one with the traceback"


def test_what_a_driver_writes_after_it_lost_the_job_is_not_read(tmp_path: Path) -> None:
    lost = TryRecord(tmp_path, 0, 1)
    lost.note(whole(1), 1, RAISED)
    TryRecord(tmp_path, 0, 2).recall()
    lost.note(whole(1), 2, RAISED)
    assert TryRecord(tmp_path, 0, 3).recall().tries[whole(1)][0] == 1


def test_a_line_that_was_not_finished_counts_for_nothing(tmp_path: Path) -> None:
    TryRecord(tmp_path, 0, 1).note(whole(1), 1, RAISED)
    with (tmp_path / "0.1").open("ab") as file:
        file.write(b'{"piece":[2,4,2],"n":1,"co')
    second = TryRecord(tmp_path, 0, 2)
    assert set(second.recall().tries) == {whole(1)}
    second.note(whole(3), 1, RAISED)
    assert set(TryRecord(tmp_path, 0, 3).recall().tries) == {whole(1), whole(3)}


def test_each_revision_counts_for_itself(tmp_path: Path) -> None:
    TryRecord(tmp_path, 0, 1).note(whole(1), 3, RAISED)
    assert TryRecord(tmp_path, 1, 2).recall() == Remembered()
