"""T-A3: every call of a driver by which it makes something durable fails once, or is its last.

A clean run under strace counts the calls; then each of them in turn is answered with EIO or ENOSPC, or the driver is
killed as it makes it. The drivers are forked from a prepared process; strace sees the driver alone, not its workers.
"""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from tests.process.driver_deaths import Patient
from tests.process.engine_jobs import Engine, eventually
from tests.process.fork_server import ForkServer, Life

CALLS = "fsync fdatasync pwrite64 ftruncate link linkat unlink unlinkat rename renameat renameat2".split()


@dataclass
class Traced:
    """Drivers that a tracer looks at, or worse."""

    engine: Engine
    server: ForkServer
    jobs: int = 0

    def patient(self) -> Patient:
        self.jobs += 1
        return Patient(self.engine, self.server, name=f"job{self.jobs}", items=4)

    def drive(self, patient: Patient, *options: str) -> tuple[int, list[str]]:
        """One driver from its first call to its end: how it ended, and the calls that the tracer saw."""
        # It commits each of its two mini-batches by itself.
        driver = self.server.start(self.engine.home, patient.name, waits=True, commit_every_s=0.0)
        eventually(lambda: driver.state() == "T")
        report = self.engine.outside / f"{patient.name}.strace"
        command = ["strace", "-q", "-p", str(driver.pid), "-o", str(report), "-e", "trace=" + ",".join(CALLS), *options]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            eventually(lambda: tracer_of(driver), "strace does not attach")
            driver.send_signal(signal.SIGCONT)
            status = driver.wait()
        finally:
            driver.kill()
            tracer.wait()
        return status, [line for line in report.read_text().splitlines() if re.match(r"\w+\(", line)]


def tracer_of(driver: Life) -> int:
    status = Path(f"/proc/{driver.pid}/status").read_text()
    return int(re.findall(r"TracerPid:\s*(\d+)", status)[0])


@dataclass(frozen=True)
class Place:
    """The n-th time that a driver makes this call."""

    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call} {self.number}"


@pytest.fixture
def traced(engine: Engine, fork_server: ForkServer) -> Traced:
    return Traced(engine, fork_server)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, prepared_drivers: ForkServer) -> list[Place]:
    """Every such call of a driver to which nothing happens."""
    outside = tmp_path_factory.mktemp("clean")
    (outside / "home").mkdir()
    engine = Engine(outside / "home", outside)
    traced = Traced(engine, prepared_drivers)
    patient = traced.patient()
    status, calls = traced.drive(patient)
    patient.check()
    engine.close()
    assert status == 0
    counted = Counter(line.partition("(")[0] for line in calls)
    print(dict(counted))
    assert all(counted[call] for call in ("fsync", "fdatasync", "pwrite64", "link", "unlink", "rename"))
    return [Place(call, number) for call, count in counted.items() for number in range(1, count + 1)]


#: Parts of the work: what the database writes and syncs, and all the rest.
KINDS = ("pwrite64", "fdatasync", "files")


def strike(traced: Traced, places: list[Place], kind: str, fault: str, judge: Callable[[Patient, int], None]) -> None:
    """A job for each place of this kind; all that went wrong is said at the end."""
    wrong, met = [], 0
    places = [place for place in places if kind == (place.call if place.call in KINDS else "files")]
    for place in places:
        patient = traced.patient()
        status, calls = traced.drive(patient, "-e", f"inject={place.call}:{fault}:when={place.number}")
        met += status == -signal.SIGKILL or any("(INJECTED)" in line for line in calls)
        try:
            judge(patient, status)
        except AssertionError as error:
            wrong.append(f"{place}: {error}")
    assert not wrong, f"{len(wrong)} of {len(places)}:\n" + "\n".join(wrong)
    print(f"{kind}, {fault}: {met} of {len(places)} calls struck")
    assert met >= len(places) - 3, "a beat more or less is chance, but no more than that"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_t_a3_a_driver_is_killed_as_it_makes_the_call(traced: Traced, places: list[Place], kind: str) -> None:
    def judge(patient: Patient, status: int) -> None:
        assert status in (-signal.SIGKILL, 0)
        patient.look()
        patient.tear()
        patient.carry_on()
        patient.check()

    strike(traced, places, kind, "signal=SIGKILL", judge)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_t_a3_the_call_fails(traced: Traced, places: list[Place], error: str, kind: str) -> None:
    """Whatever it is, the driver tries again or leaves the job to the next one: no such call may fail the job."""

    def judge(patient: Patient, status: int) -> None:
        assert status in (0, 70, 75), traced.engine.driver_log(patient.name)
        if status:
            patient.look()
            patient.carry_on()
        patient.check()

    strike(traced, places, kind, f"error={error}", judge)


def test_t_a3_a_disk_that_fails_for_good_fails_the_job_and_leaves_nothing(traced: Traced, places: list[Place]) -> None:
    """From the call on, all of its kind fail."""
    wrong, ends = [], Counter[str]()
    for place in places:
        if place.call not in ("fsync", "rename", "link"):
            continue
        patient = traced.patient()
        status, _ = traced.drive(patient, "-e", f"inject={place.call}:error=EIO:when={place.number}+")
        ended = patient.ended()
        if status == 70:
            # Rows that cannot be synced are the next driver's: it has a segment of its own.
            patient.carry_on()
            patient.check()
        elif ended.status is JobStatus.FAILED and ended.error.code in ("DiskFailed", "OutputUnwritable"):
            patient.check_clean()
        elif ended.status is not JobStatus.COMPLETED:
            wrong.append(f"{place}: {status}, {ended.status}, {ended.job.error}")
        ends[f"{place.call}: {status}, {ended.job.error.code if ended.job.error else ended.status}"] += 1
    assert not wrong, "\n".join(wrong)
    print(ends)
    assert ends["link: 0, OutputUnwritable"] and ends["fsync: 70, Running"]
    assert ends["fsync: 0, DiskFailed"] and ends["rename: 0, DiskFailed"]


def test_t_a3_a_segment_that_could_not_be_synced_is_never_trusted_again(traced: Traced) -> None:
    """Four fsyncs are the plan's, two the first commit's, for the bytes and for the name; then comes the second one."""
    patient = traced.patient()
    status, calls = traced.drive(patient, "-e", "inject=fsync:error=EIO:when=7")
    assert status == 70 and any("(INJECTED)" in line for line in calls)
    patient.look()
    first = {part.segment for row in patient.before for part in row.parts}
    patient.carry_on()
    ended = patient.check()
    assert first, "something was committed from it before"
    later = {part.segment for row in ended.rows if row not in patient.before for part in row.parts}
    assert later and not later & first, "the rest stands in a new segment"
