"""Fixtures for every rung: a home that must be left clean, and the naughty scoring scripts."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.object_stores import BlobService, S3Service, azurite, moto

if TYPE_CHECKING:
    from tests.process.ray_cluster import RayCluster

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

#: A supervisor or a worker that was told to go gets this long before it counts as left behind.
GRACE_S = 10.0


@pytest.fixture(scope="session")
def blob_service() -> Iterator[BlobService]:
    """Azurite, once for all tests that need it."""
    with azurite() as service:
        yield service


@pytest.fixture(scope="session")
def s3_service() -> Iterator[S3Service]:
    """moto, once for all tests that need it."""
    with moto() as service:
        yield service


@pytest.fixture
def scripts() -> Path:
    """The folder of scoring scripts, each named by its sin."""
    return Path(__file__).parent / "scoring_scripts"


@pytest.fixture(scope="session")
def ray_node() -> "Iterator[RayCluster]":
    """A Ray cluster of one node for all tests that ask for it; nothing of it may be left at the end."""
    from tests.process.ray_cluster import ray_cluster

    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty BATCHPOINT_HOME; when the test is over no process and no temporary file of it may be left."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("BATCHPOINT_HOME", str(home))
    monkeypatch.setenv("BATCHPOINT_SUPERVISOR_IDLE_S", "0.2")
    monkeypatch.setenv("TMPDIR", str(temporary))
    children_before = _children()
    yield home
    left = _await_none(home, children_before)
    _kill(left)
    assert not left, f"processes left behind: {left}"
    strays = [*temporary.rglob("*"), *home.rglob("*.tmp"), *home.rglob("*.partial")]
    assert not strays, f"temporary files left behind: {strays}"


def left_of(home: Path) -> dict[int, str]:
    """Command lines of the processes of ``home`` that do not end; they are ended."""
    left = _await_none(home, _children())
    _kill(left)
    return left


def _await_none(home: Path, children_before: set[int]) -> dict[int, str]:
    """Command lines of the processes that are still there when the grace is over."""
    deadline = time.monotonic() + GRACE_S
    while True:
        pids = _with_home(home) | (_children() - children_before)
        left = {pid: line for pid in pids if (line := _command_line(pid))}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _with_home(home: Path) -> set[int]:
    wanted = b"BATCHPOINT_HOME=" + os.fsencode(home)
    return {pid for pid in _pids() if pid != os.getpid() and wanted in _read(pid, "environ").split(b"\0")}


def _children() -> set[int]:
    me = str(os.getpid())
    return {pid for pid in _pids() if _status(pid)[1:2] == [me]}


def _pids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()} if os.path.isdir("/proc") else set()


def _command_line(pid: int) -> str:
    """Empty for a process that is gone or dead and not yet waited for."""
    if _status(pid)[:1] == ["Z"]:
        return ""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _status(pid: int) -> list[str]:
    """State and parent, the two words after the name in ``/proc/<pid>/stat``."""
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()[:2]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _kill(pids: dict[int, str]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
