"""Jobs share a compute: they wait for its instances and say so, whoever supervises them and dies meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Invocation
from batchpoint.entities.job import Job, JobStatus
from batchpoint.local import connect
from batchpoint.server.supervisor import lock_of
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked
from tests.process.homes import deploy, ended, eventually
from tests.process.test_supervisor import supervisor_of


@dataclass
class Shared:
    """A home whose deployment stands still in run() until the gate is opened."""

    client: Client
    settings: Settings
    invocation: Invocation
    gate: Path

    def invoke(self, **changes: object) -> str:
        return self.client.endpoints.invoke("ep1", self.invocation.model_copy(update=changes)).name

    def compute(self, **changes: int) -> None:
        self.client.computes.create_or_update(Compute(name="cpu").model_copy(update=changes))

    def job(self, name: str) -> Job:
        return self.client.jobs.get(name)

    def one_runs_and_one_waits(self) -> tuple[str, str]:
        """Two jobs for a compute that has room for one."""
        first = self.invoke()
        self.running(first)
        second = self.invoke()
        self.queued(second)
        return first, second

    def running(self, job: str) -> None:
        """Return when the job stands at the gate."""
        reached = self.gate / "reached"
        eventually(lambda: reached.exists() and job in reached.read_text().split(), f"{job} in run()")

    def queued(self, job: str) -> str:
        """What the job waits for, once it says so."""
        return eventually(lambda: self.job(job).waiting_for, f"{job} in the queue")

    def open(self) -> None:
        (self.gate / "open").touch()

    def log(self, job: str) -> str:
        return job_folder(self.settings.home, job).execution_log.read_text()

    def nodes(self) -> list[tuple[str, str | None]]:
        return [(node.node_state, node.current_job_name) for node in self.client.computes.list_nodes("cpu")]


def shared(settings: Settings, tmp_path: Path, client: Client) -> Shared:
    gate = tmp_path / "gate"
    gate.mkdir()
    wanted = deploy(client, tmp_path / "files", "waits_at_a_gate.py", files=2, GATE=str(gate), GATE_AT="run")
    return Shared(client, settings, wanted, gate)


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Iterator[Shared]:
    """Without a server."""
    settings = Settings.load()
    with connect(settings) as client:
        yield shared(settings, tmp_path, client)


@pytest.fixture
def server(home: Path) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint.server"], env=Settings.load().child_environ(), stderr=subprocess.PIPE
    )
    eventually((home / "server.json").exists, "the server")
    yield process
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture
def served(server: "subprocess.Popen[bytes]", home: Path, tmp_path: Path) -> Iterator[Shared]:
    """With a server."""
    settings = Settings.load()
    with connect(settings) as client:
        yield shared(settings, tmp_path, client)


def test_the_second_of_two_jobs_waits_for_the_only_instance_and_says_so(place: Shared) -> None:
    place.compute(max_instances=1)
    first = place.invoke()
    place.running(first)
    second = place.invoke()
    sentence = place.queued(second)
    assert sentence == f"Waits for 1 instance of compute cpu: 1 of 1 are used by {first}."
    assert place.job(second).status is JobStatus.QUEUED
    log = job_folder(place.settings.home, second).execution_log
    eventually(lambda: log.exists() and sentence in log.read_text(), "the line of the stream")
    assert place.nodes() == [("running", first)]
    place.open()
    assert ended(place.client, first).status is JobStatus.COMPLETED
    after = ended(place.client, second)
    assert (after.status, after.waiting_for, after.instances) == (JobStatus.COMPLETED, "", (0,))
    assert "Has instance 0 of cpu now." in place.log(second)
    before = place.job(first).ended_at
    assert before and after.started_at and before <= after.started_at
    assert place.nodes() == [], "without a server an instance ends with its job"


def test_jobs_take_their_turns_endpoint_by_endpoint_and_no_small_one_overtakes(place: Shared) -> None:
    place.compute(max_instances=2)
    first = place.invoke()
    place.running(first)
    large = place.invoke(instance_count=2)
    place.queued(large)
    small = place.invoke()
    assert place.queued(small) == "Waits for 1 instance of compute cpu: other jobs are before it."
    place.open()
    for name in (first, large, small):
        assert ended(place.client, name).status is JobStatus.COMPLETED
    started = [place.job(name).started_at for name in (large, small)]
    assert started[0] and started[1] and started[0] <= started[1]


def test_a_queue_outlives_its_supervisor(place: Shared) -> None:
    place.compute(max_instances=1)
    first, second = place.one_runs_and_one_waits()
    os.kill(supervisor_of(place.settings), signal.SIGKILL)
    eventually(lambda: not is_locked(lock_of(place.settings.home)), "the supervisor's death")
    place.open()
    assert ended(place.client, first).status is JobStatus.COMPLETED
    assert place.job(second).status is JobStatus.QUEUED
    with connect(place.settings) as next_client:
        assert ended(next_client, second).status is JobStatus.COMPLETED


def test_a_queued_job_is_canceled_at_once_although_nobody_supervises(place: Shared) -> None:
    place.compute(max_instances=1)
    first, second = place.one_runs_and_one_waits()
    os.kill(supervisor_of(place.settings), signal.SIGKILL)
    place.client.jobs.cancel(second)
    assert place.job(second).status is JobStatus.CANCELED
    place.open()
    assert ended(place.client, first).status is JobStatus.COMPLETED


def test_a_compute_that_grows_lets_waiting_jobs_in_and_one_that_shrinks_takes_nothing_away(place: Shared) -> None:
    place.compute(max_instances=1)
    first, second = place.one_runs_and_one_waits()
    place.compute(max_instances=2)
    place.running(second)
    place.compute(max_instances=1)
    third = place.invoke()
    assert place.queued(third).startswith("Waits for 1 instance of compute cpu: 2 of 1 are used by ")
    assert place.nodes() == [("running", first), ("running", second)]
    place.open()
    for name in (first, second, third):
        assert ended(place.client, name).status is JobStatus.COMPLETED


def test_a_waiting_job_fails_when_its_compute_is_deleted_and_a_running_one_goes_on(place: Shared) -> None:
    place.compute(max_instances=1)
    first, second = place.one_runs_and_one_waits()
    place.client.computes.delete("cpu")
    failed = ended(place.client, second)
    assert failed.error and failed.error.code == "ComputeDeleted"
    place.open()
    assert ended(place.client, first).status is JobStatus.COMPLETED


# --- with a server


def test_instances_come_with_jobs_stay_while_they_are_idle_and_go(served: Shared) -> None:
    first = served.invoke(instance_count=2)
    served.running(first)
    shown = served.client.computes.get("cpu")
    assert (shown.allocation_state, shown.current_node_count, shown.target_node_count) == ("Steady", 2, 2)
    assert shown.node_state_counts and shown.node_state_counts["running"] == 2
    served.open()
    assert ended(served.client, first).status is JobStatus.COMPLETED
    assert served.nodes() == [("idle", None)] * 2
    node_ids = [node.node_id for node in served.client.computes.list_nodes("cpu")]
    second = served.invoke()
    assert ended(served.client, second).status is JobStatus.COMPLETED
    assert served.job(second).instances == (0,)
    assert [node.node_id for node in served.client.computes.list_nodes("cpu")] == node_ids, "the idle ones are used"
    served.compute(idle_time_before_scale_down=1)
    eventually(lambda: served.client.computes.get("cpu").current_node_count == 0, "scaling down to nothing")
    served.compute(min_instances=3)
    eventually(lambda: served.nodes() == [("idle", None)] * 3, "the minimum, without a job")


def test_jobs_that_wait_go_on_when_the_server_has_gone(served: Shared, server: "subprocess.Popen[bytes]") -> None:
    served.compute(max_instances=1)
    first = served.invoke()
    served.running(first)
    second = served.invoke()
    served.queued(second)
    server.terminate()
    server.wait(timeout=60)
    served.open()
    with connect(served.settings) as client:
        for name in (first, second):
            assert ended(client, name).status is JobStatus.COMPLETED
