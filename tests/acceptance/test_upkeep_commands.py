"""``job delete``, ``prune`` and ``doctor`` as they are typed: at a terminal, in a script, and with a server named."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchpoint.cli.__main__ import main
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked
from batchpoint.upkeep.checks import machine, processes
from tests.process.engine_jobs import Engine
from tests.process.homes import SCRIPTS, eventually


@dataclass(frozen=True)
class Answer:
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Az = Callable[..., Answer]


@pytest.fixture
def az(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Az:
    """Runs one command line in this process; what the machine offers is looked at elsewhere, and takes a while."""
    monkeypatch.setattr(machine, "findings", lambda: iter(()))
    home.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(line: str, code: int = 0) -> Answer:
        capsys.readouterr()
        ended = main(line.split())
        printed = capsys.readouterr()
        assert ended == code, f"{line}\n{printed.out}{printed.err}"
        return Answer(printed.out, printed.err)

    return run


@pytest.fixture
def job(az: Az, home: Path, tmp_path: Path) -> str:
    """A job that has ended."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("w")
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / "data" / f"{number}.txt").write_text("x")
    (tmp_path / "deployment.yml").write_text(
        "name: blue\nendpoint_name: digits\nmodel:\n  path: ./model\n"
        f"code_configuration:\n  code: {SCRIPTS}\n  scoring_script: good.py\ncompute: azureml:cluster\n"
    )
    az("compute create -n cluster --type amlcompute -o none")
    az("batch-endpoint create -n digits -o none")
    az("batch-deployment create -f deployment.yml --set-default --skip-script-validation -o none")
    name = az("batch-endpoint invoke -n digits --input data --query name -o tsv").out.strip()
    az(f"job stream -n {name}")
    eventually(lambda: not is_locked(job_folder(home, name).lock), "the driver to go")
    return name


def test_a_job_is_deleted_and_it_is_said_where_its_output_stays(az: Az, job: str, home: Path) -> None:
    assert "stdin is no terminal" in az(f"job delete -n {job}", code=1).err
    said = az(f"job delete --name {job} --yes")
    assert said.out == "" and f"azureml://datastores/workspaceblobstore/paths/azureml/{job}/score/" in said.err
    assert f"no job {job}" in az(f"job show -n {job}", code=3).err
    assert "Nothing to delete" in az(f"job delete -n {job} -y").err
    assert list(home.rglob("predictions.csv"))


def test_of_a_job_that_published_nothing_no_output_is_promised(az: Az, job: str, home: Path) -> None:
    taken = f"azureml://datastores/workspaceblobstore/paths/azureml/{job}/score"
    az(f"batch-endpoint invoke -n digits --input data --job-name second --output-path {taken} -o none")
    az("job stream -n second", code=1)
    eventually(lambda: not is_locked(job_folder(home, "second").lock), "the driver to go")
    assert az("job delete -n second --yes").err == "Deleted job second. It had published nothing.\n"
    assert list(home.rglob("predictions.csv"))


def test_in_a_script_prune_lists_as_json_and_removes_only_with_yes(az: Az, job: str, home: Path) -> None:
    assert az("prune").json == []
    (listed,) = az("prune --older-than 0").json
    assert (listed["kind"], listed["name"]) == ("segments", job) and listed["bytes"] > 0
    assert listed["reason"].startswith("its job ended ")
    assert az("prune --older-than 0 --dry-run --yes").json == [listed]
    assert job_folder(home, job).segments.is_dir()
    said = az("prune --older-than 0 --yes")
    assert said.json == [listed] and "Removed " in said.err
    assert not job_folder(home, job).segments.exists()
    assert az(f"job show -n {job} --query properties").json["batchpoint.pruned"]
    assert job in az("prune --older-than 0 --logs --yes --query [].name -o tsv").out
    assert az("prune --older-than 0 --jobs --yes --query [].name -o tsv").out == f"{job}\n"
    assert az("job list").json == []


