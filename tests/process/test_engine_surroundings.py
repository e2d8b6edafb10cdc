"""What a script finds around itself in a job: model, environment, command line, logs, its last call."""

import os
from pathlib import Path

import pytest

from batchpoint.compute.oom import WORKER_BADNESS
from batchpoint.entities.job import JobStatus
from tests.process.engine_jobs import MEET, Engine

#: Answers with the values of the variables named in ASKED.
TELLS = """
import os, sys
def init(): pass
def run(paths):
    return [name + '=' + str(os.environ.get(name)) for name in os.environ['ASKED'].split()]
"""


def asked(engine: Engine, *names: str, environment: dict[str, str] | None = None, **settings: object) -> dict[str, str]:
    """Values of variables as the script sees them."""
    variables = {"ASKED": " ".join(names), **(environment or {})}
    ended = engine.run(engine.script(TELLS), engine.items(1), environment=variables, **settings)
    return dict(line.split("=", 1) for line in ended.lines)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_model_stands_under_its_own_name_in_its_folder(engine: Engine, kind: str) -> None:
    model = engine.outside / "models" / "mnist"
    if kind == "folder":
        (model / "deep").mkdir(parents=True)
        (model / "deep" / "weights.bin").write_text("w")
    else:
        model.parent.mkdir()
        model.write_text("w")
    script = engine.script(
        "import glob, os\n"
        "def init():\n"
        "    global found\n"
        "    root = os.environ['AZUREML_MODEL_DIR']\n"
        "    below = glob.glob(root + '/**', recursive=True)\n"
        "    found = [os.listdir(root), sorted(os.path.relpath(path, root) for path in below)]\n"
        "def run(paths): return found\n"
    )
    ended = engine.run(script, engine.items(2), model_path=str(model))
    below = ["mnist", "mnist/deep", "mnist/deep/weights.bin"] if kind == "folder" else ["mnist"]
    assert ended.lines == [str(["mnist"]), str([".", *below])]
    assert not ended.folder.model.exists() and model.exists()


def test_without_a_model_there_is_no_model_folder(engine: Engine) -> None:
    assert asked(engine, "AZUREML_MODEL_DIR") == {"AZUREML_MODEL_DIR": "None"}


def test_the_job_is_named_in_the_environment(engine: Engine) -> None:
    found = asked(engine, "AZUREML_RUN_ID", "AZUREML_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI", name="batchjob-1")
    assert (found["AZUREML_RUN_ID"], found["AZUREML_EXPERIMENT_NAME"]) == ("batchjob-1", "e")
    assert found["MLFLOW_TRACKING_URI"] == (engine.home / "jobs" / "batchjob-1" / "mlruns").as_uri()


def test_the_workspace_is_named_in_the_environment(engine: Engine) -> None:
    names = [f"AZUREML_ARM_{part}" for part in ("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME")]
    assert list(asked(engine, *names).values()) == ["sub", "group", "space"]


def test_variables_of_the_deployment_arrive_verbatim_and_win(engine: Engine) -> None:
    theirs = {"MINE": " a=b\n$HOME \U0001f600", "OMP_NUM_THREADS": "7", "AZUREML_RUN_ID": "mine"}
    found = asked(engine, "OMP_NUM_THREADS", "AZUREML_RUN_ID", environment=theirs)
    assert found == {"OMP_NUM_THREADS": "7", "AZUREML_RUN_ID": "mine"}
    script = engine.script("import os\ndef init(): pass\ndef run(paths): return [repr(os.environ['MINE'])]\n")
    ended = engine.run(script, engine.items(1), name="other", environment=theirs)
    assert ended.lines == [repr(theirs["MINE"])]


