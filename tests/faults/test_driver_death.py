"""Drivers that are killed, struck by an error or stopped at each step from the claim to the clean-up.

T-A1: at each named step; the job ends as if nothing had been. T-D1: fifty drivers are stopped for longer than their
lease and come back while another one has the job. T-D7: a driver dies right after its claim. G14: how soon a killed
driver's work goes on.
"""

import random
import signal
import time

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.errors import InternalError
from batchpoint.failpoints import POINTS
from tests.process.driver_deaths import Patient
from tests.process.engine_jobs import Engine, is_alive, workers_of
from tests.process.fork_server import ForkServer, Life

LEASE_S = 0.3
#: Steps that a driver passes more than once: struck there again when something is committed already.
REPEATED = ("D5", "D6", "D7", "D9", "D10", "D11", "D14")
PLACES = [*POINTS, *(f"{point} again" for point in REPEATED)]
#: The first step after which nothing may fail the job any more: all its results are in the frozen ledger.
FROZEN = 13


def which(place: str) -> tuple[str, int]:
    """``D7 again`` → D7, for the second time."""
    point, _, again = place.partition(" ")
    return point, 2 if again else 1


@pytest.fixture
def patient(engine: Engine, fork_server: ForkServer) -> Patient:
    return Patient(engine, fork_server)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared_drivers: ForkServer) -> bytes:
    """The output of a job that nothing happens to."""
    outside = tmp_path_factory.mktemp("undisturbed")
    (outside / "home").mkdir()
    engine = Engine(outside / "home", outside)
    patient = Patient(engine, prepared_drivers)
    patient.carry_on()
    output = patient.check().output.read_bytes()
    engine.close()
    return output


@pytest.mark.parametrize("place", PLACES)
def test_t_a1_a_driver_is_killed(patient: Patient, undisturbed: bytes, place: str) -> None:
    patient.dies_at(*which(place))
    patient.carry_on()
    assert patient.check().output.read_bytes() == undisturbed


@pytest.mark.parametrize("place", PLACES)
def test_t_a1_a_driver_is_struck_by_an_error_of_ours(patient: Patient, undisturbed: bytes, place: str) -> None:
    point, time = which(place)
    status = patient.driver(f"{point}:raise:{time}").wait()
    assert point in patient.engine.driver_log(), "it is said what happened"
    ended = patient.ended()
    if point == "D0":
        assert status == 70 and ended.status is JobStatus.PREPARING
        patient.carry_on()
    elif int(point[1:]) < FROZEN:
        assert status == 0 and ended.status is JobStatus.FAILED
        assert ended.error.code == InternalError.code and POINTS[point] in ended.error.message
        patient.check_clean()
        return
    assert patient.check().output.read_bytes() == undisturbed


@pytest.mark.parametrize("place", PLACES)
def test_t_a1_a_driver_stands_still_for_longer_than_its_lease(patient: Patient, undisturbed: bytes, place: str) -> None:
    patient.lease_s = LEASE_S
    zombie = patient.stops_at(*which(place))
    stopped = time.monotonic()
    successor = patient.driver(is_elsewhere=True)
    assert successor.wait() == 0, patient.engine.driver_log()
    between = patient.ended()
    assert between.status is JobStatus.COMPLETED
    time.sleep(max(0.0, LEASE_S - (time.monotonic() - stopped)))  # it is the length of the stop that is tried
    zombie.send_signal(signal.SIGCONT)
    assert zombie.wait() == 0, patient.engine.driver_log()
    ended = patient.check()
    assert ended.output.read_bytes() == undisturbed
    assert (ended.job, ended.rows) == (between.job, between.rows), "the one that comes back writes nothing"
    check_told_once(patient, [zombie, successor])


def check_told_once(patient: Patient, drivers: list[Life]) -> None:
    """Each driver that lost the job says so, in one line."""
    lines = patient.engine.driver_log(patient.name).splitlines()
    told = [line for line in lines if "taken job" in line or "ended" in line or "has just taken it" in line]
    assert len(told) == len(drivers) - 1, lines


def test_t_d1_fifty_zombies_write_nothing(engine: Engine, fork_server: ForkServer) -> None:
    """At random moments, not at named steps."""
    seed, met = 51, 0
    print(f"seed {seed}")
    dice = random.Random(seed)
    for number in range(50):
        patient = Patient(engine, fork_server, name=f"job{number}", lease_s=LEASE_S)
        zombie = patient.driver()
        time.sleep(dice.uniform(0.0, 0.15))
        engine.pause(zombie)
        stopped = time.monotonic()
        workers = workers_of(patient.ended().folder)
        patient.look()
        met += not patient.ended().status.is_terminal
        successor = patient.driver(is_elsewhere=True)
        assert successor.wait() == 0, engine.driver_log(patient.name)
        between = patient.ended()
        time.sleep(max(0.0, LEASE_S - (time.monotonic() - stopped)))  # it is the length of the stop that is tried
        zombie.send_signal(signal.SIGCONT)
        assert zombie.wait() == 0, engine.driver_log(patient.name)
        ended = patient.check()
        assert (ended.job, ended.rows) == (between.job, between.rows), "a zombie has written"
        assert not any(map(is_alive, workers)), "it takes its workers with it"
        check_told_once(patient, [zombie, successor])
    assert met >= 25, "most are met while they have the job"


def test_t_d7_a_driver_dies_right_after_its_claim(patient: Patient) -> None:
    patient.dies_at("D1")
    beat = patient.engine.store.heartbeat("job")
    assert (beat.epoch, beat.beat) == (1, 1), "the claim itself is the first sign of life"
    assert patient.ended().status is JobStatus.PREPARING
    patient.carry_on()
    patient.check()