def test_at_a_terminal_prune_shows_a_table_and_asks(az: Az, job: str, home: Path) -> None:
    refused, code = at_a_terminal("prune --older-than 0", "n\n")
    assert code == 1 and "Nothing was deleted" in refused and job_folder(home, job).segments.is_dir()
    shown, code = at_a_terminal("prune --older-than 0", "y\n")
    assert code == 0, shown
    head, rule, row = [line.split() for line in shown.splitlines()[:3]]
    assert head == ["Kind", "What", "Size", "Why"] and set("".join(rule)) == {"-"}
    assert row[:2] == ["segments", job] and "Remove this" in shown and "Removed " in shown
    assert not job_folder(home, job).segments.exists()


def test_doctor_prints_json_in_a_script_and_lines_at_a_terminal(az: Az, home: Path) -> None:
    az("job list")
    found = az("doctor").json
    assert {one["level"] for one in found} == {"ok"}
    home.chmod(0o750)
    assert [one["remedy"] for one in az("doctor", code=1).json if one["level"] == "problem"] == [f"chmod 700 {home}"]
    shown, code = at_a_terminal("doctor", "")
    assert code == 1
    lines = shown.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("problem  home "))
    assert lines[at + 1].strip() == f"→ chmod 700 {home}"
    assert lines[at + 1].index("→") == lines[at].index(str(home))
    assert {one["level"] for one in az("doctor --fix").json} == {"ok", "fixed"}
    assert home.stat().st_mode & 0o777 == 0o700


def test_doctor_removes_only_after_a_yes(az: Az, home: Path) -> None:
    az("job list")
    orphan = home / "jobs" / "nobodys"
    orphan.mkdir(parents=True)
    assert "warning" in {one["level"] for one in az("doctor --fix").json} and orphan.is_dir()
    at_a_terminal("doctor --fix", "n\n")
    assert orphan.is_dir()
    az("doctor --fix --yes")
    assert not orphan.exists()


def test_doctor_gets_a_job_that_everybody_left_to_its_end(
    az: Az, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PATIENCE_S", 0.1)
    engine = Engine(home, tmp_path / "outside")
    engine.job("good.py", engine.items(2))
    assert [one["level"] for one in az("doctor --fix").json if one["check"] == "processes"] == ["fixed"]
    eventually(lambda: (found := engine.store.find_job("job")) and found.status.is_terminal, "the end of the job")
    assert engine.ended("job").lines
    engine.close()


def test_a_config_file_with_a_mistake_is_named(az: Az, home: Path) -> None:
    (home / "config.toml").write_text("workspace = ")
    said = az("doctor", code=1).err
    assert str(home / "config.toml") in said and "Mend or remove it" in said


@pytest.mark.parametrize("inner", ["", "/inner"])
def test_a_file_where_the_home_should_be_is_named(az: Az, tmp_path: Path, inner: str) -> None:
    file = tmp_path / "file"
    file.touch()
    for command in ("job list", "doctor", "prune"):
        said = az(f"{command} --home {file}{inner}", code=1).err
        assert f"{file} is no folder" in said and "--home or BATCHPOINT_HOME" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("prune --older-than soon", "--older-than 'soon' cannot be read; write a number with its unit, as in 30d, 12h"),
        ("prune --max-size big", "--max-size 'big' cannot be read; write a number with its unit, as in 20g, 500m"),
    ],
)
def test_an_age_or_size_that_cannot_be_read_is_answered_with_an_example(az: Az, line: str, words: str) -> None:
    assert words in az(line, code=2).err


def test_both_refuse_to_work_on_a_server_that_is_elsewhere(az: Az) -> None:
    for command in ("prune", "doctor"):
        assert f"{command} works on the files of a home" in az(f"{command} --server http://localhost:1", code=1).err


def test_where_there_is_no_home_prune_says_so_and_makes_none(az: Az, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert "no home of Batchpoint" in az(f"prune --home {nowhere}", code=1).err
    assert "not a home of Batchpoint yet" in az(f"doctor --home {nowhere}").out
    assert not nowhere.exists()


def at_a_terminal(line: str, typed: str) -> tuple[str, int]:
    """What a person sees who types ``line`` and then ``typed``, and the exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint", *line.split()],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    seen = b""
    while piece := _read(ours):
        seen += piece
    os.close(ours)
    # What was typed is echoed, before or between what is said.
    lines = seen.decode().replace("\r", "").splitlines()
    return "\n".join(one for one in lines if one != typed.strip()), process.wait(60)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""  # nobody is at the other end any more
