"""Workers that are gone when their test is over, and a client with its home."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batchpoint.client import Client
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.store.store import Store, open_store
from tests.process.engine_jobs import Engine
from tests.process.fork_server import ForkServer
from tests.process.worker_process import WorkerProcess, interpreter

StartWorker = Callable[..., WorkerProcess]

VERSIONS = ("3.6", "3.7", "3.13")
PYTHONS = {"this": sys.executable, **{version: found for version in VERSIONS if (found := interpreter(version))}}


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings.load()


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with connect(settings) as client:
        yield client


@pytest.fixture
def store(settings: Settings, client: Client) -> Iterator[Store]:
    """A second look at the client's home."""
    with open_store(settings.home) as store:
        yield store


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


@pytest.fixture(scope="session")
def prepared_drivers() -> Iterator[ForkServer]:
    """The process that drivers are forked from; a test takes ``fork_server``."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def fork_server(prepared_drivers: ForkServer, home: Path) -> Iterator[ForkServer]:
    """Drivers that start in no time, and are gone when the test is over."""
    yield prepared_drivers
    prepared_drivers.bury()
