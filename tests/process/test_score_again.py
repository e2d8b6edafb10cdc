"""A run of ``score`` that is scored again: what it keeps for that, and what one that was killed must not leave."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.acceptance.command_line import program_environment

#: Writes a file of its own for each item; until "mended" stands there it stumbles over "bad", and at "kill" it kills.
SCRIPT = """
import os, signal
def init(): pass
def run(paths):
    return [one(path) for path in paths]
def one(path):
    name, text = os.path.basename(path), open(path).read()
    if text != 'good' and not os.path.exists('mended'):
        if text == 'kill' and os.path.exists('armed'): os.kill(os.getppid(), signal.SIGKILL)
        raise ValueError('bad header')
    with open(os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], name + '.side'), 'w') as side: side.write(name)
    return name
"""


def begin(work: Path, texts: str) -> None:
    (work / "in").mkdir()
    for number, text in enumerate(texts.split()):
        (work / f"in/{number}.txt").write_text(text)
    (work / "score.py").write_text(
        SCRIPT.replace("'mended'", repr(str(work / "mended"))).replace("'armed'", repr(str(work / "armed")))
    )


def score(work: Path, *flags: str) -> int:
    command = ["score", "--code", "score.py", "--input", "in", "--out", "out", "--workers", "1", "--max-retries", "1"]
    said = subprocess.run(
        [sys.executable, "-m", "batchpoint", *command, *flags], cwd=work, env=program_environment(), capture_output=True
    )
    return said.returncode


def test_what_the_script_wrote_before_a_run_failed_is_published_when_it_is_scored_again(tmp_path: Path) -> None:
    begin(tmp_path, "good good bad")
    assert score(tmp_path, "--mini-batch-size", "1", "--error-threshold", "0") == 1
    (tmp_path / "mended").touch()
    assert score(tmp_path, "--redrive") == 0
    assert {path.name for path in (tmp_path / "out").glob("*.side")} == {"0.txt.side", "1.txt.side", "2.txt.side"}
    assert (tmp_path / "out/predictions.csv").read_text().split() == ["0.txt", "1.txt", "2.txt"]


def test_a_redrive_that_was_killed_has_used_no_tries_of_the_next_one(tmp_path: Path) -> None:
    begin(tmp_path, "bad good kill")
    assert score(tmp_path, "--mini-batch-size", "1") == 0
    (tmp_path / "armed").touch()
    assert score(tmp_path, "--redrive") == -signal.SIGKILL
    (tmp_path / "mended").touch()
    assert score(tmp_path, "--redrive") == 0
    assert (tmp_path / "out/predictions.csv").read_text().split() == ["0.txt", "1.txt", "2.txt"]
    assert not (tmp_path / "out/failed_items.jsonl").exists()


def test_an_input_folder_whose_name_is_no_text_leaves_a_manifest(tmp_path: Path) -> None:
    work = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    work.mkdir()
    begin(work, "good bad")
    assert score(work) == 0
    (manifest,) = (json.loads(path.read_bytes()) for path in work.glob("out/*/manifest.json"))
    assert manifest["settings"]["input"]["path"] == str(work / "in")
    (work / "mended").touch()
    assert score(work, "--redrive") == 0
    assert (work / "out/predictions.csv").read_text().split() == ["0.txt", "1.txt"]


def test_a_model_that_cannot_be_read_whole_costs_its_proof_and_not_the_run(tmp_path: Path) -> None:
    begin(tmp_path, "good good")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").symlink_to("gone")
    assert score(tmp_path, "--model", "model") == 0
    (manifest,) = (json.loads(path.read_bytes()) for path in tmp_path.glob("out/*/manifest.json"))
    assert manifest["model"] is None and manifest["code"] is not None


def test_a_reader_that_has_seen_enough_of_a_summary_is_no_error(tmp_path: Path) -> None:
    begin(tmp_path, "good")
    command = [sys.executable, "-m", "batchpoint", "score", "--code", "score.py", "--input", "in", "--out", "out"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        said = subprocess.run(
            command, cwd=tmp_path, env=program_environment(), stdout=writer, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writer)
    assert said.stderr == ""