def test_threads_are_shared_among_the_workers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = os.cpu_count() or 1
    for workers in (1, 2, 64):
        found = asked(
            engine,
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            name=f"job{workers}",
            max_concurrency_per_instance=min(workers, 4),
            instance_count=max(1, workers // 4),
        )
        assert set(found.values()) == {str(max(1, cores // workers))}


def test_threads_that_the_operator_chose_stay(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert asked(engine, "OMP_NUM_THREADS") == {"OMP_NUM_THREADS": "5"}


def test_our_own_settings_and_paths_are_not_lent_to_the_script(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHPOINT_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("PYTHONSTARTUP", "/ours")
    monkeypatch.setenv("VIRTUAL_ENV", "/ours")
    found = asked(engine, "BATCHPOINT_TOKEN", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV")
    assert "secret" not in str(found) and "/ours" not in str(found)


def test_the_command_line_has_the_switches_of_the_field(engine: Engine) -> None:
    ended = engine.run(
        "says_where_it_is.py",
        engine.items(5),
        mini_batch_size=5,
        error_threshold=7,
        timeout_s=42.5,
        max_retries=2,
        output_file_name="my rows.csv",
        logging_level="debug",
    )
    told = dict(line.split("=", 1) for line in ended.lines if "=" in line)
    script, *words = told["argv"].split("|")
    switches = dict(zip(words[::2], words[1::2], strict=True))
    assert script.endswith("says_where_it_is.py")
    assert switches["--mini_batch_size"] == "5" and switches["--error_threshold"] == "7"
    assert switches["--run_invocation_timeout"] == "42.5" and switches["--run_max_try"] == "2"
    assert switches["--append_row_file_name"] == "my rows.csv" and switches["--logging_level"] == "DEBUG"
    assert switches["--scoring_module_name"] == "says_where_it_is.py"
    assert switches["--output"] == str(ended.folder.staging)
    assert Path(told["cwd"]).is_relative_to(ended.folder.scratch)


def test_workers_have_working_folders_of_their_own(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        MEET + "import tempfile\n"
        "def init(): arrive()\n"
        "def run(paths):\n"
        "    wait_for(2)\n"
        "    time.sleep(0.05)\n"
        "    return [os.getcwd() + ' ' + tempfile.gettempdir()]\n"
    )
    environment = {"MEET": str(tmp_path / "meet")}
    ended = engine.run(
        script, engine.items(12), mini_batch_size=1, max_concurrency_per_instance=2, environment=environment
    )
    assert len(set(ended.lines)) == 2
    assert all(len(set(line.split())) == 1 for line in ended.lines)


def test_shutdown_is_called_in_every_worker_before_the_job_is_completed(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        MEET + "def init(): arrive()\n"
        "def run(paths):\n    wait_for(3)\n    return paths\n"
        "def shutdown():\n"
        "    time.sleep(0.3)\n"
        "    open(os.path.join(os.environ['BYES'], str(os.getpid())), 'w').close()\n"
    )
    byes = tmp_path / "byes"
    byes.mkdir()
    environment = {"BYES": str(byes), "MEET": str(tmp_path / "meet")}
    ended = engine.run(script, engine.items(12), max_concurrency_per_instance=3, environment=environment)
    assert len(ended.lines) == 12 and len(list(byes.iterdir())) == 3


def test_a_shutdown_that_raises_or_hangs_changes_no_result(engine: Engine, tmp_path: Path) -> None:
    raising = engine.run(
        "says_goodbye.py",
        engine.items(4),
        name="raising",
        environment={"GOODBYE": str(tmp_path / "bye"), "GOODBYE_RAISES": "1"},
    )
    assert len(raising.lines) == 4 and (tmp_path / "bye").read_text() == "bye"
    script = engine.script(
        "import time\ndef init(): pass\ndef run(paths): return paths\ndef shutdown(): time.sleep(3600)\n"
    )
    hanging = engine.run(script, engine.items(4), name="hanging", timeout_s=1)
    assert len(hanging.lines) == 4


def test_prints_and_events_stand_where_users_of_the_field_look(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        MEET + "import sys\n"
        "def init():\n    print('in init')\n    arrive()\n"
        "def run(paths):\n"
        "    wait_for(2)\n"
        "    print('out', len(paths))\n"
        "    print('err', file=sys.stderr)\n"
        "    return paths\n"
    )
    ended = engine.run(script, engine.items(5), instance_count=2, environment={"MEET": str(tmp_path / "meet")})
    for node in "01":
        assert ended.log(f"user/stdout/{node}/process000.stdout.txt").startswith("in init\n")
    assert "err\n" in ended.log("user/stderr/0/process000.stderr.txt") + ended.log(
        "user/stderr/1/process000.stderr.txt"
    )
    assert "Completed" in ended.log("job_result.txt") and "readme.txt" in str(list(ended.folder.logs.iterdir()))
    assert "5 items" in ended.log("azureml/executionlogs.txt")


def test_modules_beside_the_script_are_imported_and_our_libraries_are_not_there(engine: Engine) -> None:
    (engine.outside / "code").mkdir()
    (engine.outside / "code" / "mine.py").write_text("VALUE = 42\n")
    script = engine.script(
        "import sys, mine\n"
        "def init(): pass\n"
        "def run(paths): return [mine.VALUE, 'batchpoint' in sys.modules, 'pydantic' in sys.modules]\n"
    )
    ended = engine.run(script, engine.items(2))
    assert ended.status is JobStatus.COMPLETED and ended.lines == ["42", "False", "False"]


def test_a_script_that_calls_python_gets_its_own(engine: Engine) -> None:
    script = engine.script(
        "import os, shutil, sys\n"
        "def init(): pass\n"
        "def run(paths): return [str(os.path.dirname(shutil.which('python')) == os.path.dirname(sys.executable))]\n"
    )
    assert engine.run(script, engine.items(1)).lines == ["True"]


def test_the_kernel_is_told_to_kill_a_worker_before_its_driver(engine: Engine) -> None:
    script = engine.script(
        "def init(): pass\ndef run(paths): return [open('/proc/self/oom_score_adj').read().strip()]\n"
    )
    assert engine.run(script, engine.items(1)).lines == [str(WORKER_BADNESS)]
