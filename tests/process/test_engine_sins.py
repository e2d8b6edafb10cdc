"""What scoring scripts do wrong costs their mini-batch, with a clear reason, and nothing else."""

import os
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from tests.process.engine_jobs import Ended, Engine, eventually, good, is_alive

#: 8 files in 4 mini-batches, of which the second one holds the bad file.
BAD = 3


def names(*numbers: int) -> list[str]:
    return [f"{number:03}.txt" for number in numbers]


def run(engine: Engine, script: str | Path, **settings: object) -> Ended:
    settings = {"max_concurrency_per_instance": 2, "isolate_failures": False, **settings}
    return engine.run(script, engine.items(8, bad=[BAD]), **settings)


def check_only_its_mini_batch_is_lost(ended: Ended, code: str, tries: int = 3) -> None:
    assert ended.lines == good(names(0, 1, 4, 5, 6, 7))
    assert (ended.progress.items_succeeded, ended.progress.items_failed) == (6, 2)
    assert ended.progress.failed_attempts == tries
    assert (ended.reason.code, ended.reason.mini_batches, ended.reason.items) == (code, 1, 2)
    assert ended.reason.example.endswith("002.txt")
    calls = ended.called()
    assert calls.count(["002.txt", "003-bad.txt"]) == tries and len(calls) == 3 + tries


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("raises_in_run.py", "ScriptRaised", "ValueError: bad header (raises_in_run.py:"),
        ("exits_in_run.py", "ScriptRaised", "SystemExit"),
        ("returns_none.py", "InvalidResult", "None"),
        ("returns_a_generator.py", "InvalidResult", "generator"),
        ("runs_out_of_memory.py", "ScriptRaised", "MemoryError"),
        ("raises_deep_in_run.py", "ScriptRaised", "RecursionError"),
        ("raises_an_unprintable_exception.py", "ScriptRaised", "Unprintable"),
        ("lone_surrogate.py", "RowEncodingError", "surrogate"),
    ],
)
def test_a_mini_batch_that_fails_is_tried_three_times(engine: Engine, script: str, code: str, said: str) -> None:
    calls = {} if script != "raises_deep_in_run.py" else {"CALLS": ""}
    ended = run(engine, script, environment=calls)
    if calls:
        assert ended.lines == good(names(0, 1, 4, 5, 6, 7)) and ended.progress.failed_attempts == 3
    else:
        check_only_its_mini_batch_is_lost(ended, code)
    assert said in ended.reason.message
    assert ended.log("user/error.txt").count("mini-batch 1 (items 2 to 3)") == 3


@pytest.mark.parametrize(
    ("script", "said", "environment"),
    [
        ("os_exits_in_run.py", "exited with status 0", {}),
        ("os_exits_in_run.py", "exited with status 7", {"EXIT_STATUS": "7"}),
        ("segfaults_in_run.py", "SIGSEGV", {}),
        ("kills_itself_in_run.py", "SIGABRT", {"SIGNAL": "6"}),
        ("kills_itself_in_run.py", "SIGTERM", {"SIGNAL": "15"}),
        ("closes_all_descriptors.py", "channel", {}),
    ],
)
def test_a_death_costs_its_mini_batch(engine: Engine, script: str, said: str, environment: dict[str, str]) -> None:
    ended = run(engine, script, environment=environment)
    check_only_its_mini_batch_is_lost(ended, "WorkerCrashed")
    assert said in ended.reason.message


def test_an_end_that_comes_again_and_again_with_one_worker_leaves_the_rest_unharmed(engine: Engine) -> None:
    ended = run(engine, "segfaults_in_run.py", max_concurrency_per_instance=1, mini_batch_size=1)
    assert ended.lines == good(names(0, 1, 2, 4, 5, 6, 7))


def test_a_try_that_fails_once_costs_no_row(engine: Engine, tmp_path: Path) -> None:
    for number, script in enumerate(("raises_in_run.py", "segfaults_in_run.py", "kills_itself_in_run.py")):
        name = f"job{number}"
        ended = run(engine, script, name=name, environment={"SIN_ONCE": str(tmp_path / name)})
        assert ended.lines == good([*names(0, 1, 2), "003-bad.txt", *names(4, 5, 6, 7)])
        assert not ended.job.failures and ended.progress.items_failed == 0


