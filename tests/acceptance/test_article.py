"""The article's line sequences run as they stand, typed as ``az ml ...``: 2021's without a server, 2026's with one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

ARTICLE = Path(__file__).parent / "article"
DIGITS = 45


@pytest.fixture
def az(tmp_path: Path) -> Path:
    """A folder for the path whose only content is ``az``: the product's own command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "az"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchpoint "$@"\n')
    command.chmod(0o755)
    return folder


@contextmanager
def serving(home: Path) -> Iterator[None]:
    """A server on the home, there for the commands to find."""
    server = subprocess.Popen(
        [sys.executable, "-m", "batchpoint", "serve", "--port", "0", "--http-port", "0"], stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 60
        while not (home / "server.json").exists():
            assert server.poll() is None and time.monotonic() < until, "the server did not come up"
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


@pytest.mark.parametrize("year", [2021, 2026])
def test_the_articles_lines_run_as_they_stand(
    year: int, az: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "sampledata" / "mnist"
    data.mkdir(parents=True)
    for number in range(DIGITS):
        (data / f"{number}.png").write_text(str(number))
    work = shutil.copytree(ARTICLE, tmp_path / "cli")
    downloads = tmp_path / "downloads"
    for name, value in {
        "PATH": f"{az}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "DATA": str(data),
        "FILE": str(data / "7.png"),
        "DOWNLOADS": str(downloads),
    }.items():
        monkeypatch.setenv(name, value)
    with serving(home) if year == 2026 else nullcontext():
        command = ["bash", f"batch-score-{year}.sh"]
        ended = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    assert said.count("Job completed") == 4 + (year == 2026)
    assert "Traceback" not in said
    names = sorted(f"{number}.png" for number in range(DIGITS))
    expected = "".join(f"{name}: {100 + int(name[:-4])}\n" for name in names)
    assert (downloads / "second" / "predictions.csv").read_text() == expected
    assert (downloads / "last" / "predictions.csv").read_text() == "7.png seen\n"
    assert ended.stdout.strip().endswith("Completed"), "a job outlives its endpoint"
