"""Jobs that have ended are deleted with their folder; what they published stays, and their names are free."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.job import Job, JobStatus
from batchpoint.errors import ResourceConflict, ResourceNotFound
from batchpoint.server.retention import delete_job
from batchpoint.storage.atomic import is_aside
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.upkeep import prune
from batchpoint.upkeep.rules import Limits
from tests.process.engine_jobs import ROOT, Engine, W
from tests.process.homes import deploy, ended, eventually, expected_rows


def gone(client: Client, home: Path, job: str) -> Job:
    """The job, once it has ended and its driver has gone."""
    found = ended(client, job)
    eventually(lambda: not is_locked(job_folder(home, job).lock), "the driver to go")
    return found


def test_a_job_is_deleted_its_output_stays_and_its_name_scores_anew(client: Client, home: Path, tmp_path: Path) -> None:
    wanted = deploy(client, tmp_path / "files", "good.py").model_copy(update={"job_name": "monday"})
    first = client.endpoints.invoke("ep1", wanted)
    output = Path(gone(client, home, first.name).settings.output_folder, "predictions.csv")
    client.jobs.delete("monday")
    assert output.read_text() == expected_rows(4)
    assert list((home / "jobs").iterdir()) == []
    with pytest.raises(ResourceNotFound):
        client.jobs.get("monday")
    with pytest.raises(ResourceNotFound):
        client.jobs.delete("monday")
    output.unlink()
    (tmp_path / "files" / "in" / "000.txt").unlink()
    client.endpoints.invoke("ep1", wanted)
    second = gone(client, home, "monday")
    assert (second.status, second.progress.items) == (JobStatus.COMPLETED, 3), "the plan is the new one"
    assert output.read_text() == expected_rows(4).partition("\n")[2]


def test_the_wire_says_deleted_nothing_to_delete_and_not_yet(client: Client, home: Path, tmp_path: Path) -> None:
    wanted = deploy(client, tmp_path / "files", "sleeps_in_run.py", SLEEP_S="30")
    job = client.endpoints.invoke("ep1", wanted).name

    def answered() -> int:
        return client._requests._http.delete(f"{client.workspace.arm_id}/jobs/{job}").status_code

    assert answered() == 409
    client.jobs.cancel(job)
    gone(client, home, job)
    assert [answered(), answered()] == [200, 204]


def test_a_running_job_is_not_deleted(client: Client, home: Path, tmp_path: Path) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "sleeps_in_run.py", SLEEP_S="30"))
    eventually(lambda: client.jobs.get(job.name).status is JobStatus.RUNNING, "Running")
    with pytest.raises(ResourceConflict, match=f"is Running; .* job cancel --name {job.name}"):
        client.jobs.delete(job.name)
    client.jobs.cancel(job.name)
    assert gone(client, home, job.name).status is JobStatus.CANCELED
    client.jobs.delete(job.name)
    assert list((home / "jobs").iterdir()) == []


def test_a_job_whose_driver_still_holds_the_lock_stays(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchpoint.server.retention._PATIENCE_S", 0.1)
    done = engine.run("good.py", engine.items(2))
    with try_lock(done.folder.lock) as is_ours, pytest.raises(ResourceConflict, match=r"driver of job job .*lock"):
        assert is_ours
        delete_job(engine.store, home, W, "job")
    assert done.folder.segments.is_dir() and engine.store.find_job("job")
    delete_job(engine.store, home, W, "job")
    assert not done.folder.path.exists() and done.output.exists()


def test_a_job_folder_that_is_a_link_is_removed_and_what_it_leads_to_is_not(
    engine: Engine, home: Path, tmp_path: Path
) -> None:
    done = engine.run("good.py", engine.items(2))
    elsewhere = tmp_path / "elsewhere"
    done.folder.path.rename(elsewhere)
    done.folder.path.symlink_to(elsewhere)
    delete_job(engine.store, home, W, "job")
    assert not done.folder.path.is_symlink() and (elsewhere / "logs").is_dir()


def test_a_driver_that_comes_too_late_for_a_deleted_job_just_leaves(engine: Engine, home: Path) -> None:
    engine.job("good.py", engine.items(2))
    engine.store.request_cancel(W, "job")
    delete_job(engine.store, home, W, "job")
    job_folder(home, "job").path.mkdir()
    late = engine.start_driver("job")
    assert late.wait(60) == 0
    assert "There is no job job" in engine.driver_log("job")


def test_what_a_script_left_behind_closed_doors_goes_too(engine: Engine, home: Path) -> None:
    done = engine.run("good.py", engine.items(2))
    closed = done.folder.logs / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner" / "file").write_text("x")
    closed.chmod(0o500)
    delete_job(engine.store, home, W, "job")
    assert list((home / "jobs").iterdir()) == []


@pytest.mark.parametrize(("step", "is_known"), [("set_aside", True), ("discard", False)])
def test_a_deletion_that_is_killed_leaves_the_job_or_frees_its_name(
    engine: Engine, home: Path, step: str, is_known: bool
) -> None:
    done = engine.run("good.py", engine.items(4))
    program = (
        "import os, pathlib, sys\n"
        "from batchpoint.server import retention\n"
        "from batchpoint.store.store import open_store\n"
        "home, w, step = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]\n"
        "whole = getattr(retention, step)\n"
        "setattr(retention, step, lambda path: (step == 'set_aside' and whole(path), os.kill(os.getpid(), 9)))\n"
        "retention.delete_job(open_store(home), home, w, 'job')\n"
    )
    command = [sys.executable, "-c", program, str(home), W, step]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, check=False).returncode == -9
    (aside,) = (home / "jobs").iterdir()
    assert is_aside(aside.name) and (engine.store.find_job("job") is not None) is is_known
    if is_known:
        delete_job(engine.store, home, W, "job")
    done.output.unlink()
    (engine.outside / "in" / "000.txt").unlink()
    assert engine.run("good.py", engine.outside / "in").progress.items == 3
    os.utime(aside, (0, 0))
    assert [one.name for one in prune.remove(home, prune.look(home, Limits()))] == [aside.name]
