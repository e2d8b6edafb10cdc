"""What every acceptance test shares."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batchpoint import local
from batchpoint.local import connect
from batchpoint.settings import Settings
from tests.acceptance.command_line import Az, Gate, add_files, program_environment
from tests.acceptance.typed import Type, fill, typing_with


@pytest.fixture(scope="session", autouse=True)
def supervisors_are_waited_for() -> Iterator[None]:
    """A command line leaves its supervisor to the system; commands that ran in this process leave it to us."""
    yield
    for process in local._supervisors:
        process.wait(30)


@pytest.fixture
def typed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Runs one command line in this process, where a model, a script, data and a deployment's YAML lie."""
    fill(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return typing_with(capsys)


@pytest.fixture
def az(typed: Type) -> Az:
    """As ``typed``, with more files."""
    add_files(Path.cwd())
    return typed


@pytest.fixture
def http(home: Path, az: Az) -> Iterator[httpx.Client]:
    """Speaks to the application of the home as any client does, without a server; beside the files of ``az``."""
    with connect(Settings.load()) as client:
        yield client._requests._http


@pytest.fixture
def server(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server of the home, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint", "serve", "--port", "0", "--http-port", "0"], env=program_environment()
    )
    deadline = time.monotonic() + 60
    while not (home / "server.json").is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    process.terminate()
    process.wait()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Two pipes that a script waits at."""
    gate = Gate(tmp_path / "gate")
    for end in ("in", "out"):
        os.mkfifo(f"{gate.path}.{end}")
    yield gate
    # A job that still waits is let go, so that a failing test leaves nothing behind.
    os.close(os.open(f"{gate.path}.out", os.O_RDWR | os.O_NONBLOCK))