def test_a_sigkill_that_nothing_explains_is_given_back_five_times(engine: Engine) -> None:
    ended = run(engine, "kills_itself_in_run.py", max_retries=2)
    assert ended.reason.code == "WorkerLost"
    assert ended.called().count(["002.txt", "003-bad.txt"]) == 5 + 2
    assert ended.lines == good(names(0, 1, 4, 5, 6, 7))


def test_a_kill_of_every_worker_from_outside_costs_nothing(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        "import os, signal, sin\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    sin.is_due(paths)\n"
        "    if '004.txt' in paths[0] and sin.is_first():\n"
        "        for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
        "            if is_worker_beside(pid): os.kill(pid, signal.SIGKILL)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return sin.good(paths)\n"
        # The driver has other children here: the servers of other tests.
        "def is_worker_beside(pid):\n"
        "    try:\n"
        "        with open('/proc/%d/stat' % pid) as stat: parent = int(stat.read().rpartition(')')[2].split()[1])\n"
        "        with open('/proc/%d/cmdline' % pid) as line: is_worker = 'batchpoint_worker' in line.read()\n"
        "    except OSError: return False\n"
        "    return is_worker and parent == os.getppid() and pid != os.getpid()\n"
    )
    (script.parent / "sin.py").write_text((Path(__file__).parents[1] / "scoring_scripts" / "sin.py").read_text())
    ended = engine.run(
        script,
        engine.items(20),
        max_concurrency_per_instance=3,
        max_retries=1,
        environment={"SIN_ONCE": str(tmp_path / "once")},
    )
    assert ended.lines == good(names(*range(20)))
    assert ended.progress.failed_attempts == 0


# ---- time-outs ----------------------------------------------------------------------------------------------------


def test_a_hang_is_killed_at_its_deadline_and_what_it_printed_is_kept(engine: Engine) -> None:
    ended = run(engine, "hangs_in_run.py", timeout_s=1.5, max_retries=1)
    check_only_its_mini_batch_is_lost(ended, "MiniBatchTimeout", tries=1)
    assert "1.5 s" in ended.reason.message
    printed = "".join(path.read_text() for path in ended.folder.logs.glob("user/stdout/0/*"))
    assert "hanging on" in printed and "002.txt" in printed


@pytest.mark.parametrize("own_session", ["0", "1"])
def test_a_time_out_ends_what_the_script_has_started(engine: Engine, tmp_path: Path, own_session: str) -> None:
    script = engine.script(
        "import os, subprocess, sys, time\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    if 'bad' in ''.join(paths):\n"
        "        child = subprocess.Popen([sys.executable, '-c', CHILD], start_new_session=os.environ['OWN'] == '1')\n"
        "        time.sleep(3600)\n"
        "    return [os.path.basename(path) + ': ok' for path in paths]\n"
        "CHILD = '''\n"
        "import os, subprocess, sys\n"
        "grandchild = subprocess.Popen(['sleep', '3600'], start_new_session=True)\n"
        "with open(os.environ['PIDS'], 'w') as told: told.write('%d %d' % (os.getpid(), grandchild.pid))\n"
        "grandchild.wait()\n"
        "'''\n"
    )
    pids = tmp_path / "pids"
    environment = {"OWN": own_session, "PIDS": str(pids)}
    ended = run(engine, script, timeout_s=2, max_retries=1, environment=environment)
    assert ended.lines == good(names(0, 1, 4, 5, 6, 7))
    left = [pid for pid in map(int, pids.read_text().split()) if is_alive(pid)]
    assert len(pids.read_text().split()) == 2 and not left


