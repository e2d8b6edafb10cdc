"""What goes wrong only when a script or a job runs, and what is read then: what, where, and what to do next."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batchpoint.cli.__main__ import main
from batchpoint.store.store import Store

SRC = str(Path(__file__).parents[2] / "src" / "batchpoint")

GOOD = """\
name: {name}
endpoint_name: digits
model: {{path: ./model}}
code_configuration: {{code: ./code, scoring_script: {script}}}
compute: azureml:{compute}
{more}
"""

Say = Callable[..., str]


@pytest.fixture
def work(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, scripts and data; a home with a compute of two instances and an endpoint."""
    work = tmp_path / "work"
    for folder in ("model", "code", "data", "empty", "hidden", "taken"):
        (work / folder).mkdir(parents=True)
    (work / "model" / "m.txt").write_text("1")
    for name in ("a.txt", "b.txt", "c.txt"):
        (work / "data" / name).write_text(name)
    (work / "hidden" / "_SUCCESS").write_text("")
    (work / "taken" / "predictions.csv").write_text("old")
    for name, text in SCRIPTS.items():
        (work / "code" / name).write_text(text)
    monkeypatch.chdir(work)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return work


SCRIPTS = {
    "good.py": "def init(): pass\ndef run(mini_batch): return mini_batch\n",
    "syntax.py": "def init():\n    pass\ndef run(mini_batch)\n    return mini_batch\n",
    "no_run.py": "def init(): pass\n",
    "bad_import.py": "import no_such_package\ndef init(): pass\ndef run(mini_batch): return mini_batch\n",
    "bad_init.py": "def init():\n    open('/no/such/model.bin')\ndef run(mini_batch): return mini_batch\n",
    "raises.py": "def init(): pass\ndef run(mini_batch):\n    raise ValueError('bad header')\n",
    "returns_none.py": "def init(): pass\ndef run(mini_batch):\n    print(mini_batch)\n",
    "reads.py": "def init(): pass\ndef run(mini_batch): return [open(path).read() for path in mini_batch]\n",
}


@pytest.fixture
def say(work: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Types a command line, holds it to its exit status, and answers what stood on stderr."""

    def say(line: str, code: int) -> str:
        capsys.readouterr()
        ended = main(line.split())
        printed = capsys.readouterr()
        assert ended == code, f"{line}\n{printed.out}{printed.err}"
        if code:
            assert not printed.out or line.startswith("job stream"), "stdout carries results only"
            assert SRC not in printed.err, f"a stack trace of ours:\n{printed.err}"
        return printed.err if code else printed.out

    say("compute create --name cluster --type amlcompute --max-instances 2", 0)
    say("batch-endpoint create --name digits", 0)
    return say


def deploy(say: Say, code: int, script: str = "good.py", compute: str = "cluster", more: str = "") -> str:
    text = GOOD.format(name="blue", script=script, compute=compute, more=more)
    Path("deployment.yml").write_text(text)
    return say("batch-deployment create --file deployment.yml --set-default -o json", code)


def scored(say: Say, code: int, words: str = "--input data") -> str:
    job = json.loads(say(f"batch-endpoint invoke --name digits {words}", 0))["name"]
    return say(f"job stream --name {job}", code)


def test_a_bad_file_yields_every_problem_at_once(say: Say) -> None:
    said = deploy(say, 1, script="missing.py", more="mini_batch_size: x\nlogging_level: loud\ncolour: red")
    assert "4 problems" in said
    for line in ("line 4: ", "line 6: ", "line 7: ", "line 8: "):
        assert line in said


@pytest.mark.parametrize(
    ("line", "code", "wanted"),
    [
        ("score --code code/good.py --input data --out code/good.py", 1, ["code/good.py cannot be made"]),
        (
            "score --code code/good.py --input data --out out --output-file-name ../x",
            1,
            ["'../x' is no plain file name"],
        ),
        ("score --code nope.py --input data --out out", 1, ["--code nope.py", "no such file or folder"]),
        ("score --code code/good.py --input nope --out out", 1, ["--input nope", "no such file or folder"]),
        ("score --model models:/heart/1 --input data --out out", 1, ["takes a file or a folder", "models:/heart/1"]),
        ("score --model data --input data --out out --split-bytes 1x", 2, ["1x is not a size above 0", "10mb"]),
    ],
)
def test_a_bad_line_is_answered_with_what_to_do(say: Say, line: str, code: int, wanted: list[str]) -> None:
    said = say(line, code)
    assert [words for words in wanted if words not in said] == [], said


def test_an_address_on_this_machine_is_not_asked(say: Say) -> None:
    deploy(say, 0)
    said = scored(say, 1, "--input https://127.0.0.1:1/x.csv")
    assert "127.0.0.1 is a private or local host" in said
    assert "input_hosts_allowed" in said


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("no_run.py", ["run"]),
        ("bad_import.py", ["bad_import.py", "line 1", "No module named 'no_such_package'"]),
        ("bad_init.py", ["bad_init.py", "line 2, in init", "/no/such/model.bin", "init() failed in every worker"]),
        ("raises.py", ["raises.py", "line 3, in run", "ValueError: bad header", "None of the 3 items"]),
        ("returns_none.py", ["run() returned None", "must return a list", "None of the 3 items"]),
    ],
)
def test_a_bad_script_fails_its_job_with_its_own_traceback(say: Say, script: str, wanted: list[str]) -> None:
    deploy(say, 0, script=script)
    said = scored(say, 1)
    assert [words for words in wanted if words not in said] == [], said


def test_an_existing_output_is_left_as_it_is(say: Say, work: Path) -> None:
    deploy(say, 0)
    said = scored(say, 1, f"--input data --output-path {work / 'taken'}")
    assert "OutputAlreadyExists" in said
    assert str(work / "taken" / "predictions.csv") in said
    assert "another output folder" in said
    assert (work / "taken" / "predictions.csv").read_text() == "old"


@pytest.mark.parametrize("folder", ["empty", "hidden"])
def test_an_input_without_files_is_said_to_be_so(say: Say, work: Path, folder: str) -> None:
    deploy(say, 0)
    if folder == "empty":
        assert "no files" in say("batch-endpoint invoke --name digits --input empty", 1)
    else:
        said = scored(say, 1, "--input hidden")
        assert "'.' or '_'" in said


def test_an_unreadable_file_costs_that_file_and_is_named(say: Say, work: Path) -> None:
    deploy(say, 0, script="reads.py", more="mini_batch_size: 1")
    os.symlink("/no/such/file", work / "data" / "lost.txt")
    job = json.loads(say("batch-endpoint invoke --name digits --input data", 0))["name"]
    out = say(f"job stream --name {job}", 0)
    assert "3 of 4 items succeeded, 1 failed" in out
    assert "lost.txt" in out
    assert "FileNotFoundError" in out


def test_a_fault_of_ours_is_told_without_a_server_too(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("the shelf fell down")

    monkeypatch.setattr(Store, "list_computes", breaks)
    said = say("compute list", 1)
    assert "(InternalServerError) A fault inside the server: RuntimeError: the shelf fell down" in said


def test_without_any_standard_input_nobody_is_asked(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "--yes" in say("batch-endpoint delete --name digits", 1)
