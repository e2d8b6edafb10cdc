"""Workers that score models without a script, in interpreters of users that have MLflow."""

import csv
import io
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.process.worker_process import ROOT, WorkerProcess, interpreter

FLAVOURS = ROOT / "tests" / "flavours"


def environment(lock: str, target: str) -> str:
    """The interpreter of the environment that ``make TARGET`` builds; skips where there is none of this lock file."""
    wanted = (FLAVOURS / lock).read_bytes()
    for stamp in (ROOT / ".cache").glob("*/.ready"):
        if stamp.read_bytes() == wanted:
            return str(stamp.parent / "bin" / "python")
    pytest.skip(f"make {target} builds the environment of this test")


def flavours() -> str:
    """An interpreter with MLflow and the libraries of five flavours."""
    return environment("requirements.txt", "flavours")


def python37() -> str:
    """Python 3.7 with the MLflow of its time; built here, once, where that interpreter and an index are at hand."""
    lock = FLAVOURS / "python37.txt"
    found = interpreter("3.7")
    if found is None:
        pytest.skip("there is no Python 3.7 on this machine")
    folder = ROOT / ".cache" / f"python37-{_cksum(lock)}"
    if not (folder / ".ready").exists():
        _build(found, folder, lock)
    return str(folder / "bin" / "python")


def _cksum(path: Path) -> str:
    return subprocess.run(["cksum", path], check=True, capture_output=True, text=True).stdout.split()[0]


def _build(python: str, folder: Path, lock: Path) -> None:
    uv = [ROOT / ".venv" / "bin" / "python", "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--clear", "--python", python, folder], check=True)
    install = ["pip", "install", "--python", folder / "bin" / "python", "--require-hashes", "-r", lock]
    done = subprocess.run([*uv, *install], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"the packages for Python 3.7 cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    (folder / ".ready").write_bytes(lock.read_bytes())


def made(python: str, folder: Path, *names: str) -> Path:
    """A folder with these models of ``tests/flavours/models.py``, each in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [python, FLAVOURS / "models.py", folder, *names]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


class ModelWorker(WorkerProcess):
    """A worker with a model and no script."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        python: str,
        passthrough: Sequence[str] = (),
        by_signature: bool = False,
        output_format: str = "azure",
    ) -> None:
        folder.mkdir()
        self.inputs = folder / "in"
        self.inputs.mkdir()
        no_code = {
            "model": str(model),
            "passthrough_columns": list(passthrough),
            "prediction_columns": "signature" if by_signature else "azure",
        }
        super().__init__(
            folder, "", python, no_code=no_code, input_root=str(self.inputs), output_format=output_format, code_path=""
        )

    def file(self, name: str, data: str | bytes) -> str:
        (self.inputs / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return name

    def table(self, *names: str) -> list[list[str]]:
        """The rows of one mini-batch, cut at the commas."""
        answer = self.score(*names)
        assert answer["t"] == "Scored", answer
        assert answer["n"] == len(names)
        return list(csv.reader(io.StringIO(self.rows(answer))))

    def failure(self, *names: str) -> dict[str, Any]:
        answer = self.score(*names)
        assert answer["t"] == "Failed", answer
        return answer
