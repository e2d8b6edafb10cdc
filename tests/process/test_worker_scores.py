"""A worker that is treated well: lines in, rows and lines out."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import WorkerProcess


def test_a_worker_scores_mini_batches_and_says_bye(worker: StartWorker, python: str) -> None:
    w = worker("good.py", python=python)
    ready = w.ready()
    assert ready["pid"] == w.process.pid
    assert ready["python"] == version_of(python)
    assert 0 <= ready["init_s"] < 60
    first, second = w.score("a.txt", "b.txt"), w.score("sub/c.txt")
    assert (first["n"], first["rows"], first["off"]) == (2, 2, 0)
    assert w.rows(first) == "a.txt: ok\nb.txt: ok\n"
    assert w.rows(second) == "c.txt: ok\n"
    assert second["off"] == first["len"]
    assert w.shut_down() == 0
    assert w.segment.read_bytes() == b"a.txt: ok\nb.txt: ok\nc.txt: ok\n"


def version_of(python: str) -> str:
    return subprocess.run([python, "-c", "import platform; print(platform.python_version())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip


def test_each_mini_batch_of_a_message_is_answered_in_order(worker: StartWorker) -> None:
    w = worker("good.py")
    w.ready()
    w.post(*[[f"{i}.txt"] for i in range(500)])
    assert [w.rows(w.answer()) for _ in range(500)] == [f"{i}.txt: ok\n" for i in range(500)]


def test_a_mini_batch_is_answered_before_the_next_one_of_its_message_starts(worker: StartWorker) -> None:
    w = worker("hangs_in_run.py")
    w.ready()
    w.post(["a"], ["bad"])
    assert w.answer()["m"] == 0


def test_paths_are_absolute_under_the_input_root(worker: StartWorker, tmp_path: Path) -> None:
    for root in (str(tmp_path), str(tmp_path) + "/"):
        w = worker("returns_anything.py", input_root=root, environment={"RETURNS": "paths"})
        w.ready()
        assert w.rows(w.score("a b.txt", "sub/ü.txt")) == f"{tmp_path}/a b.txt\n{tmp_path}/sub/ü.txt\n"


def test_without_an_input_root_the_plan_holds_absolute_paths(worker: StartWorker) -> None:
    w = worker("returns_anything.py", input_root="", environment={"RETURNS": "paths"})
    w.ready()
    assert w.rows(w.score("/one/a", "/two/b")) == "/one/a\n/two/b\n"


def test_file_names_that_are_not_utf_8_reach_the_script(worker: StartWorker, tmp_path: Path) -> None:
    name = b"caf\xe9 \n.txt"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("read me")
    w = worker("returns_anything.py", input_root=str(tmp_path), environment={"RETURNS": "[open(paths[0]).read()]"})
    w.ready()
    assert w.rows(w.score(name)) == "read me\n"


def test_utf_8_file_names_are_rows_in_the_c_locale_too(worker: StartWorker, python: str) -> None:
    c_locale = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    w = worker("good.py", python=python, environment=c_locale)
    w.ready()
    assert w.rows(w.score("café 你.txt")) == "café 你.txt: ok\n"


def test_summary_only_counts_results_and_writes_no_segment(worker: StartWorker) -> None:
    w = worker("good.py", output_action="summary_only")
    w.ready()
    answer = w.score("a", "b", "c")
    assert (answer["n"], answer["rows"], answer["off"], answer["len"], answer["crc"]) == (3, 0, 0, 0, 0)
    assert not w.segment.exists()


def test_a_segment_that_exists_is_never_written_to(worker: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("rows of somebody else")
    w = worker("good.py", segment=str(tmp_path / "old"))
    assert "File exists" in w.answer()["message"]
    assert (tmp_path / "old").read_text() == "rows of somebody else"


def test_a_full_disk_is_not_blamed_on_the_script(worker: StartWorker) -> None:
    limit = "exec(\"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\") or ['x' * 60]"
    w = worker("returns_anything.py", environment={"RETURNS": limit})
    w.ready()
    assert w.score("a")["t"] == "Scored"
    answer = w.score("b")
    assert (answer["t"], answer["code"]) == ("Failed", "SegmentUnwritable")
    assert "File too large" in answer["message"]


def test_shutdown_is_called_and_atexit_runs(worker: StartWorker, tmp_path: Path) -> None:
    w = worker("says_goodbye.py", environment={"GOODBYE": str(tmp_path / "goodbye")})
    w.ready()
    assert w.shut_down() == 0
    assert (tmp_path / "goodbye").read_text() == "bye"
    assert "atexit was here" in w.stdout.read_text()


def test_a_shutdown_that_raises_changes_nothing(worker: StartWorker, tmp_path: Path) -> None:
    w = worker("says_goodbye.py", environment={"GOODBYE": str(tmp_path / "goodbye"), "GOODBYE_RAISES": "1"})
    w.ready()
    assert w.shut_down() == 0
    assert "ValueError: no farewell" in w.stderr.read_text()


def test_shutdown_works_when_the_driver_hangs_up_right_after_it(worker: StartWorker, tmp_path: Path) -> None:
    w = worker("says_goodbye.py", environment={"GOODBYE": str(tmp_path / "goodbye")})
    w.ready()
    w.send({"t": "Shutdown"})
    w.hang_up()
    assert w.wait() == 0
    assert (tmp_path / "goodbye").exists()


@pytest.mark.parametrize("script", ["hangs_in_run.py", "hangs_in_init.py", "sleeps_in_run.py"])
def test_a_worker_dies_with_its_driver(worker: StartWorker, python: str, script: str) -> None:
    w = worker(script, python=python)
    if script != "hangs_in_init.py":
        w.ready()
        w.post(["bad"])
    w.hang_up()
    assert w.wait() == -signal.SIGKILL


def test_what_a_script_has_started_dies_with_the_driver(worker: StartWorker, tmp_path: Path) -> None:
    w = worker("leaves_children_behind.py", environment={"CHILD_PID_FILE": str(tmp_path / "child")})
    w.ready()
    w.score("bad")
    child = int((tmp_path / "child").read_text())
    w.hang_up()
    w.wait()
    await_end_of(child)


def test_a_worker_that_leads_no_group_ends_itself_alone(tmp_path: Path) -> None:
    """Its group is the one of this test: it must not be shot."""
    command_read, command_write = os.pipe()
    (tmp_path / "batchpoint_worker").symlink_to(Path(__file__).parents[2] / "src" / "batchpoint_worker")
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint_worker", str(command_read), "1"],
        pass_fds=[command_read],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
    )
    os.close(command_read)
    os.close(command_write)
    assert process.wait(timeout=60) == 98


def test_a_plan_that_does_not_hold_the_items_ends_the_worker(worker: StartWorker) -> None:
    w = worker("good.py")
    w.ready()
    w.post(["a", "b"])
    w.answer()
    w.send({"t": "Score", "work": [[1, 1, 0, 3, 0, 4]]})
    assert w.wait() == 98
    assert "does not hold 3 items at byte 0" in w.stderr.read_text()


def test_a_driver_of_another_protocol_is_told_so(worker: StartWorker) -> None:
    answer = worker("good.py", protocol=2).answer()
    assert answer["t"] == "InitFailed"
    assert answer["message"] == "the driver speaks protocol 2, the worker 1"


def test_started_by_hand_it_says_who_starts_it(worker: StartWorker) -> None:
    w: WorkerProcess = worker("good.py")
    by_hand = subprocess.run(
        [sys.executable, "-m", "batchpoint_worker"],
        env={**os.environ, "PYTHONPATH": str(w.package)},
        capture_output=True,
        text=True,
    )
    assert by_hand.returncode == 2
    assert by_hand.stderr.startswith("usage: python -m batchpoint_worker READ_FD WRITE_FD")


def await_end_of(pid: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still there")
