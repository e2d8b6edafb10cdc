"""How jobs end other than well: thresholds, nothing scored, empty inputs, cancels, drivers that come too late."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.engine.run import JobRun
from batchpoint.entities.data import Input
from batchpoint.entities.job import JobStatus
from batchpoint.errors import Fenced
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.store import Store
from tests.process.engine_jobs import Engine, W, eventually, is_alive, workers_of


def test_more_failed_items_than_error_threshold_end_the_job(engine: Engine) -> None:
    ended = engine.run(
        "raises_in_run.py", engine.items(40, bad=range(0, 40, 2)), error_threshold=3, max_retries=1, mini_batch_size=1
    )
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "ErrorThresholdExceeded")
    assert ended.error.message.startswith("Traceback") and "ValueError: bad header" in ended.error.message
    assert "4 items failed; error_threshold allows 3" in ended.error.message
    assert ended.progress.items_failed == 4 and not ended.output.exists()
    assert len(ended.called()) < 40
    assert sum(reason.items for reason in ended.job.failures) == 4


def test_as_many_failed_items_as_error_threshold_are_allowed(engine: Engine) -> None:
    ended = engine.run("raises_in_run.py", engine.items(8, bad=[3]), error_threshold=1, max_retries=1)
    assert len(ended.lines) == 7, "what counts is what is lost once the guilty items stand alone"
    whole = {"isolate_failures": False, "max_retries": 1, "name": "whole"}
    ended = engine.run("raises_in_run.py", engine.items(8, bad=[3]), error_threshold=2, **whole)
    assert len(ended.lines) == 6


@pytest.mark.parametrize("script", ["raises_in_run.py", "returns_none.py", "segfaults_in_run.py"])
def test_a_job_without_a_success_fails_though_any_number_of_failures_is_allowed(engine: Engine, script: str) -> None:
    ended = engine.run(script, engine.items(4, bad=range(4)), max_retries=1, error_threshold=-1)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "NoSuccessfulItems")
    assert "None of the 4 items" in ended.error.message and "first failure" in ended.error.message
    assert not ended.output.exists()


@pytest.mark.parametrize("names", [[], [".hidden", "_also"]])
def test_an_empty_input_fails_the_job_and_says_why(engine: Engine, names: list[str]) -> None:
    ended = engine.run("good.py", engine.files(names))
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "InputEmpty")
    assert str(engine.outside / "in") in ended.error.message
    assert ("begin with" in ended.error.message) == bool(names)


def test_include_and_exclude_choose(engine: Engine) -> None:
    source = engine.files(["a.png", "b.txt", "sub/c.png", "sub/no.png"])
    chosen = Input(path=str(source), include=["*.png"], exclude=["no.*"])
    ended = engine.run("good.py", source, input=chosen)
    assert ended.lines == ["a.png: ok", "c.png: ok"]


def test_an_input_that_does_not_exist_fails_the_job_by_its_path(engine: Engine) -> None:
    ended = engine.run("good.py", engine.outside / "no such folder")
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "InputUnreadable")
    assert "no such folder" in ended.error.message


def test_the_scheme_of_an_address_is_read_in_any_casing(engine: Engine) -> None:
    there = Input(type="uri_file", path="HTTP://127.0.0.1:9/rows.csv")
    ended = engine.run("good.py", engine.items(1), input=there)
    assert ended.error.code == "InputUnreadable"
    assert "127.0.0.1 is a private or local host" in ended.error.message


def test_an_input_that_vanishes_while_it_is_scored_costs_what_is_gone(engine: Engine) -> None:
    script = engine.script(
        "import os\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    text = [open(path).read() for path in paths]\n"
        "    if '000' in paths[0]: os.remove(paths[0].replace('000', '005'))\n"
        "    return text\n"
    )
    ended = engine.run(script, engine.items(8), max_retries=1)
    assert len(ended.lines) == 7 and "FileNotFoundError" in ended.reason.message


# ---- cancel -------------------------------------------------------------------------------------------------------


def running(engine: Engine, script: str, **settings: object) -> None:
    """A job that a driver process is at, with at least one call of run() behind it."""
    engine.job(script, engine.items(40), mini_batch_size=1, max_concurrency_per_instance=2, **settings)
    engine.start_driver("job")
    eventually(lambda: engine.ended().called(), "no call of run()")


@pytest.mark.parametrize("script", ["sleeps_in_run.py", "hangs_in_run.py"])
def test_a_cancel_ends_the_workers_and_publishes_nothing(engine: Engine, script: str) -> None:
    running(engine, script, environment={"SIN_ON": ""}, timeout_s=3600)
    workers = workers_of(job_folder(engine.home, "job"))
    assert workers
    assert engine.store.request_cancel(W, "job").status is JobStatus.CANCEL_REQUESTED
    ended = engine.wait(engine.drivers[0])
    assert ended.status is JobStatus.CANCELED and ended.job.error is None
    assert not [pid for pid in workers if is_alive(pid)]
    assert not Path(ended.job.settings.output_folder).exists()
    assert "Canceled" in ended.log("job_result.txt")


def test_a_cancel_while_init_runs_is_heeded(engine: Engine) -> None:
    engine.job("hangs_in_init.py", engine.items(4))
    driver = engine.start_driver("job")
    folder = job_folder(engine.home, "job")
    eventually(lambda: workers_of(folder) and engine.ended().status is JobStatus.RUNNING)
    engine.store.request_cancel(W, "job")
    assert engine.wait(driver).status is JobStatus.CANCELED


def test_a_cancel_that_a_dead_driver_has_not_seen_is_finished_by_the_next(engine: Engine) -> None:
    running(engine, "sleeps_in_run.py")
    engine.drivers[0].kill()
    engine.drivers[0].wait()
    engine.store.request_cancel(W, "job")
    calls = len(engine.ended().called())
    ended = engine.wait(engine.start_driver("job"))
    assert ended.status is JobStatus.CANCELED and not ended.output.exists()
    assert len(ended.called()) <= calls + 2, "at most what was running"


def test_a_cancel_between_the_last_mini_batch_and_the_freeze_is_finished(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = Store.freeze

    def canceled_before(store: Store, fence: object) -> None:
        store.request_cancel(W, "job")
        freeze(store, fence)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "freeze", canceled_before)
    ended = engine.run("good.py", engine.items(4))
    assert ended.status is JobStatus.CANCELED and not ended.output.exists()


def test_a_job_that_was_canceled_before_any_driver_is_not_driven(engine: Engine) -> None:
    engine.job("good.py", engine.items(4))
    engine.store.request_cancel(W, "job")
    assert engine.wait(engine.start_driver("job")).called() == []


# ---- drivers ------------------------------------------------------------------------------------------------------


def test_a_driver_process_completes_a_job_and_leaves_nothing_running(engine: Engine) -> None:
    engine.job("good.py", engine.items(10), max_concurrency_per_instance=2)
    ended = engine.wait(engine.start_driver("job"))
    assert len(ended.lines) == 10 and not workers_of(ended.folder)
    assert engine.store.output_of("job") == (_sha256(ended.output), ended.output.stat().st_size)


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["nothing", "../outside"])
def test_a_name_that_is_no_jobs_gets_a_sentence_and_no_folder(home: Path, name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "batchpoint.engine", name], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"There is no job {name}.")
    assert ended.stderr.count("\n") == 1
    assert not (home / "jobs").exists() and not (home / "outside").exists()
    unnamed = subprocess.run([sys.executable, "-m", "batchpoint.engine"], capture_output=True, text=True, check=False)
    assert (unnamed.returncode, unnamed.stderr) == (2, "usage: python -m batchpoint.engine JOB [EPOCH]\n")


def test_a_job_that_has_ended_is_not_driven_again(engine: Engine) -> None:
    before = engine.run("good.py", engine.items(4))
    after = engine.wait(engine.start_driver("job"))
    assert after.job == before.job and after.called() == before.called()


def test_two_drivers_started_at_once_score_each_mini_batch_once(engine: Engine) -> None:
    engine.job("sleeps_in_run.py", engine.items(20), environment={"SLEEP_S": "0.02"})
    drivers = [engine.start_driver("job") for _ in range(3)]
    for driver in drivers:
        engine.wait(driver)
    ended = engine.ended()
    assert len(ended.lines) == 20 and len(ended.called()) == 10


def test_a_driver_whose_job_another_one_has_taken_writes_nothing(engine: Engine) -> None:
    engine.job("good.py", engine.items(4))
    folder = job_folder(engine.home, "job")
    claim = engine.store.claim

    def too_late(job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> object:
        claimed = claim(job, observed_epoch, nonce, host, pid)
        assert claim(job, observed_epoch + 1, "another", host, pid) is not None
        return claimed

    engine.store.claim = too_late  # type: ignore[method-assign,assignment]
    with pytest.raises(Fenced):
        JobRun("job", engine.store, folder, engine.settings).execute()
    ended = engine.ended()
    assert ended.status is JobStatus.PREPARING and not ended.rows and not ended.output.exists()


def test_a_fault_of_ours_ends_the_job_and_is_called_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(JobRun, "_announce", broken)
    ended = engine.run("good.py", engine.items(4))
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "InternalServerError")
    assert "ZeroDivisionError" in ended.error.message and "driver.log" in ended.error.message
    assert not workers_of(ended.folder)


def test_segments_that_were_changed_after_they_were_committed_fail_the_job(engine: Engine) -> None:
    script = engine.script(
        "import glob, os\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    if '002' in paths[0]:\n"
        "        for segment in glob.glob(os.environ['SEGMENTS'] + '/*'):\n"
        "            with open(segment, 'r+b') as file: file.write(b'X')\n"
        "    return paths\n"
    )
    segments = job_folder(engine.home, "job").segments
    ended = engine.run(script, engine.items(4), environment={"SEGMENTS": str(segments)})
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "SegmentCorrupt")
    assert not ended.output.exists()


def test_a_script_that_removes_its_working_folder_hurts_nobody(engine: Engine) -> None:
    script = engine.script(
        "import os, shutil\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    shutil.rmtree(os.environ['TMPDIR'], ignore_errors=True)\n"
        "    if '002' in paths[0]: os._exit(1)\n"
        "    return paths\n"
    )
    ended = engine.run(script, engine.items(8), max_retries=2)
    assert len(ended.lines) == 7
    shutil.rmtree(ended.folder.path)
    os.makedirs(ended.folder.path)