def test_every_try_has_its_own_time(engine: Engine, tmp_path: Path) -> None:
    ended = run(engine, "hangs_in_run.py", timeout_s=1.5, environment={"SIN_ONCE": str(tmp_path / "once")})
    assert ended.lines == good([*names(0, 1, 2), "003-bad.txt", *names(4, 5, 6, 7)])
    assert ended.progress.failed_attempts == 1 and ended.progress.items_failed == 0


def test_children_that_a_script_leaves_behind_end_with_the_job(engine: Engine, tmp_path: Path) -> None:
    for own in "01":
        pid_file = tmp_path / f"pid{own}"
        environment = {"OWN_SESSION": own, "CHILD_PID_FILE": str(pid_file)}
        ended = run(engine, "leaves_children_behind.py", name=f"job{own}", environment=environment)
        assert ended.status is JobStatus.COMPLETED
        pid = int(pid_file.read_text())
        eventually(lambda pid=pid: not is_alive(pid), "a child outlives its job")


def test_a_child_with_an_environment_of_its_own_ends_with_its_worker(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        "import os, subprocess, sys\n"
        "def init():\n"
        "    child = subprocess.Popen(['sleep', '3600'], env={'PATH': os.environ['PATH']})\n"
        "    with open(os.environ['PIDS'], 'w') as told: told.write(str(child.pid))\n"
        "def run(paths): return paths\n"
    )
    ended = engine.run(script, engine.items(4), environment={"PIDS": str(tmp_path / "pid")})
    assert ended.status is JobStatus.COMPLETED
    pid = int((tmp_path / "pid").read_text())
    try:
        eventually(lambda: not is_alive(pid), "a child outlives its worker")
    finally:
        if is_alive(pid):
            os.kill(pid, 9)


# ---- prints -------------------------------------------------------------------------------------------------------


def test_prints_beyond_the_limit_are_cut_and_the_rest_of_the_job_goes_on(engine: Engine) -> None:
    ended = run(
        engine,
        "prints_a_gigabyte.py",
        timeout_s=120,
        worker_log_limit_bytes=1_000_000,
        environment={"PRINT_BYTES": "200000000"},
    )
    assert len(ended.lines) == 8
    captured = [path.read_bytes() for path in ended.folder.logs.glob("user/stdout/0/*")]
    assert sum(map(len, captured)) < 2_500_000
    (large,) = [text for text in captured if text]
    assert b"bytes dropped here" in large and large.startswith(b"\xff\x00\x1b[2J\r")


def test_prints_that_look_like_answers_are_prints(engine: Engine) -> None:
    ended = run(engine, "prints_what_looks_like_an_answer.py")
    assert len(ended.lines) == 8 and ended.progress.failed_attempts == 0
    assert '"n":1000' in "".join(path.read_text() for path in ended.folder.logs.glob("user/stdout/0/*"))


def test_a_forked_child_writes_no_second_row(engine: Engine) -> None:
    ended = run(engine, "forks_in_run.py", environment={"SIN_ON": ""})
    assert [line.split(":")[0] for line in ended.lines] == [
        *names(0, 1, 2),
        "003-bad.txt",
        *names(4, 5, 6, 7),
    ]


def test_a_script_that_writes_to_our_channel_costs_its_mini_batch(engine: Engine) -> None:
    script = engine.script(
        "import os, sin\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    if sin.is_due(paths):\n"
        "        for fd in map(int, os.listdir('/proc/self/fd')):\n"
        "            try:\n"
        "                if fd > 2 and os.readlink('/proc/self/fd/%d' % fd).startswith('pipe:'): os.write(fd, NOISE)\n"
        "            except OSError: pass\n"
        "    return sin.good(paths)\n"
        "NOISE = os.environ['NOISE'].encode() + b'\\n'\n"
    )
    (script.parent / "sin.py").write_text((Path(__file__).parents[1] / "scoring_scripts" / "sin.py").read_text())
    for number, noise in enumerate(("hello", "[" * 70_000, '{"t":"Scored","m":1,"a":"x"}', '{"t":"Ready"')):
        ended = run(engine, script, name=f"job{number}", environment={"NOISE": noise})
        check_only_its_mini_batch_is_lost(ended, "WorkerCrashed")
