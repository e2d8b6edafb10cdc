"""Full disks: how long a job waits for room and for which, and that no worker and no item pays for a shortage."""

import errno
from pathlib import Path

import pytest

from batchpoint.engine.messages import Failure, HoldBack, InitFailed, KillWorker, Score
from batchpoint.engine.patience import room as room_module
from batchpoint.engine.patience.room import Room, has_room, is_full
from batchpoint.errors import NoSpaceLeft, OutputUnwritable
from tests.unit.dispatch_hall import Hall, given, only, started

FULL = Failure("NoSpaceLeft", "/seg/1: No space left on device")
PLACE = Path("/data")


class Disk:
    """A disk that a test fills, and a clock that moves when somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, patience_s: float = 60.0) -> None:
        self.now = 1000.0
        self.has_room = False
        self.told: list[str] = []
        self.waited = 0
        monkeypatch.setattr(room_module, "has_room", lambda place: self.has_room)
        monkeypatch.setattr(room_module, "free_bytes", lambda place: 12_000)
        self.room = Room(patience_s, lambda: self.now, self.sleep, self.told.append)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def meanwhile(self) -> None:
        self.waited += 1

    def patiently(self, tries: int, error: BaseException) -> int:
        """What took so many tries answers how many it took."""
        made = 0

        def act() -> int:
            nonlocal made
            made += 1
            if made < tries:
                raise error
            return made

        return self.room.patiently(act, PLACE, "the plan", self.meanwhile)


def no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_found_behind_whatever_was_raised_over_it() -> None:
    try:
        try:
            raise no_space()
        except OSError as error:
            raise OutputUnwritable("no") from error
    except OutputUnwritable as error:
        assert is_full(error)
    assert is_full(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert not is_full(OSError(errno.EIO, "Input/output error")) and not is_full(None)


def test_what_needs_room_is_repeated_when_there_is_some_and_the_job_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch)

    def later() -> None:
        disk.waited += 1
        assert disk.room.sentence == disk.told[0]
        disk.has_room = disk.waited > 20

    disk.meanwhile = later  # type: ignore[method-assign]
    assert disk.patiently(2, no_space()) == 2
    waits, goes_on = disk.told
    assert waits.startswith("Waiting for space. No room for the plan: 12.0 kB are free where /data stands.")
    assert waits.endswith("it fails after 60 s.")
    assert goes_on == "There is room again: the job goes on."
    assert (disk.room.sentence, disk.room.is_short) == ("", False)


def test_other_errors_are_nobodys_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    with pytest.raises(OSError, match="Permission"):
        disk.patiently(2, OSError(errno.EACCES, "Permission denied"))
    assert disk.told == []


def test_a_disk_that_reports_an_error_is_tried_once_more_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    assert disk.patiently(2, OSError(errno.EIO, "Input/output error")) == 2
    with pytest.raises(OSError, match="Input/output"):
        disk.patiently(3, OSError(errno.EIO, "Input/output error"))
    assert disk.now == 1000.0


def test_patience_has_an_end_also_where_there_is_always_a_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_some in (False, True):
        disk = Disk(monkeypatch)
        disk.has_room = has_some
        with pytest.raises(NoSpaceLeft, match=r"waited \d+ s .*storage_patience_s.*resume"):
            disk.patiently(10_000, no_space())
        assert 60 <= disk.now - 1000 < 60 + 31
        assert len(disk.told) < 20, "a log is no place for each look"


def test_whoever_got_on_has_all_the_patience_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    for _ in range(5):
        disk.room.ran_out(PLACE, "rows")
        disk.now += 50
        disk.has_room = True
        assert disk.room.is_back()
        disk.room.got_on()


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_one_above(tmp_path: Path) -> None:
    assert has_room(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == [], "nothing is left of the look"


# ---- the dispatcher ----------------------------------------------------------------------------------------------


def test_rows_that_find_no_room_cost_no_try_and_nothing_is_handed_out_until_there_is_some() -> None:
    hall = Hall(slots=2, max_tries=1)
    hall.plan(3)
    hall.ready(0, 1)
    assert hall.raised(0, FULL) == [HoldBack()]
    assert not only(Score, hall.scored(1)), "also not to those who are well"
    assert given(hall.dispatcher.go_on(hall.now)) == {0: [0], 1: [2]}
    hall.scored(0)
    hall.scored(1)
    assert hall.end is not None and hall.end.failure is None
    assert (hall.dispatcher.items_failed, hall.dispatcher.failed_attempts) == (0, 0)


def test_no_shortage_is_ever_the_last_try_of_a_piece() -> None:
    hall = Hall(max_tries=1)
    hall.plan(1)
    hall.ready(0)
    for _ in range(50):
        hall.raised(0, FULL)
        assert given(hall.dispatcher.go_on(hall.now)) == {0: [0]}
    hall.scored(0)
    assert hall.end is not None and hall.end.failure is None


def test_a_worker_that_has_no_room_to_start_is_no_failed_init() -> None:
    hall = Hall()
    hall.plan(1)
    for worker in range(20):
        actions = hall.tell(InitFailed(worker, FULL))
        assert actions == [KillWorker(worker), HoldBack()]
        assert started(hall.dispatcher.go_on(hall.now)) == [worker + 1]
    assert given(hall.ready(20)) == {20: [0]}
