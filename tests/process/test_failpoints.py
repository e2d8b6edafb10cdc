"""A driver is killed once at each named step: another one ends the job as if nothing had been."""

import contextlib
import re
import signal
import sqlite3
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.errors import UserError
from batchpoint.failpoints import POINTS, arm
from tests.process.driver_deaths import Patient
from tests.process.engine_jobs import ROOT, Engine, eventually
from tests.process.fork_server import ForkServer


@pytest.mark.parametrize("point", POINTS)
def test_a_driver_may_be_killed_at_every_named_step(engine: Engine, fork_server: ForkServer, point: str) -> None:
    patient = Patient(engine, fork_server)
    patient.dies_at(point)
    patient.carry_on()
    patient.check()


def test_an_answer_of_the_store_that_is_lost_is_asked_for_again(engine: Engine, fork_server: ForkServer) -> None:
    patient = Patient(engine, fork_server)
    assert patient.driver("D10:lose:2,D18:lose").wait() == 0
    patient.check()
    assert engine.driver_log().count("trying again") == 2


def test_a_store_that_is_locked_for_a_while_costs_nothing(engine: Engine, fork_server: ForkServer) -> None:
    # It waits for a sixth of this in one go, and gives up after two thirds.
    patient = Patient(engine, fork_server, lease_s=6.0)
    driver = patient.stops_at("D5")
    with contextlib.closing(sqlite3.connect(engine.home / "batchpoint.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        driver.send_signal(signal.SIGCONT)
        eventually(lambda: "trying again" in engine.driver_log(), "the driver does not notice")
        other.rollback()
    assert driver.wait() == 0, engine.driver_log()
    patient.check()
    assert engine.store.epoch_of("job") == 1


def test_a_driver_whose_store_stays_away_ends_itself_before_its_lease_does(
    engine: Engine, fork_server: ForkServer
) -> None:
    patient = Patient(engine, fork_server, lease_s=0.3)
    driver = patient.stops_at("D5")
    (engine.home / "batchpoint.db").rename(engine.home / "away.db")
    (engine.home / "batchpoint.db").mkdir()
    driver.send_signal(signal.SIGCONT)
    try:
        assert driver.wait() == 75, "start me again later"
        assert "trying again" in engine.driver_log()
    finally:
        (engine.home / "batchpoint.db").rmdir()
        (engine.home / "away.db").rename(engine.home / "batchpoint.db")
    patient.check_clean()
    assert patient.ended().status is JobStatus.RUNNING
    patient.carry_on()
    patient.check()


def test_every_point_stands_somewhere() -> None:
    places = [
        name
        for path in Path(ROOT / "src").rglob("*.py")
        for name in re.findall(r'reach\("(D\d+)"\)', path.read_text(encoding="utf-8"))
    ]
    assert set(places) == set(POINTS)


@pytest.mark.parametrize("text", ["D21:kill", "D1:hurt", "D1", "D1:kill:0", "D1:kill:often"])
def test_what_arms_no_point_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="BATCHPOINT_FAILPOINT"):
        arm(text)
    arm("")
