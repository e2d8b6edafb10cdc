"""``create --validate`` and ``invoke --dry-run`` as they are typed: a list for people, findings for programs."""

import json
from pathlib import Path

import pytest

from batchpoint.cli.__main__ import main

SCRIPT = "def init(): pass\ndef run(batch): return [1 / len(open(path).read()) for path in batch]\n"
YAML = """
name: blue
endpoint_name: digits
model: {path: model}
code_configuration: {code: code, scoring_script: s.py}
compute: azureml:cpu
"""


@pytest.fixture
def typed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("code", "in", "mixed"):
        (tmp_path / name).mkdir()
    (tmp_path / "code" / "s.py").write_text(SCRIPT)
    (tmp_path / "model").write_text("")
    (tmp_path / "d.yml").write_text(YAML)
    for name in ("in/a.txt", "in/b.txt", "mixed/a.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "mixed" / "none.txt").write_text("")
    assert main("batch-endpoint create --name digits -o none".split()) == 0
    assert main("compute create --name cpu --type amlcompute -o none".split()) == 0
    return tmp_path


def run(line: str) -> int:
    return main(line.split())


def test_a_good_deployment_is_listed_calmly_and_not_created(typed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("batch-deployment create -f d.yml --validate --input in -o json") == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert (answer["ok"], answer["findings"]) == (True, [])
    assert {one["state"] for one in answer["checks"]} == {"ok"}
    assert said.err.splitlines()[-1] == "Nothing stands in the way. Nothing was created."
    assert [line[0] for line in said.err.splitlines()[:-2]] == ["✓"] * len(answer["checks"])
    assert run("batch-deployment list --endpoint-name digits --query [] -o tsv") == 0
    assert capsys.readouterr().out.strip() == ""


def test_a_file_that_fails_is_named_below_its_check_with_exit_code_one(
    typed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("batch-deployment create -f d.yml --set-default -o none") == 0
    assert run("batch-endpoint invoke --name digits --input mixed --dry-run -o json") == 1
    said = capsys.readouterr()
    found = json.loads(said.out)["findings"]
    assert [(one["code"], one["file"]) for one in found] == [("EmptyFile", "none.txt"), ("ScriptRaised", "none.txt")]
    assert "✕ Sample files are scored" in said.err
    assert "ZeroDivisionError: division by zero (s.py:2) (ScriptRaised)" in said.err
    assert "1 error, 1 warning. No job was started." in said.err
    assert run("job list -o tsv --query [].name") == 0
    assert capsys.readouterr().out.strip() == ""


def test_an_estimate_is_a_table_for_people_and_numbers_for_programs(
    typed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("batch-deployment create -f d.yml --set-default -o none") == 0
    assert run("batch-endpoint invoke --name digits --input in --estimate --query estimate.durations[0] -o json") == 0
    said = capsys.readouterr()
    first = json.loads(said.out)
    assert (first["instances"], first["workers"]) == (1, 1)
    assert 0 < first["low_s"] <= first["high_s"]
    assert "2 files in 1 mini-batch, 2 bytes to read" in said.err
    assert "duration, 8 times of 10" in said.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("batch-endpoint invoke -n digits --input in --dry-run --wait", "leave out --wait"),
        ("batch-endpoint invoke -n digits --input in --estimate --chaos kill=2%", "leave out --chaos"),
        ("batch-deployment create -f d.yml --input in", "add --validate"),
    ],
)
def test_flags_that_need_a_job_are_refused_beside_them(
    typed: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    assert run(line) == 2
    assert said in capsys.readouterr().err
