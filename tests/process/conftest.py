"""Workers that are gone when their test is over."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.engine_jobs import Engine
from tests.process.worker_process import WorkerProcess, interpreter

StartWorker = Callable[..., WorkerProcess]

VERSIONS = ("3.6", "3.7", "3.13")
PYTHONS = {"this": sys.executable, **{version: found for version in VERSIONS if (found := interpreter(version))}}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts a worker on a scoring script; settings are those of the Start command, and ``environment``."""
    started: list[WorkerProcess] = []

    def start(script: str, **settings: Any) -> WorkerProcess:
        folder = tmp_path / f"worker{len(started)}"
        folder.mkdir()
        started.append(WorkerProcess(folder, script, **settings))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """Each interpreter at hand that a user may choose."""
    return PYTHONS[request.param]


@pytest.fixture
def engine(home: Path, tmp_path: Path) -> Iterator[Engine]:
    """A home with a store, and jobs with real workers; ``home`` then looks whether anything is left."""
    engine = Engine(home, tmp_path)
    yield engine
    engine.close()
