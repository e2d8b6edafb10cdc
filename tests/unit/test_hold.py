"""Whatever takes long gives signs of life: a driver is not taken for dead for it, and one that lost its job notices."""

import pytest

from batchpoint.compute.fake import VirtualClock
from batchpoint.engine.patience.hold import Hold
from batchpoint.engine.patience.room import Room
from batchpoint.entities.job import Progress
from batchpoint.errors import CancelRequested, Fenced
from batchpoint.store.memory import MemoryLedger
from tests.contract.made import failed, job, row

CLOCK = VirtualClock()


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger([job("j")])


@pytest.fixture
def hold(ledger: MemoryLedger) -> Hold:
    claimed = ledger.claim("j", 0, "n", "host", 1)
    assert claimed is not None
    ledger.start(claimed.fence, 3, 30)
    ledger.commit(claimed.fence, [row(0), failed(1), failed(2)], Progress())
    return Hold(claimed, ledger, Room(1.0, CLOCK, CLOCK.sleep, print), CLOCK)


def test_a_driver_that_takes_long_over_each_row_of_its_ledger_is_alive(ledger: MemoryLedger, hold: Hold) -> None:
    before = ledger.heartbeat("j").beat
    for _ in hold.rows(failed_only=True):
        CLOCK.sleep(20)
    assert ledger.heartbeat("j").beat == before + 1
    for _ in hold.rows():
        CLOCK.sleep(0.1)
    assert ledger.heartbeat("j").beat == before + 1, "once a second at most"


def test_what_an_earlier_driver_waited_for_is_not_told_on(ledger: MemoryLedger) -> None:
    before = ledger.claim("j", 0, "n", "host", 1)
    assert before is not None
    ledger.beat(before.fence, Progress(rows=7, waiting_for="Waiting for space."))
    claimed = ledger.claim("j", 1, "m", "host", 2)
    assert claimed is not None
    hold = Hold(claimed, ledger, Room(1.0, CLOCK, CLOCK.sleep, print), CLOCK)
    alive = hold.alive()
    CLOCK.sleep(2)
    alive()
    assert ledger.job("j").progress == Progress(rows=7)


def test_a_driver_that_has_lost_its_job_reads_no_further(ledger: MemoryLedger, hold: Hold) -> None:
    rows = hold.rows()
    assert next(rows) == row(0)
    assert ledger.claim("j", 1, "another", "host", 2) is not None
    CLOCK.sleep(2)
    with pytest.raises(Fenced):
        next(rows)


def test_a_cancel_ends_a_long_preparation_and_is_no_matter_of_what_can_no_longer_be_canceled(
    ledger: MemoryLedger, hold: Hold
) -> None:
    alive, still_wanted = hold.alive(), hold.still_wanted()
    ledger.request_cancel("j")
    still_wanted()
    CLOCK.sleep(2)
    alive()
    with pytest.raises(CancelRequested):
        still_wanted()
