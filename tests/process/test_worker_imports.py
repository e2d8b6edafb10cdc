"""What scripts import and find: stand-ins for azureml, a level for logging, a run for MLflow."""

from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import WorkerProcess


def scoring(worker: StartWorker, tmp_path: Path, text: str, **settings: Any) -> WorkerProcess:
    """A worker that is ready with a script of the test's own; ``mine/`` beside it is importable."""
    (tmp_path / "code").mkdir(exist_ok=True)
    (tmp_path / "code" / "score.py").write_text(text)
    started = worker("score.py", code_path=str(tmp_path / "code"), **settings)
    started.ready()
    return started


# ---- azureml ------------------------------------------------------------------------------------------------------

IMPORTS = """
from azureml.core import Dataset, Datastore, Environment, Experiment, Model, Run, Workspace, VERSION
from azureml.core.authentication import MsiAuthentication, ServicePrincipalAuthentication
from azureml.core.dataset import Dataset as D
from azureml.core.datastore import Datastore as S
from azureml.core.environment import Environment as E
from azureml.core.experiment import Experiment as X
from azureml.core.model import Model as M
from azureml.core.run import Run as R, _OfflineRun
from azureml.core.workspace import Workspace as W
from azureml_user.parallel_run import EntryScript
import azureml.core
assert (D, S, E, X, M, R, W) == (Dataset, Datastore, Environment, Experiment, Model, Run, Workspace)
def init(): pass
def run(paths): return [azureml.core.__version__]
"""


def test_every_place_that_scripts_import_from_is_there(worker: StartWorker, python: str, tmp_path: Path) -> None:
    w = scoring(worker, tmp_path, IMPORTS, python=python)
    assert w.rows(w.score("a")) == "0\n"


CONTEXT = """
from azureml.core import Run
from azureml.core.run import _OfflineRun
def init():
    run = Run.get_context()
    run.log("loss", 1)
    run.log("loss", 2)
    run.log_list("many", [1, 2])
    run.log_row("row", x=1, y=2)
    run.log_table("table", {"x": [1]})
    run.tag("k", "v")
def run(paths):
    run = Run.get_context()
    assert run is Run.get_context()
    return [isinstance(run, _OfflineRun), run.id, run.parent.id, run.experiment.name, run.experiment.workspace.name,
            sorted(run.get_metrics().items()), run.get_tags(), run.get_status()]
"""


def test_a_run_has_a_context_which_remembers_what_it_logs(worker: StartWorker, python: str, tmp_path: Path) -> None:
    names = {
        "AZUREML_RUN_ID": "job-1",
        "AZUREML_EXPERIMENT_NAME": "digits",
        "AZUREML_ARM_WORKSPACE_NAME": "lab",
    }
    w = scoring(worker, tmp_path, CONTEXT, python=python, environment=names)
    offline, own, parent, experiment, workspace, metrics, tags, status = w.rows(w.score("a")).splitlines()
    assert (offline, own, parent, experiment, workspace) == ("False", "job-1", "job-1", "digits", "lab")
    assert metrics == str([("loss", [1, 2]), ("many", [1, 2]), ("row", {"x": 1, "y": 2}), ("table", {"x": [1]})]) and (
        tags,
        status,
    ) == ("{'k': 'v'}", "Running")
    assert "loss = 1\nloss = 2\nmany = [1, 2]\n" in w.stdout.read_text()


