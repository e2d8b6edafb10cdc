"""The digits example, as `make demo` runs it, but on this Python: building an environment needs a package index."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digits"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example without its environment and without what it makes."""
    copy = tmp_path / "digits"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("images", "model", "labels.csv", "scored", "results"))
    shutil.copy(EXAMPLE.parent / "stage.py", tmp_path)
    deployment = copy / "deployment.yml"
    text, dropped = re.subn(r"environment:\n(  .*\n)+", "", deployment.read_text(encoding="utf-8"))
    assert dropped == 1
    deployment.write_text(text, encoding="utf-8")
    return copy


def demo(example: Path, home: Path) -> str:
    words = [sys.executable, str(example / "demo.py"), "--home", str(home)]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=example, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_demo_scores_every_digit_and_can_be_run_again(example: Path, home: Path) -> None:
    for _ in range(2):
        printed = demo(example, home)
        assert "1,797 of 1,797 digits scored" in printed
        assert "98.5% of all, 97.0% of those it never saw" in printed
        assert "digit-0000.png: 0" in printed
    outputs = list((home / "datastores").rglob("predictions.csv"))
    assert len(outputs) == 2
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_the_example_pins_what_the_lock_file_pins() -> None:
    conda = (EXAMPLE / "environment" / "conda.yml").read_text(encoding="utf-8")
    lock = (ROOT / "requirements-demo.txt").read_text(encoding="utf-8")
    pins = re.findall(r"- (\S+==\S+)", conda)
    assert len(pins) == 2
    assert all(f"\n{pin} " in lock for pin in pins)
