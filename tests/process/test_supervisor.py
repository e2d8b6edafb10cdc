"""Jobs come to their end whoever dies, and nobody stays when nothing is left to do."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.compute import strays
from batchpoint.entities.job import JobStatus
from batchpoint.local import connect, ensure_supervisor
from batchpoint.server.supervision.drivers import LocalDrivers, start_detached
from batchpoint.server.supervision.watch import pause_after
from batchpoint.server.supervisor import lock_of
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.store.store import Store, open_store
from tests.process.homes import deploy, ended, eventually, expected_rows


def driver_of(store: Store, job: str) -> int:
    """The process that drives the job, once one does."""
    return eventually(lambda: store.heartbeat(job).pid if store.epoch_of(job) else 0, "a driver")


def supervisor_of(settings: Settings) -> int:
    """The process of the detached supervisor."""
    wanted = b"BATCHPOINT_HOME=" + os.fsencode(settings.home)
    for entry in Path("/proc").iterdir():
        try:
            is_one = b"batchpoint.server.supervisor" in (entry / "cmdline").read_bytes()
            if is_one and wanted in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except OSError:
            continue
    return 0


def output_of(client: Client, job: str, folder: Path) -> str:
    (file,) = client.jobs.download(job, folder)
    assert file == folder / "predictions.csv"
    return file.read_text()


def test_a_job_is_scored_without_a_server_and_nobody_stays(client: Client, settings: Settings, tmp_path: Path) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "good.py"))
    assert job.status is JobStatus.PREPARING
    events = list(client.jobs.stream_events(job.name))
    last = events[-1].job
    assert (last.status, last.progress.items_succeeded, last.error) == (JobStatus.COMPLETED, 4, None)
    assert any("4 items" in line for event in events for line in event.lines)
    assert output_of(client, job.name, tmp_path / "out") == expected_rows(4)
    eventually(lambda: not is_locked(lock_of(settings.home)), "the supervisor to go")


def test_who_follows_a_job_hears_what_its_driver_says_after_the_end(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "good.py"))
    heard = [line for event in client.jobs.stream_events(job.name) for line in event.lines]
    assert heard[-1].endswith("4 of 4 items scored.")
    folder = job_folder(settings.home, job.name)
    with try_lock(folder.lock) as is_ours:
        assert is_ours
        following = client.jobs.stream_events(job.name)
        assert next(following).job.status is JobStatus.COMPLETED
        with folder.execution_log.open("a") as log:
            log.write("One more word.")
    assert [line for event in following for line in event.lines] == ["One more word."]


def test_a_driver_that_is_killed_gets_a_successor(client: Client, store: Store, tmp_path: Path) -> None:
    wanted = deploy(
        client, tmp_path / "files", "sleeps_in_run.py", files=12, SLEEP_S="0.2", CALLS=str(tmp_path / "calls")
    )
    job = client.endpoints.invoke("ep1", wanted)
    pid = driver_of(store, job.name)
    eventually(lambda: (tmp_path / "calls").exists(), "the first run()")
    os.kill(pid, signal.SIGKILL)
    found = ended(client, job.name)
    assert (found.status, found.progress.items_succeeded) == (JobStatus.COMPLETED, 12)
    assert store.heartbeat(job.name).pid != pid
    assert output_of(client, job.name, tmp_path / "out") == expected_rows(12)


def test_a_driver_that_stands_still_is_killed_and_gets_a_successor(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHPOINT_DRIVER_LEASE_S", "3")
    settings = Settings.load()
    with connect(settings) as client, open_store(settings.home) as store:
        wanted = deploy(client, tmp_path / "files", "sleeps_in_run.py", files=8, SLEEP_S="0.2")
        job = client.endpoints.invoke("ep1", wanted)
        pid = driver_of(store, job.name)
        os.kill(pid, signal.SIGSTOP)
        found = ended(client, job.name)
        assert (found.status, found.progress.items_succeeded) == (JobStatus.COMPLETED, 8)
        assert store.heartbeat(job.name).pid != pid
        assert output_of(client, job.name, tmp_path / "out") == expected_rows(8)
    assert "gave no sign of life" in (home / "supervisor.log").read_text()


def test_after_supervisor_and_driver_are_killed_the_next_client_starts_them_again(
    client: Client, settings: Settings, store: Store, tmp_path: Path
) -> None:
    wanted = deploy(client, tmp_path / "files", "sleeps_in_run.py", files=8, SLEEP_S="0.2")
    job = client.endpoints.invoke("ep1", wanted)
    driver = driver_of(store, job.name)
    os.kill(supervisor_of(settings), signal.SIGKILL)
    os.kill(driver, signal.SIGKILL)
    eventually(lambda: not is_locked(job_folder(settings.home, job.name).lock), "the driver's death")
    with connect(settings) as next_client:
        assert ended(next_client, job.name).status is JobStatus.COMPLETED


def test_a_driver_outlives_its_supervisor_and_is_left_alone_by_the_next(
    client: Client, settings: Settings, store: Store, tmp_path: Path
) -> None:
    wanted = deploy(client, tmp_path / "files", "sleeps_in_run.py", files=8, SLEEP_S="0.2")
    job = client.endpoints.invoke("ep1", wanted)
    driver = driver_of(store, job.name)
    os.kill(supervisor_of(settings), signal.SIGKILL)
    eventually(lambda: not is_locked(lock_of(settings.home)), "the supervisor's death")
    ensure_supervisor(settings)
    assert ended(client, job.name).status is JobStatus.COMPLETED
    assert (store.epoch_of(job.name), store.heartbeat(job.name).pid) == (1, driver)


def test_a_job_can_be_canceled_although_everybody_is_dead(
    client: Client, settings: Settings, store: Store, tmp_path: Path
) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "sleeps_in_run.py", SLEEP_S="30"))
    driver = driver_of(store, job.name)
    os.kill(supervisor_of(settings), signal.SIGKILL)
    os.kill(driver, signal.SIGKILL)
    # A process is not gone yet when it is told to go.
    eventually(lambda: not is_locked(lock_of(settings.home)), "the supervisor's death")
    client.jobs.cancel(job.name)
    assert ended(client, job.name).status is JobStatus.CANCELED


def test_a_running_job_is_canceled(client: Client, store: Store, tmp_path: Path) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "sleeps_in_run.py", SLEEP_S="30"))
    eventually(lambda: client.jobs.get(job.name).status is JobStatus.RUNNING, "Running")
    client.jobs.cancel(job.name)
    assert ended(client, job.name).status is JobStatus.CANCELED


def test_two_jobs_have_two_drivers_and_one_supervisor(client: Client, settings: Settings, tmp_path: Path) -> None:
    wanted = deploy(client, tmp_path / "files", "good.py")
    jobs = [client.endpoints.invoke("ep1", wanted) for _ in range(2)]
    for job in jobs:
        assert ended(client, job.name).status is JobStatus.COMPLETED
    starts = (settings.home / "supervisor.log").read_text()
    assert "driver of" not in starts, starts


def test_a_supervisor_with_nothing_to_do_goes(settings: Settings) -> None:
    with (settings.home / "supervisor.log").open("ab") as output:
        process = start_detached("batchpoint.server.supervisor", [], settings, output.fileno())
    assert process.wait(timeout=60) == 0


def test_a_second_supervisor_goes_while_the_first_does_all_there_is_to_do(
    client: Client, settings: Settings, store: Store, tmp_path: Path
) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "sleeps_in_run.py", SLEEP_S="0.5"))
    driver_of(store, job.name)
    with (settings.home / "supervisor.log").open("ab") as output:
        second = start_detached("batchpoint.server.supervisor", [], settings, output.fileno())
    assert second.wait(timeout=60) == 0
    assert ended(client, job.name).status is JobStatus.COMPLETED


def test_a_job_that_arrives_while_the_supervisor_is_leaving_is_not_forgotten(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    wanted = deploy(client, tmp_path / "files", "good.py", files=1)
    for pause_s in (0.0, 0.1, 0.2, 0.3):
        job = client.endpoints.invoke("ep1", wanted)
        assert ended(client, job.name).status is JobStatus.COMPLETED
        time.sleep(pause_s)


def test_a_module_in_the_users_folder_is_not_taken_for_one_of_ours(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = deploy(client, tmp_path / "files", "good.py", files=1)
    for name in ("random", "json", "logging", "sqlalchemy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not me')")
    monkeypatch.chdir(tmp_path)
    assert ended(client, client.endpoints.invoke("ep1", wanted).name).status is JobStatus.COMPLETED


def test_a_supervisor_outlives_a_driver_that_cannot_be_started(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    wanted = deploy(client, tmp_path / "files", "good.py")
    with try_lock(lock_of(settings.home)):  # nobody else starts a driver
        job = client.endpoints.invoke("ep1", wanted)
        in_the_way = job_folder(settings.home, job.name).path
        in_the_way.parent.mkdir(exist_ok=True)
        in_the_way.write_text("no folder can be made here")
    ensure_supervisor(settings)
    log = settings.home / "supervisor.log"
    eventually(lambda: "trying again" in log.read_text(), "the supervisor to meet it")
    in_the_way.unlink()
    assert ended(client, job.name).status is JobStatus.COMPLETED


def test_drivers_that_die_at_once_are_started_less_and_less_often() -> None:
    pauses = [pause_after(deaths) for deaths in range(1, 10)]
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30.0


def test_a_supervisor_is_started_in_a_session_of_its_own(settings: Settings) -> None:
    with (settings.home / "supervisor.log").open("ab") as output:
        process = start_detached("batchpoint.server.supervisor", [], settings, output.fileno())
    assert os.getsid(process.pid) == process.pid
    assert isinstance(process, subprocess.Popen)
    process.wait(timeout=60)


def test_a_job_that_no_driver_ends_leaves_no_worker_that_is_stuck(settings: Settings) -> None:
    folder = job_folder(settings.home, "job")
    folder.path.mkdir(parents=True)
    marks = {strays.MARK: strays.mark(folder.path, "pool", 0)}, {strays.MARK: f"{folder.path}-2#pool#0#"}
    stuck, another = (subprocess.Popen(["sleep", "600"], env={**os.environ, **mark}) for mark in marks)
    try:
        LocalDrivers(settings).close("job", "Canceled.")
        assert stuck.wait(10) == -signal.SIGKILL
        assert another.poll() is None, "it is another job's"
        assert "Canceled." in folder.execution_log.read_text(encoding="utf-8")
    finally:
        for process in (stuck, another):
            process.kill()
            process.wait()