def test_without_a_job_the_context_is_offline(worker: StartWorker, tmp_path: Path) -> None:
    text = CONTEXT.replace("def init():", "def init():\n    import os; os.environ.pop('AZUREML_RUN_ID', None)")
    w = scoring(worker, tmp_path, text)
    lines = w.rows(w.score("a")).splitlines()
    assert lines[0] == "True" and lines[1].startswith("OfflineRun_")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("core.Workspace.from_config().datastores", "no Workspace.datastores"),
        ("core.Workspace.from_config().get_default_keyvault()", "no Workspace.get_default_keyvault"),
        ("core.Dataset.get_by_name(None, 'd')", "no Dataset.get_by_name"),
        ("core.Dataset.Tabular", "no Dataset.Tabular"),
        ("core.Model.register()", "no Model.register"),
        ("core.Environment.get(None, 'e')", "no Environment.get"),
        ("core.Run.get_context().upload_file('a', 'b')", "no _OfflineRun.upload_file"),
        ("core.Run.get_context().input_datasets['mnist']", "hands its files to run(mini_batch)"),
    ],
)
def test_what_a_stand_in_cannot_do_it_says_in_a_sentence(
    worker: StartWorker, tmp_path: Path, asked: str, said: str
) -> None:
    text = f"from azureml import core\ndef init(): pass\ndef run(paths): return [{asked}]\n"
    w = scoring(worker, tmp_path, text)
    assert said in w.score("a")["message"]


MODEL = """
import os
from azureml.core import Model, Workspace
def init():
    global told
    model = Model(Workspace.from_config(), name="mnist", version=3)
    told = [model.name, model.version, model.id, model.download("here", exist_ok=True), os.listdir("here")[0]]
    told += [Model.get_model_path("mnist"), Model.get_model_path("mnist", version=7), open(told[3] + "/w").read()]
def run(paths): return told
"""


def test_the_model_is_found_by_name_and_downloaded_by_a_link(worker: StartWorker, python: str, tmp_path: Path) -> None:
    (model := tmp_path / "dir" / "mnist").mkdir(parents=True)
    (model / "w").write_text("weights")
    w = scoring(worker, tmp_path, MODEL, python=python, environment={"AZUREML_MODEL_DIR": str(model.parent)})
    expected = ["mnist", "3", "mnist:3", "here/mnist", "mnist", str(model), str(model), "weights"]
    assert w.rows(w.score("a")).splitlines() == expected


def test_an_installed_azureml_user_wins(worker: StartWorker, tmp_path: Path) -> None:
    (package := tmp_path / "code" / "azureml_user").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parallel_run.py").write_text("EntryScript = 'theirs'\n")
    text = "from azureml_user.parallel_run import EntryScript\ndef init(): pass\ndef run(paths): return [EntryScript]\n"
    w = scoring(worker, tmp_path, text)
    assert w.rows(w.score("a")) == "theirs\n"


# ---- logging ------------------------------------------------------------------------------------------------------

LOGS = """
{first}
import logging
from azureml_user.parallel_run import EntryScript
def init():
    for log in (logging.getLogger("mine"), EntryScript().logger):
        log.debug("a debug line")
        log.info("an info line")
        log.warning("a warning line")
def run(paths): return [logging.getLevelName(logging.getLogger().level)]
"""
LINES = {"debug": ["debug", "info", "warning"], "info": ["info", "warning"], "warning": ["warning"]}


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING"])
def test_what_the_script_logs_is_kept_from_the_level_of_its_deployment_on(
    worker: StartWorker, python: str, tmp_path: Path, level: str
) -> None:
    w = scoring(worker, tmp_path, LOGS.format(first=""), python=python, logging_level=level)
    assert w.rows(w.score("a")) == level.upper() + "\n"
    own = [line for line in w.stderr.read_text().splitlines() if " mine: " in line]
    through_entry = (w.folder / "entry_script_log" / "node0" / "process007.log.txt").read_text().splitlines()
    for lines in (own, through_entry):
        assert [line.split()[-2] for line in lines] == LINES[level.lower()]


def test_a_script_that_configures_logging_itself_gets_what_it_asks_for(worker: StartWorker, tmp_path: Path) -> None:
    first = "import logging\nlogging.basicConfig(level=logging.WARNING, format='mine! %(message)s')"
    w = scoring(worker, tmp_path, LOGS.format(first=first), logging_level="debug")
    assert w.rows(w.score("a")) == "WARNING\n"
    assert w.stderr.read_text() == "mine! a warning line\n"


# ---- mlflow -------------------------------------------------------------------------------------------------------

