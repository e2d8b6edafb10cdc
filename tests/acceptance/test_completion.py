"""The tab key, asked as the shells ask: in a bash, zsh or fish process that has loaded our script."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.cli import completion
from batchpoint.cli.__main__ import main

#: What bash counts as the ends of words when nobody has said otherwise.
BREAKS = " \t\n\"'><=;|&(:"


@pytest.fixture
def shells(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with ``batchpoint`` on it, and a home with an endpoint, a compute and a data asset."""
    program = tmp_path / "bin" / "batchpoint"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchpoint "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deployment.yml").write_text("name: blue\n")
    return program


def filled(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.txt").write_text("1")
    for line in (
        "batch-endpoint create --name digits",
        "batch-endpoint create --name letters",
        "workspace create --name elsewhere",
        "batch-endpoint create --name far -w elsewhere",
        "compute create --name cluster --type amlcompute",
        f"data create --name mnist --path {tmp_path / 'data'}",
    ):
        assert main([*line.split(), "-o", "none"]) == 0
    capsys.readouterr()


def bash(line: str) -> list[str]:
    """What bash would offer behind ``line``."""
    script = (
        'eval "$(batchpoint completion bash)"; COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDBREAKS=$2\n'
        '_batchpoint batchpoint; printf "%s\\n" "${COMPREPLY[@]}"; complete -p batchpoint >&2'
    )
    ended = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", line, BREAKS], capture_output=True, text=True, check=True
    )
    assert ended.stderr == "complete -F _batchpoint batchpoint\n"
    return ended.stdout.split()


def zsh(line: str) -> list[str]:
    script = (
        "compdef() { print -u2 $* }; _describe() { print -rl -- ${(P)2} }; _files() { print files }\n"
        'eval "$(batchpoint completion zsh)"; words=("${(@Qz)1}"); [[ $1 == *" " ]] && words+=("")\n'
        "CURRENT=$#words; _batchpoint"
    )
    ended = subprocess.run(["zsh", "-f", "-c", script, "zsh", line], capture_output=True, text=True, check=True)
    assert ended.stderr == "_batchpoint batchpoint\n"
    return ended.stdout.splitlines()


def fish(line: str) -> list[str]:
    script = f"batchpoint completion fish | source; complete -C '{line}'"
    ended = subprocess.run(["fish", "-N", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def offered(line: str) -> list[str]:
    """The answer itself, without a shell."""
    return [row.partition("\t")[0] for row in completion.answer(["bash", f"batchpoint {line}", ""]).splitlines()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("batch", ["batch-endpoint", "batch-deployment"]),
        ("ml batch-endpoint in", ["invoke"]),
        ("batch-endpoint invoke --input-t", ["--input-type"]),
        ("batch-endpoint invoke --input-type URI_FO", ["uri_folder"]),
        ("job list --max-results 3 --max", []),
        ("job list -o t", ["table", "tsv"]),
        ("job list --output=y", ["--output=yaml", "--output=yamlc"]),
        ("score --co", ["--code"]),
        ("score --code ", [completion.FILES]),
        ("batch-deployment update --set a=b --set-", []),
        ("batch-endpoint update --set a=b --se", ["--set", "--server"]),
        ("nothing of the kind ", []),
        ("batch-endpoint nonsense --", []),
        ("batch-endpoint show --name 'x", []),
    ],
)
def test_words_verbs_flags_and_choices_are_completed(line: str, words: list[str], home: Path) -> None:
    assert offered(line) == words
    assert not any(home.iterdir()), "asking leaves nothing behind"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("batch-endpoint show --name ", ["digits", "letters"]),
        ("batch-endpoint show -n=di", ["-n=digits"]),
        ("batch-endpoint show --na=di", ["--na=digits"]),
        ("batch-endpoint show -w elsewhere --name ", ["far"]),
        ("workspace delete --name ", ["elsewhere"]),
        ("data archive --name m", ["mnist"]),
        ("batch-deployment list --end le", ["letters"]),
        ("compute delete --yes --name c", ["cluster"]),
        ("batch-endpoint invoke --input azureml:mn", ["azureml:mnist@latest"]),
        ("batch-endpoint show --home /no/such/home --name ", []),
        ("batch-deployment show --endpoint-name digits --name ", []),
    ],
)
def test_names_come_from_the_home_and_the_workspace_of_the_line(
    line: str, names: list[str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(capsys, tmp_path)
    assert offered(line) == names


def test_a_damaged_store_completes_nothing_and_says_nothing(home: Path) -> None:
    (home / "batchpoint.db").write_text("no database")
    assert offered("batch-endpoint show --name ") == []
    (home / "config.toml").write_text("no toml")
    assert offered("batch-endpoint show --name ") == []


def test_bash_completes(shells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(capsys, tmp_path)
    assert bash("batchpoint batch-e") == ["batch-endpoint"]
    assert bash("batchpoint batch-endpoint invoke --dep") == ["--deployment-name"]
    assert bash("batchpoint batch-endpoint show --name ") == ["digits", "letters"]
    assert bash("batchpoint batch-endpoint show --name=le") == ["letters"], "bash replaces what follows the ="
    assert bash("batchpoint batch-endpoint invoke --input azureml:mn") == ["mnist@latest"]
    assert bash("batchpoint batch-deployment create --file dep") == [], "left to the shell's own file names"


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes(shells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(capsys, tmp_path)
    assert zsh("batchpoint batch-e") == ["batch-endpoint:Durable names that you invoke with data."]
    assert zsh("batchpoint batch-endpoint show --name ") == ["digits:digits", "letters:letters"]
    assert zsh("batchpoint batch-endpoint invoke --input azureml:mn")[0].startswith(r"azureml\:mnist@latest:")
    assert zsh("batchpoint batch-deployment create --file dep") == ["files"]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes(shells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(capsys, tmp_path)
    assert fish("batchpoint batch-e") == ["batch-endpoint\tDurable names that you invoke with data."]
    assert fish("batchpoint batch-endpoint show --name ") == ["digits", "letters"]
    assert fish("batchpoint job list --output=ts") == ["--output=tsv"]
    assert fish("batchpoint batch-deployment create --file deploym") == ["deployment.yml"]


def test_nothing_heavy_is_imported_for_the_tab_key(home: Path) -> None:
    program = (
        "import sys; from batchpoint.cli.__main__ import main\n"
        "main(['__complete', 'words', 'batch-endpoint', 'show', '--name', ''])\n"
        "print([m for m in ('sqlalchemy', 'pydantic', 'httpx', 'fastapi', 'rich', 'yaml') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
