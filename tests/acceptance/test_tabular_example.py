"""The second act of `make demo`, but in an environment that is there: building one needs a package index."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "tabular-mlflow"
LOCK = ROOT / "tests" / "flavours" / "requirements.txt"


def user_python() -> Path:
    """A Python with MLflow and scikit-learn, as `make flavours` installs it."""
    stamps = ROOT.glob(".cache/flavours-*/.ready")
    return next(stamp.parent / "bin" / "python" for stamp in stamps if stamp.read_bytes() == LOCK.read_bytes())


def test_four_lines_deploy_a_model_that_scores_every_patient(tmp_path: Path, home: Path) -> None:
    example = tmp_path / "tabular-mlflow"
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns("results"))
    shutil.copy(EXAMPLE.parent / "stage.py", tmp_path)
    with (example / "deployment.yml").open("a", encoding="utf-8") as deployment:
        deployment.write(f"environment:\n  python: {user_python()}\n")
    words = [sys.executable, str(example / "demo.py"), "--home", str(home)]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=example, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "228 of 228 patients scored" in ended.stdout
    assert "accuracy   97.8%" in ended.stdout
    assert "first rows 0,1,ward-1.csv" in ended.stdout


def test_the_deployment_has_four_lines() -> None:
    lines = (EXAMPLE / "deployment.yml").read_text(encoding="utf-8").splitlines()
    keys = [line.split(":")[0] for line in lines if not line.startswith("#")]
    assert keys == ["name", "endpoint_name", "model", "compute"]


def test_the_model_asks_for_the_packages_that_the_tests_score_it_with() -> None:
    pins = re.findall(r"- (\S+==\S+)", (EXAMPLE / "model" / "conda.yaml").read_text(encoding="utf-8"))
    lock = LOCK.read_text(encoding="utf-8")
    assert len(pins) == 6
    # NumPy has one version in the lock file for each range of Pythons.
    assert all(f"\n{pin} " in lock for pin in pins)