FAKE_MLFLOW = """
import json, os
from urllib.parse import urlparse
__version__ = "0"
def _folder():
    root = urlparse(os.environ["MLFLOW_TRACKING_URI"]).path
    for experiment in os.listdir(root):
        found = os.path.join(root, experiment, os.environ["MLFLOW_RUN_ID"])
        if os.path.isdir(found): return found
    raise RuntimeError("no such run")
def log_metric(name, value):
    with open(os.path.join(_folder(), "metrics", name), "a") as file: file.write("%s\\n" % value)
"""
LOGS_METRIC = """
import mlflow, inspect
def init(): mlflow.log_metric("started", 1)
def run(paths):
    mlflow.log_metric("seen", len(paths))
    return [type(mlflow.__loader__).__name__, inspect.getsource(mlflow.log_metric).split("(")[0]]
"""


def mlflow_settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mlflow.py").write_text(FAKE_MLFLOW)
    environment = {
        "MLFLOW_TRACKING_URI": (tmp_path / "job 1" / "mlruns").as_uri(),
        "MLFLOW_RUN_ID": "batchjob-1",
        "MLFLOW_EXPERIMENT_NAME": "digits: 'quoted'",
    }
    (tmp_path / "job 1").mkdir()
    return {"environment": environment}


def test_what_is_logged_to_mlflow_lands_in_the_run_of_the_job(worker: StartWorker, python: str, tmp_path: Path) -> None:
    settings = mlflow_settings(tmp_path)
    # The folder has a space in its name, which the fake does not decode.
    (tmp_path / "code" / "mlflow.py").write_text(FAKE_MLFLOW.replace(").path", ").path.replace('%20', ' ')"))
    workers = [scoring(worker, tmp_path, LOGS_METRIC, python=python, **settings) for _ in range(2)]
    assert [w.rows(w.score("a")).split() for w in workers] == [["SourceFileLoader", "def", "log_metric"]] * 2
    (run,) = (tmp_path / "job 1" / "mlruns").glob("*/batchjob-1")
    assert (run / "metrics" / "started").read_text() == "1\n1\n"
    meta = (run / "meta.yaml").read_text()
    assert 'run_id: "batchjob-1"\n' in meta and "end_time: null\n" in meta and "status: 1\n" in meta
    assert "name: \"digits: 'quoted'\"\n" in (run.parent / "meta.yaml").read_text()
    assert [path.name for path in (tmp_path / "job 1").iterdir()] == ["mlruns"]


def test_a_script_without_mlflow_leaves_no_run(worker: StartWorker, tmp_path: Path) -> None:
    settings = mlflow_settings(tmp_path)
    scoring(worker, tmp_path, "def init(): pass\ndef run(paths): return paths\n", **settings)
    assert not list((tmp_path / "job 1").iterdir())


@pytest.mark.parametrize("uri", ["https://tracking.example/", "databricks", ""])
def test_a_tracking_server_of_the_user_s_own_gets_nothing_of_ours(
    worker: StartWorker, tmp_path: Path, uri: str
) -> None:
    settings = mlflow_settings(tmp_path)
    settings["environment"]["MLFLOW_TRACKING_URI"] = uri
    text = "import mlflow, os\ndef init(): pass\ndef run(paths): return [os.environ['MLFLOW_TRACKING_URI'] or 'none']\n"
    w = scoring(worker, tmp_path, text, **settings)
    assert w.rows(w.score("a")) == (uri or "none") + "\n"
    assert not list((tmp_path / "job 1").iterdir())


def test_a_store_without_the_job_s_run_lets_mlflow_begin_one_of_its_own(worker: StartWorker, tmp_path: Path) -> None:
    settings = mlflow_settings(tmp_path)
    (tmp_path / "job 1" / "mlruns" / "0").mkdir(parents=True)
    text = "import mlflow, os\ndef init(): pass\ndef run(paths): return [str(os.environ.get('MLFLOW_RUN_ID'))]\n"
    w = scoring(worker, tmp_path, text, **settings)
    assert w.rows(w.score("a")) == "None\n"
