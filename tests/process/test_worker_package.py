"""The worker lives in the user's interpreter: it brings nothing along and needs nothing there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import ROOT, interpreter

PACKAGE = ROOT / "src" / "batchpoint_worker"
OWN = {"batchpoint_worker", "azureml", "azureml_user"}
#: Only once a model came without a script: what reads its files, and what loads it.
FOR_MODELS = {PACKAGE / "mlflow_script.py", *(PACKAGE / "tables").rglob("*.py")}
#: Only once a script returns a table or a DataFrame for a format that has columns, and only where it is.
FOR_RESULTS = {PACKAGE / "formats" / "results.py"}
LENT = {"mlflow", "numpy", "pandas", "pyarrow", "fastparquet", "PIL", "zstandard", "compression"}


def imports(path: Path) -> set[str]:
    """Top-level names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_standard_library_is_imported(path: Path) -> None:
    lent = LENT if path in FOR_MODELS else {"pyarrow"} if path in FOR_RESULTS else set()
    assert imports(path) <= set(sys.stdlib_module_names) | OWN | lent


def test_every_python_compiles_it(python: str, tmp_path: Path) -> None:
    compile_all = "import compileall, sys; sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, force=True))"
    copy = tmp_path / "batchpoint_worker"
    for path in PACKAGE.rglob("*.py"):
        (copy / path.relative_to(PACKAGE)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(PACKAGE)).write_text(path.read_text())
    done = subprocess.run([python, "-c", compile_all, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["batchpoint", "pydantic"])
def test_our_libraries_are_not_lent_to_the_user(worker: StartWorker, tmp_path: Path, name: str) -> None:
    python = interpreter("3.13") or bare_environment(tmp_path)
    w = worker("returns_anything.py", python=python, environment={"RETURNS": f"[__import__('{name}')]"})
    w.ready()
    assert w.score("a")["message"].startswith(f"ModuleNotFoundError: No module named '{name}'")


def bare_environment(tmp_path: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return str(tmp_path / "venv" / "bin" / "python")


@pytest.mark.parametrize("name", ["numpy", "pandas", "typing", "inspect", "traceback", "asyncio", "logging"])
def test_a_healthy_worker_imports_nothing_heavy(worker: StartWorker, python: str, name: str) -> None:
    del python
    (code := worker("good.py").folder / "code").mkdir()
    (code / "score.py").write_text(
        f"import sys\nhere = {name!r} in sys.modules\ndef init(): pass\ndef run(files): return [here]\n"
    )
    w = worker("score.py", code_path=str(code))
    w.ready()
    assert w.rows(w.score("a")) == "False\n"
