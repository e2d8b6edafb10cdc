"""A job is canceled at whatever moment it is asked to, and ends when its lifetime is over; nothing of it stays."""

import os
import signal
import socket
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.assets import Environment
from batchpoint.entities.data import Input
from batchpoint.entities.job import JobStatus
from batchpoint.errors import ResourceConflict
from batchpoint.local import connect
from batchpoint.server.supervisor import lock_of
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked
from batchpoint.store.store import Store
from tests.process.engine_jobs import Engine, W, store_is_free, workers_of
from tests.process.homes import deploy, ended, eventually
from tests.process.test_supervisor import driver_of, supervisor_of


class Unhurried:
    """A web server that takes questions and never comes to the end of an answer."""

    def __init__(self, drip: bytes) -> None:
        self._drip = drip
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked = threading.Event()
        self._open: list[socket.socket] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def _listen(self) -> None:
        self._listener.settimeout(0.05)
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                self._continue()
                continue
            self._open.append(connection)
            connection.recv(65536)
            if self._drip:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            self.asked.set()

    def _continue(self) -> None:
        for connection in list(self._open):
            try:
                connection.sendall(self._drip)
            except OSError:
                connection.close()
                self._open.remove(connection)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        for connection in self._open:
            connection.close()
        self._listener.close()


def assert_stopped(client: Client, settings: Settings, job: str) -> None:
    """Ask for the end of the job and see it; by then no worker is there."""
    client.jobs.cancel(job)
    assert ended(client, job).status is JobStatus.CANCELED
    assert workers_of(job_folder(settings.home, job)) == []


@pytest.mark.parametrize("moment", ["init", "run", "shutdown"])
def test_a_driver_heeds_a_cancel_while_the_script_does_not_return(moment: str, engine: Engine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    variables = {"GATE": str(gate), "GATE_AT": moment}
    engine.job("waits_at_a_gate.py", engine.items(4), timeout_s=600, environment=variables)
    driver = engine.start_driver("job")
    eventually((gate / "reached").exists, f"{moment}()")
    engine.store.request_cancel(W, "job")
    found = engine.wait(driver)
    assert found.status is JobStatus.CANCELED
    assert workers_of(found.folder) == []
    assert not found.output.exists()


def test_a_driver_heeds_a_cancel_while_it_downloads(engine: Engine, tmp_path: Path) -> None:
    with closing(Unhurried(b"x")) as site:
        source = Input(type="uri_file", path=f"http://{site.address}/rows.csv")
        engine.job("good.py", tmp_path, input=source)
        driver = engine.start_driver("job", BATCHPOINT_INPUT_HOSTS_ALLOWED=site.address)
        assert site.asked.wait(60)
        engine.store.request_cancel(W, "job")
        assert engine.wait(driver).status is JobStatus.CANCELED


def test_a_job_is_canceled_while_a_server_of_its_input_says_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Unhurried(b"")) as site:
        monkeypatch.setenv("BATCHPOINT_INPUT_HOSTS_ALLOWED", site.address)
        settings = Settings.load()
        with connect(settings) as client:
            wanted = deploy(client, tmp_path / "files", "good.py")
            source = Input(type="uri_file", path=f"http://{site.address}/rows.csv")
            job = client.endpoints.invoke("ep1", wanted.model_copy(update={"input": source})).name
            assert site.asked.wait(60)
            assert_stopped(client, settings, job)


def test_a_job_is_canceled_while_its_environment_is_built(client: Client, settings: Settings, tmp_path: Path) -> None:
    with closing(Unhurried(b"")) as registry:
        wanted = deploy(client, tmp_path / "files", "good.py")
        package = f"slow @ http://{registry.address}/slow-1.0-py3-none-any.whl"
        environment = Environment(image="base:1", conda_file={"dependencies": ["python=3.11", {"pip": [package]}]})
        found = client.deployments.get("ep1", "dp1").model_copy(update={"environment": environment})
        client.deployments.create_or_update(found, skip_script_validation=True)
        job = client.endpoints.invoke("ep1", wanted).name
        assert registry.asked.wait(60)
        log = job_folder(settings.home, job).execution_log
        eventually(lambda: log.exists() and "environment_build_log.txt" in log.read_text(), "a line about the build")
        assert_stopped(client, settings, job)


def test_a_driver_that_is_stuck_does_not_keep_its_job(
    client: Client, settings: Settings, store: Store, tmp_path: Path
) -> None:
    """Whatever it hangs in, here a stop signal, and whoever started it: its successor ends the worker that it left."""
    gate = tmp_path / "gate"
    wanted = deploy(client, tmp_path / "files", "waits_at_a_gate.py", GATE=str(gate), GATE_AT="run")
    job = client.endpoints.invoke("ep1", wanted.model_copy(update={"timeout_s": 600})).name
    eventually((gate / "reached").exists, "run()")
    driver = driver_of(store, job)
    _stop_outside_a_transaction(settings.home, driver)
    os.kill(supervisor_of(settings), signal.SIGKILL)
    # A process is not gone yet when it is told to go.
    eventually(lambda: not is_locked(lock_of(settings.home)), "the supervisor's death")
    assert_stopped(client, settings, job)
    assert store.heartbeat(job).pid != driver


def _stop_outside_a_transaction(home: Path, driver: int) -> None:
    while True:
        os.kill(driver, signal.SIGSTOP)
        if store_is_free(home):
            return
        os.kill(driver, signal.SIGCONT)
        time.sleep(0.01)


def test_it_is_too_late_to_cancel_what_is_being_published(engine: Engine) -> None:
    job = engine.job("good.py", engine.items(2))
    claimed = engine.store.claim(job.name, 0, "n", "host", 1)
    assert claimed
    engine.store.start(claimed.fence, 0, 0)
    engine.store.freeze(claimed.fence)
    with pytest.raises(ResourceConflict, match="too late to cancel"):
        engine.store.request_cancel(W, job.name)


def test_a_canceled_job_counts_what_its_ledger_holds(engine: Engine) -> None:
    engine.job("sleeps_in_run.py", engine.items(400), mini_batch_size=1, environment={"SLEEP_S": "0.02"})
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.ledger("job", 0), "the first rows")
    engine.store.request_cancel(W, "job")
    found = engine.wait(driver)
    assert found.status is JobStatus.CANCELED
    assert (found.progress.items, found.progress.mini_batches_done) == (400, len(found.rows))


def test_a_job_ends_when_its_lifetime_is_over(engine: Engine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = engine.job(
        "waits_at_a_gate.py", engine.items(2), lifetime_s=60, environment={"GATE": str(gate), "GATE_AT": "run"}
    )
    _place(engine, job.name, datetime.now(UTC) - timedelta(seconds=58.5))
    found = engine.drive(job.name)
    assert found.error.code == "JobLifetimeExceeded"
    assert "job_lifetime_s" in found.error.message
    assert found.progress.items == 2, "what it had of its input is still said"
    assert workers_of(found.folder) == []
    assert not found.output.exists()


def _place(engine: Engine, name: str, at: datetime) -> None:
    """As if the job had been given its instances at that moment."""
    from batchpoint.store import lifecycle
    from batchpoint.store.tables.jobs import locked, save

    with engine.store._database.writing() as connection:
        record = locked(connection, name)
        save(connection, record, lifecycle.placed(record, (0,), (), at))
