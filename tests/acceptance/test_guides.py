"""The walk-through is run as it is written: its files are made, its lines typed, and what it shows is what appears."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.test_article import serving

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/guide/walk-through.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fenced:
    """One fenced block."""

    language: str
    #: Name of the file that it shows, if any.
    file: str
    text: str


def fenced(document: Path) -> Iterator[Fenced]:
    for found in FENCE.finditer(document.read_text(encoding="utf-8")):
        yield Fenced(found[1], found[2] or "", found[3])


@pytest.fixture
def shell(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type in, with the product's own command on the path."""
    for folder in ("bin", "work"):
        (tmp_path / folder).mkdir()
    command = tmp_path / "bin" / "batchpoint"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchpoint "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    return tmp_path / "work"


def typed(blocks: list[Fenced]) -> str:
    """One script with all lines, that says before each block which one it is."""
    lines = ["exec 2>&1", "set -e"]
    for number, block in enumerate(blocks):
        if block.language == "sh":
            lines += [f"echo '=== {number}'", block.text]
        elif block.file:
            folder = os.path.dirname(block.file)
            lines += [f"mkdir -p {folder}"] if folder else []
            lines += [f"cat > {block.file} <<'END OF FILE'", block.text + "END OF FILE"]
    return "\n".join(lines)


def in_order(wanted: list[str], printed: list[str]) -> list[str]:
    """Those of ``wanted`` that do not stand in ``printed``, each after the one before it."""
    rest = iter(printed)
    return [line for line in wanted if not any(line in other for other in rest)]


def test_the_walk_through_does_what_it_says(shell: Path, home: Path) -> None:
    blocks = list(fenced(GUIDE))
    assert len([block for block in blocks if block.language == "sh"]) > 12
    # With a server the commands are lighter; what they say is the same.
    with serving(home):
        ended = subprocess.run(["bash", "-c", typed(blocks)], cwd=shell, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "Traceback" not in ended.stdout
    printed = {
        int(number): text.splitlines()
        for number, text in re.findall(r"^=== (\d+)\n(.*?)(?=^=== |\Z)", ended.stdout, re.S | re.M)
    }
    for number, block in enumerate(blocks):
        if block.language == "text":
            missing = in_order(block.text.splitlines(), printed[number - 1])
            assert not missing, "\n".join(printed[number - 1])
