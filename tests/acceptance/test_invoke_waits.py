"""``invoke --wait``: the job's result is the exit code; ``--output-dir`` brings everything or nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.typed import ROWS, Type, deploy

INVOKE = "batch-endpoint invoke -n digits --input data"


@pytest.fixture
def digits(typed: Type) -> Type:
    deploy(typed)
    return typed


def slowly(digits: Type) -> None:
    """From now on a mini-batch lasts longer than any test."""
    digits("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=20 -o none")


def started(*flags: str) -> "subprocess.Popen[str]":
    """A process of its own that waits for a job."""
    words = [sys.executable, "-m", "batchpoint", *INVOKE.split(), "--wait", *flags]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)


def the_job(digits: Type, waiting: "subprocess.Popen[str]", status: str = "") -> str:
    """The name of the one job, once it is there and has left ``status``."""
    while True:
        jobs = digits("job list").json
        if jobs and jobs[0]["status"] != status:
            return str(jobs[0]["name"])
        assert waiting.poll() is None, waiting.communicate()


def test_waiting_ends_with_the_completed_job_and_says_nothing_in_a_pipe(digits: Type) -> None:
    ended = digits(f"{INVOKE} --wait")
    assert ended.json["status"] == "Completed"
    assert ended.json["properties"]["batchpoint.items_succeeded"] == "7"
    assert ended.err == ""
    assert digits(f"{INVOKE} --wait --query status -o tsv").out == "Completed\n"


def test_a_failed_job_is_exit_code_1_with_the_traceback_first(digits: Type) -> None:
    Path("data/bad.txt").write_text("no number")
    failed = digits(f"{INVOKE} --set error_threshold=0 --wait --output-dir got", code=1)
    assert failed.json["status"] == "Failed"
    assert failed.err.startswith("Traceback")
    assert "score.py" in failed.err.splitlines()[1]
    assert failed.err.index("ValueError: invalid literal") < failed.err.index("(ErrorThresholdExceeded)")
    assert "Nothing was fetched into" in failed.err
    assert not Path("got").exists()


def test_a_job_that_somebody_cancels_is_exit_code_2(digits: Type) -> None:
    slowly(digits)
    waiting = started("--output-dir", "got")
    digits(f"job cancel --name {the_job(digits, waiting)}")
    out, err = waiting.communicate()
    assert (waiting.returncode, json.loads(out)["status"]) == (2, "Canceled")
    assert "the job is Canceled" in err
    assert not Path("got").exists()


def test_a_time_limit_is_exit_code_2_and_leaves_the_job_alone(digits: Type) -> None:
    slowly(digits)
    ended = digits(f"{INVOKE} --wait-timeout 0.3", code=2)
    name = ended.json["name"]
    assert "after 0.3 seconds. The job goes on. Watch it: batchpoint job stream --name" in ended.err
    assert digits(f"job show -n {name} --query status -o tsv").out.strip() in ("Preparing", "Queued", "Running")
    digits(f"job cancel -n {name}")


def test_ctrl_c_while_waiting_is_exit_code_2_and_leaves_the_job_alone(digits: Type) -> None:
    slowly(digits)
    waiting = started()
    name = the_job(digits, waiting, status="Preparing")
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate()
    assert (waiting.returncode, json.loads(out)["name"]) == (2, name)
    assert f"Interrupted. The job goes on. Watch it: batchpoint job stream --name {name}" in err
    assert "Traceback" not in err
    digits(f"job cancel -n {name}")


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_the_output_is_fetched_at_once_into_a_folder_that_is_new_or_empty(there: bool, digits: Type) -> None:
    folder = Path("deep/got")
    if there:
        folder.mkdir(parents=True)
    ended = digits(f"{INVOKE} --output-dir {folder}")
    assert ended.json["status"] == "Completed", "--output-dir waits"
    assert (folder / "predictions.csv").read_text() == ROWS
    assert [path.name for path in folder.iterdir()] == ["predictions.csv"]
    assert f"Fetched the output into {folder.absolute()}" in ended.err


@pytest.mark.parametrize(
    ("taken", "told"),
    [("got/mine.txt", "has files in it, and none of them is touched"), ("got", "is no folder")],
)
def test_a_folder_that_is_taken_is_refused_before_there_is_a_job(taken: str, told: str, digits: Type) -> None:
    Path(taken).parent.mkdir(exist_ok=True)
    Path(taken).write_text("mine")
    refused = digits(f"{INVOKE} --output-dir {'got' if '/' in taken else 'got/inside'}", code=1)
    assert told in refused.err
    assert "--output-dir" in refused.err
    assert Path(taken).read_text() == "mine"
    assert digits("job list").json == []


def test_files_that_appear_meanwhile_are_not_touched_and_nothing_is_fetched(digits: Type) -> None:
    digits("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=0.3 -o none")
    waiting = started("--output-dir", "got")
    name = the_job(digits, waiting)
    Path("got").mkdir()
    Path("got/predictions.csv").write_text("mine")
    out, err = waiting.communicate()
    assert (waiting.returncode, json.loads(out)["status"]) == (1, "Completed")
    assert "predictions.csv is there already; nothing was fetched" in err
    assert f"batchpoint job download --name {name} --download-path DIR" in err
    assert [(path.name, path.read_text()) for path in Path("got").iterdir()] == [("predictions.csv", "mine")]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--wait --no-wait", "--wait waits for the job; leave out --no-wait"),
        ("--output-dir got --no-wait", "--output-dir waits for the job; leave out --no-wait"),
        ("--wait-timeout 0", "--wait-timeout is 0; give the seconds, more than 0"),
    ],
)
def test_waiting_and_not_waiting_at_once_is_refused(flags: str, told: str, typed: Type) -> None:
    assert told in typed(f"{INVOKE} {flags}", code=2).err


def test_without_waiting_the_job_is_printed_as_it_starts(digits: Type) -> None:
    ended = digits(f"{INVOKE} --no-wait")
    assert ended.json["status"] == "Preparing"
    digits(f"job stream -n {ended.json['name']}")
