"""Ten thousand files of which 3 % raise, segfault or hang: they alone fail; the script is fixed, they alone go again.

Through the server, from the command line without one, and with ``score``; the output is that of a clean run.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command_line import program_environment
from tests.process.engine_jobs import ROOT

FILES, BAD_EVERY = 10_000, 33
SINS = ("raises", "segfaults", "hangs")

#: Each file that it is given is noted outside.
SCRIPT = """
import os, signal, time
def init(): pass
def run(paths):
    with open({calls!r}, 'a') as calls:
        calls.write(''.join(os.path.basename(path) + '\\n' for path in paths))
    return [one(path, os.path.basename(path)) for path in paths]
def one(path, name):
    if not {mended}:
        if 'raises' in name: raise ValueError('bad header')
        if 'segfaults' in name: os.kill(os.getpid(), signal.SIGSEGV)
        if 'hangs' in name: time.sleep(600)
    return name + ': ' + open(path).read()
"""
DEPLOYMENT = """\
name: blue
endpoint_name: files
model: {path: ./model}
code_configuration: {code: ./code, scoring_script: score.py}
compute: azureml:cluster
mini_batch_size: 10
max_concurrency_per_instance: 12
retry_settings: {max_retries: 1, timeout: 1}
"""
SCORE = (
    "score --code code/score.py --input data --out out --workers 12 --mini-batch-size 10 --max-retries 1 --timeout 1 "
)


def batchpoint(line: str, code: int = 0) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "batchpoint", *line.split()],
        env={**program_environment(), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == code, f"{line}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout


@pytest.fixture
def work(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the input, a model and the two forms of the script."""
    work = tmp_path / "work"
    for folder in ("data", "model", "code"):
        (work / folder).mkdir(parents=True)
    (work / "model" / "nothing").touch()
    for at in range(FILES):
        (work / "data" / name_of(at)).write_text(str(at))
    (work / "deployment.yml").write_text(DEPLOYMENT)
    monkeypatch.chdir(work)
    write_script(mended=False)
    return work


def name_of(at: int) -> str:
    sin = f"-{SINS[at // BAD_EVERY % 3]}" if at % BAD_EVERY == BAD_EVERY // 2 else ""
    return f"{at:05}{sin}.txt"


BAD = [name_of(at) for at in range(FILES) if "-" in name_of(at)]
WHOLE = "".join(f"{name_of(at)}: {at}\n" for at in range(FILES))
HEALTHY = "".join(f"{name_of(at)}: {at}\n" for at in range(FILES) if "-" not in name_of(at))


def write_script(*, mended: bool) -> Path:
    calls = Path("calls-mended" if mended else "calls").absolute()
    Path("code/score.py").write_text(SCRIPT.format(calls=str(calls), mended=mended))
    return calls


@contextlib.contextmanager
def server(home: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint", "serve", "--port", "0", "--http-port", "0"], env=program_environment()
    )
    while not (home / "server.json").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("way", ["server", "no server"])
def test_three_in_a_hundred_files_fail_alone_and_are_redriven_alone(
    work: Path, home: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with server(home) if way == "server" else contextlib.nullcontext():
        batchpoint("compute create --name cluster --type amlcompute --min-instances 0 --max-instances 1 -o none")
        batchpoint("batch-endpoint create --name files -o none")
        batchpoint("batch-deployment create --file deployment.yml --set-default -o none")
        job = json.loads(batchpoint("batch-endpoint invoke --name files --input data --wait"))["name"]
        first = time.monotonic() - began
        check_first(failed_items(job), output(job, "part"))
        calls = write_script(mended=True)
        batchpoint("batch-deployment create --file deployment.yml -o none")
        ended = json.loads(batchpoint(f"job redrive --name {job} --wait"))
        assert ended["status"] == "Completed"
        assert output(job, "whole") == WHOLE and not failed_items(job)
        assert sorted(calls.read_text().split()) == BAD
    with capsys.disabled():
        print(f"{way}: first {first:.1f} s, redrive {time.monotonic() - began - first:.1f} s")


def test_score_does_the_same_without_an_endpoint(work: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    told = json.loads(batchpoint(f"{SCORE} --json"))
    first = time.monotonic() - began
    assert told["items_failed"] == len(BAD)
    assert Path("out/predictions.csv").read_text() == HEALTHY
    calls = write_script(mended=True)
    told = json.loads(batchpoint(f"{SCORE} --redrive --json"))
    assert (told["items_succeeded"], told["items_failed"]) == (FILES, 0)
    assert Path("out/predictions.csv").read_text() == WHOLE
    assert sorted(calls.read_text().split()) == BAD
    with capsys.disabled():
        print(f"score: first {first:.1f} s, redrive {time.monotonic() - began - first:.1f} s")


def check_first(failed: list[dict[str, Any]], rows: str) -> None:
    assert [entry["item"] for entry in failed] == BAD
    assert Counter(entry["code"] for entry in failed) == Counter(
        {"ScriptRaised": 101, "WorkerCrashed": 101, "MiniBatchTimeout": 101}
    )
    assert rows == HEALTHY


def failed_items(job: str) -> list[dict[str, Any]]:
    """What ``job download`` brings of the items that failed."""
    batchpoint(f"job download --name {job} --download-path letters-{job}")
    path = Path(f"letters-{job}", "failed_items.jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    for file in os.listdir(f"letters-{job}"):
        Path(f"letters-{job}", file).unlink()
    return [json.loads(line) for line in lines]


def output(job: str, folder: str) -> str:
    batchpoint(f"job download --name {job} --download-path {folder}")
    return Path(folder, "predictions.csv").read_text()
