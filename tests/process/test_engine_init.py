"""Scripts that do not load or whose init() fails: the job ends at once, with the user's own traceback first."""

from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from tests.process.engine_jobs import Engine, good

NAMES = ["000.txt", "001.txt", "002.txt", "003.txt", "004.txt", "005.txt"]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_init_that_raises_everywhere_fails_the_job_with_its_traceback_first(engine: Engine, workers: int) -> None:
    ended = engine.run("raises_in_init.py", engine.items(6), max_concurrency_per_instance=workers)
    assert ended.status is JobStatus.FAILED and ended.error.code == "InitFailed"
    first, *_ = ended.error.message.splitlines()
    assert first == "Traceback (most recent call last):"
    assert "ValueError: no such model" in ended.error.message and "raises_in_init.py" in ended.error.message
    assert "batchpoint_worker" not in ended.error.message
    assert ended.log("user/error.txt").count("init(): ValueError: no such model") == workers, "no second try"
    assert not ended.called() and not ended.output.exists()
    assert "InitFailed" in ended.log("job_result.txt")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("syntax_error.py", "SyntaxError: 'return' outside function"),
        ("missing_import.py", "No module named 'a_package_that_is_not_installed'"),
        ("no_run.py", "run(mini_batch)"),
        ("no_init.py", "init()"),
        ("not_there.py", "not_there.py is not in the code folder"),
    ],
)
def test_a_script_that_cannot_be_loaded_fails_the_job_at_once(engine: Engine, script: str, said: str) -> None:
    ended = engine.run(script, engine.items(6), max_concurrency_per_instance=2)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "ScriptUnusable")
    assert said in ended.error.message
    assert not ended.output.exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [("os_exits_in_init.py", "exited with status 0"), ("exits_in_init.py", "SystemExit"), ("abort", "SIGABRT")],
)
def test_a_worker_that_dies_in_init_fails_the_job(engine: Engine, script: str, said: str) -> None:
    if script == "abort":
        script = str(engine.script("import os\ndef init(): os.abort()\ndef run(paths): return paths\n"))
    ended = engine.run(script, engine.items(6))
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "InitFailed")
    assert said in ended.error.message


def test_an_init_that_hangs_fails_the_job_after_its_own_time_out(engine: Engine) -> None:
    ended = engine.run("hangs_in_init.py", engine.items(6), max_concurrency_per_instance=2, init_timeout_s=0.7)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "InitFailed")
    assert "0.7 s" in ended.error.message and "init()" in ended.error.message


@pytest.mark.parametrize("script", ["raises_in_init.py", "os_exits_in_init.py", "exits_in_init.py"])
def test_an_init_that_fails_in_one_worker_is_tried_again_there(engine: Engine, tmp_path: Path, script: str) -> None:
    ended = engine.run(
        script,
        engine.items(6),
        max_concurrency_per_instance=2,
        environment={"SIN_ONCE": str(tmp_path / "once")},
    )
    assert ended.lines == good(NAMES)
    assert (tmp_path / "once").exists()


def test_an_init_that_hangs_in_one_worker_does_not_keep_the_others_from_working(engine: Engine, tmp_path: Path) -> None:
    ended = engine.run(
        "hangs_in_init.py",
        engine.items(6),
        max_concurrency_per_instance=2,
        init_timeout_s=60,
        environment={"SIN_ONCE": str(tmp_path / "once")},
    )
    assert ended.lines == good(NAMES)


def test_init_runs_again_in_the_worker_that_takes_a_dead_one_s_place(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        "import os\n"
        "def init():\n"
        "    with open(os.environ['INITS'], 'a') as told: told.write('%d\\n' % os.getpid())\n"
        "def run(paths):\n"
        "    if '002' in paths[0] and not os.path.exists(os.environ['ONCE']):\n"
        "        open(os.environ['ONCE'], 'w').close()\n"
        "        os._exit(3)\n"
        "    return [os.path.basename(path) + ': ok' for path in paths]\n"
    )
    inits = tmp_path / "inits"
    ended = engine.run(script, engine.items(6), environment={"INITS": str(inits), "ONCE": str(tmp_path / "once")})
    assert ended.lines == good(NAMES)
    assert len(set(inits.read_text().split())) == 2


def test_an_interpreter_that_is_not_there_fails_the_job_by_its_name(engine: Engine, tmp_path: Path) -> None:
    python = str(tmp_path / "no" / "bin" / "python")
    ended = engine.run("good.py", engine.items(6), python=python)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "EnvironmentBuildFailed")
    assert python in ended.error.message


def test_a_program_that_is_no_python_fails_the_job_by_its_name(engine: Engine) -> None:
    ended = engine.run("good.py", engine.items(6), python="/bin/true")
    assert ended.status is JobStatus.FAILED
    assert "/bin/true" in ended.error.message


def test_other_pythons_score_too(engine: Engine, python: str) -> None:
    ended = engine.run("good.py", engine.items(6), python=python, max_concurrency_per_instance=2)
    assert ended.lines == good(NAMES)
