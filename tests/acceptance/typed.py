"""Command lines typed in a folder that has a model, scripts, data and YAML files; the fixtures of conftest use it."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchpoint.cli.__main__ import main

#: Digits are read from text files; what is no number raises, and SLEEP_S makes each call of run() last.
SCORE = """\
import os, time

def init():
    global offset
    folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], "model")
    offset = int(open(os.path.join(folder, "offset.txt")).read())

def run(mini_batch):
    time.sleep(float(os.environ.get("SLEEP_S", "0")))
    return [f"{os.path.basename(path)}: {offset + int(open(path).read())}" for path in mini_batch]
"""

DEPLOYMENT = """\
name: blue
endpoint_name: digits
model:
  path: ./model
code_configuration:
  code: ./code
  scoring_script: score.py
compute: azureml:cluster
mini_batch_size: 2
max_concurrency_per_instance: 2
"""

#: What ``data`` holds, scored by ``SCORE``.
ROWS = "".join(f"{number}.txt: {100 + number}\n" for number in range(7))


@dataclass(frozen=True)
class Answer:
    """What a command line gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


#: Types a line and holds it to its exit code, 0 where none is given.
Type = Callable[..., Answer]


def typing_with(capsys: pytest.CaptureFixture[str]) -> Type:
    def type_line(line: str, code: int = 0) -> Answer:
        capsys.readouterr()
        ended = main(shlex.split(line))
        printed = capsys.readouterr()
        assert ended == code, f"{line}\n{printed.out}{printed.err}"
        return Answer(ended, printed.out, printed.err)

    return type_line


def fill(work: Path) -> None:
    """The folder that lines are typed in."""
    (work / "model").mkdir(parents=True)
    (work / "model" / "offset.txt").write_text("100")
    (work / "code").mkdir()
    (work / "code" / "score.py").write_text(SCORE)
    (work / "data").mkdir()
    for number in range(7):
        (work / "data" / f"{number}.txt").write_text(str(number))
    (work / "deployment.yml").write_text(DEPLOYMENT)


def deploy(typed: Type) -> None:
    """A compute, an endpoint and its default deployment."""
    typed("compute create -n cluster --type amlcompute --min-instances 0 --max-instances 2 -o none")
    typed("batch-endpoint create -n digits -o none")
    typed("batch-deployment create -f deployment.yml --set-default -o none")
