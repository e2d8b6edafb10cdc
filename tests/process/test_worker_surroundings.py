"""What a scoring script finds around itself."""

import re
from pathlib import Path

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import SCRIPTS


def test_a_script_finds_its_file_its_arguments_and_a_directory_of_its_own(worker: StartWorker, python: str) -> None:
    w = worker("says_where_it_is.py", python=python)
    w.ready()
    script = SCRIPTS / "says_where_it_is.py"
    assert w.rows(w.score("a.txt")).splitlines() == [
        f"cwd={w.folder / 'work'}",
        f"file={script}",
        "name=says_where_it_is",
        f"argv={script}|--mini_batch_size|10",
        f"path0={SCRIPTS}",
        "first=/data/in/a.txt",
    ]


def test_a_script_below_the_code_folder_imports_from_both(worker: StartWorker, python: str) -> None:
    w = worker("nested/score_below.py", python=python)
    w.ready()
    assert w.rows(w.score("a")) == "below/a: ok\n"


def test_a_script_may_bear_the_name_of_a_standard_module(worker: StartWorker) -> None:
    w = worker("nested/json.py")
    w.ready()
    assert w.rows(w.score("a")) == "scoring_script_json\n"


def test_a_script_may_start_processes_that_import_it(worker: StartWorker, python: str) -> None:
    w = worker("starts_processes.py", python=python)
    w.ready()
    assert w.rows(w.score("a", "b")) == "a: ok\nb: ok\n"
    assert w.shut_down() == 0


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        ("(files, mini_batch_context)", "context"),
        ("(files, context)", "context"),
        ("(files, mini_batch_context=None)", "context"),
        ("(files, threshold=0.5)", "0.5"),
        ("(files, *rest)", "()"),
        ("(files)", "nothing"),
    ],
)
@pytest.mark.parametrize("decorated", [False, True])
def test_a_second_parameter_is_the_context(
    worker: StartWorker, tmp_path: Path, signature: str, told: str, decorated: bool
) -> None:
    second = re.findall(r"\w+", signature)[1:2] or ["None"]
    (tmp_path / "score.py").write_text(
        "import functools\n"
        "def keep(f): return f\n"
        "def wrap(f):\n    @functools.wraps(f)\n    def inner(*args): return f(*args)\n    return inner\n"
        "def init(): pass\n"
        f"@{'wrap' if decorated else 'keep'}\n"
        f"def run{signature}:\n"
        f"    second = {second[0]}\n"
        "    return [getattr(second, 'minibatch_index', 'nothing' if second is None else second)]\n"
    )
    w = worker("score.py", code_path=str(tmp_path))
    w.ready()
    w.score("a")
    assert w.rows(w.score("b")) == ("1\n" if told == "context" else told + "\n")


def test_the_context_knows_its_mini_batch(worker: StartWorker) -> None:
    w = worker("wants_context.py")
    w.ready()
    w.score("a")
    assert w.rows(w.score("b")) == "b: ok in mini-batch 1\n"


def test_scripts_of_2021_import_azureml_core(worker: StartWorker, python: str, tmp_path: Path) -> None:
    (tmp_path / "model" / "weights").mkdir(parents=True)
    environment = {"AZUREML_MODEL_DIR": str(tmp_path / "model"), "AZUREML_RUN_ID": "job-1"}
    w = worker("imports_azureml_core.py", python=python, environment=environment)
    w.ready()
    assert w.rows(w.score("a")) == f"a: ok {tmp_path / 'model' / 'weights'}\n"
    assert w.stdout.read_text() == "parent = job-1\n"


def test_what_the_stand_in_lacks_says_so(worker: StartWorker) -> None:
    asked = "__import__('azureml.core').core.Dataset.get_by_name"
    w = worker("returns_anything.py", environment={"RETURNS": asked})
    w.ready()
    assert w.score("a")["message"].startswith(
        "AttributeError: azureml-core is not installed here, and Batchpoint's stand-in has no Dataset.get_by_name"
    )


def installed(tmp_path: Path, files: dict[str, str]) -> str:
    """A folder of packages for the search path of one worker's code."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "score.py").write_text(
        "import azureml.core\ntry:\n    import azureml.mlflow as other\nexcept ImportError:\n    other = None\n"
        "def init(): pass\ndef run(files): return [azureml.core.VERSION, getattr(other, 'VERSION', 'none')]\n"
    )
    return str(tmp_path)


EXTENDING = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


@pytest.mark.parametrize(
    ("files", "core", "other"),
    [
        ({}, "0", "none"),
        ({"azureml/__init__.py": "", "azureml/core.py": "VERSION = '1.60'"}, "1.60", "none"),
        ({"azureml/core/__init__.py": "VERSION = '1.60'"}, "1.60", "none"),
        ({"azureml/__init__.py": "", "azureml/mlflow.py": "VERSION = '1.50'"}, "0", "1.50"),
        ({"azureml/__init__.py": EXTENDING, "azureml/mlflow.py": "VERSION = '1.50'"}, "0", "1.50"),
        ({"azureml/mlflow.py": "VERSION = '1.50'"}, "0", "1.50"),
    ],
)
def test_the_stand_in_never_hides_what_is_installed(
    worker: StartWorker, python: str, tmp_path: Path, files: dict[str, str], core: str, other: str
) -> None:
    w = worker("score.py", python=python, code_path=installed(tmp_path, files))
    w.ready()
    assert w.rows(w.score("a")).split() == [core, other]


def test_the_entry_script_knows_logger_and_folders(worker: StartWorker, python: str, tmp_path: Path) -> None:
    w = worker("uses_entry_script.py", python=python, environment={"AZUREML_BI_OUTPUT_PATH": str(tmp_path / "out")})
    w.ready()
    log_dir = w.folder / "entry_script_log" / "node0"
    assert w.rows(w.score("a")).splitlines() == [
        "process007",
        str(log_dir),
        str(tmp_path / "out"),
        str(w.folder / "work"),
    ]
    lines = (log_dir / "process007.log.txt").read_text().splitlines()
    assert [line.split("|")[1::2] for line in lines] == [["INFO", "init called"], ["WARNING", "scored 1"]]


def test_no_log_is_made_for_a_script_that_logs_nothing(worker: StartWorker) -> None:
    w = worker("good.py")
    w.ready()
    w.score("a")
    assert not (w.folder / "entry_script_log").exists()
