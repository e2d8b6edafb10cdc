"""Jobs with real workers on a real home: made, run by ``JobRun`` in this process or by a driver process, looked at."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from batchpoint.arm.envelope import ids
from batchpoint.engine.publishing.places import output_file
from batchpoint.engine.run import JobRun
from batchpoint.entities.assets import Environment
from batchpoint.entities.data import Input
from batchpoint.entities.job import FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.entities.workspace import Workspace
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.store.records import LedgerRow
from batchpoint.store.store import Store, open_store

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "scoring_scripts"
W = "sub/group/space"
PATIENCE_S = 60.0
#: Beginning of a script whose workers wait for each other: ``arrive()`` in init(), ``wait_for(count)`` in run().
MEET = """
import os, time
def arrive():
    os.makedirs(os.environ['MEET'], exist_ok=True)
    open(os.path.join(os.environ['MEET'], str(os.getpid())), 'w').close()
def wait_for(count):
    while len(os.listdir(os.environ['MEET'])) < count: time.sleep(0.005)
"""


class Driver(Protocol):
    """A driver in a process, whoever started it."""

    def send_signal(self, number: int, /) -> None: ...

    def kill(self) -> None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float = ..., /) -> int: ...


@dataclass
class Ended:
    """A job that has run, and what it left."""

    job: Job
    folder: JobFolder
    rows: list[LedgerRow]
    #: File that run() was noted in, see ``scoring_scripts/sin.py``.
    calls: Path

    @property
    def status(self) -> JobStatus:
        return self.job.status

    @property
    def error(self) -> JobError:
        assert self.job.error is not None, f"the job is {self.job.status}"
        return self.job.error

    @property
    def progress(self) -> Progress:
        return self.job.progress

    @property
    def reason(self) -> FailureReason:
        """The one reason that items failed for."""
        (reason,) = self.job.failures
        return reason

    @property
    def output(self) -> Path:
        final = output_file(self.job)
        assert final is not None
        return final

    @property
    def lines(self) -> list[str]:
        """Lines of a completed job's output."""
        assert self.status is JobStatus.COMPLETED, f"{self.status}: {self.job.error}"
        return self.output.read_text(encoding="utf-8", errors="surrogateescape").splitlines()

    def called(self) -> list[list[str]]:
        """Names that each call of run() got, in the order of the calls."""
        text = self.calls.read_text(errors="surrogateescape") if self.calls.exists() else ""
        return [line.split()[1:] for line in text.splitlines()]

    def log(self, path: str) -> str:
        return (self.folder.logs / path).read_text(encoding="utf-8")


class Engine:
    """One home and its jobs."""

    def __init__(self, home: Path, outside: Path) -> None:
        self.home = home
        #: Where inputs, outputs and notes are: beside the home.
        self.outside = outside
        self.settings = Settings(home=home)
        self.store: Store = open_store(home)
        self.drivers: list[subprocess.Popen[bytes]] = []

    # ---- making ---------------------------------------------------------------------------------------------------

    def items(self, count: int, bad: Iterable[int] = (), folder: str = "in") -> Path:
        """A folder of files called 000.txt and so on; those at ``bad`` have "bad" in their names."""
        bad = frozenset(bad)
        names = [f"{number:03}{'-bad' if number in bad else ''}.txt" for number in range(count)]
        return self.files(names, folder)

    def files(self, names: Iterable[str | bytes], folder: str = "in") -> Path:
        """A folder of small files with these names."""
        path = self.outside / folder
        path.mkdir(parents=True, exist_ok=True)
        for name in names:
            file = os.path.join(os.fsencode(path), os.fsencode(name))
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as opened:
                opened.write(b"content of " + os.fsencode(name))
        return path

    def script(self, text: str, name: str = "score.py") -> Path:
        """A scoring script of the test's own."""
        path = self.outside / "code" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def job(self, script: str | Path, source: Path, *, name: str = "job", **settings: Any) -> Job:
        """A stored job that nobody runs yet; ``environment``: variables for the script, ``python``: its interpreter.

        ``asset``: the whole environment.
        """
        path = Path(script) if Path(script).is_absolute() else SCRIPTS / script
        variables = {"CALLS": str(self.calls(name)), **settings.pop("environment", {})}
        if python := settings.pop("python", ""):
            settings["environment"] = Environment(python=python)
        elif asset := settings.pop("asset", None):
            settings["environment"] = asset
        kind = "uri_folder" if source.is_dir() or not source.exists() else "uri_file"
        chosen: dict[str, Any] = {
            "code_path": str(path.parent),
            "scoring_script": path.name,
            "input": Input(type=kind, path=str(source)),
            "output_folder": str(self.outside / "out" / name),
            "environment_variables": variables,
            "mini_batch_size": 2,
            **settings,
        }
        job = Job(
            name=name,
            id=ids.job_id(Workspace(*W.split("/")), name),
            endpoint_name="e",
            deployment_name="d",
            experiment_name="e",
            settings=JobSettings(**chosen),
        )
        job_folder(self.home, name).path.mkdir(parents=True)
        return self.store.create_job(W, job)

    def calls(self, name: str) -> Path:
        return self.outside / f"calls-{name}"

    # ---- running --------------------------------------------------------------------------------------------------

    def run(self, script: str | Path, source: Path, *, name: str = "job", **settings: Any) -> Ended:
        """Make a job and drive it here to its end."""
        operator = ("init_timeout_s", "worker_log_limit_bytes", "resource_monitor_interval_s")
        ours = {field: settings.pop(field) for field in operator if field in settings}
        self.job(script, source, name=name, **settings)
        return self.drive(name, **ours)

    def drive(self, name: str, **ours: Any) -> Ended:
        JobRun(name, self.store, job_folder(self.home, name), replace(self.settings, **ours)).execute()
        return self.ended(name)

    def start_driver(self, name: str, **ours: str) -> "subprocess.Popen[bytes]":
        """A driver process, as a supervisor starts it."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "BATCHPOINT_HOME": str(self.home), **ours}
        with job_folder(self.home, name).driver_log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "batchpoint.engine", name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.drivers.append(process)
        return process

    def wait(self, process: Driver, name: str = "job") -> Ended:
        assert process.wait(PATIENCE_S) == 0, self.driver_log(name)
        return self.ended(name)

    def ended(self, name: str = "job") -> Ended:
        job = self.store.find_job(name)
        assert job is not None
        folder = job_folder(self.home, name)
        return Ended(job, folder, self.store.ledger(name, job.revision), self.calls(name))

    def driver_log(self, name: str = "job") -> str:
        path = job_folder(self.home, name).driver_log
        return path.read_text() if path.exists() else "no driver.log"

    def pause(self, driver: Driver) -> None:
        """Stop a driver, but not in the middle of a transaction: that would stop everybody who uses the store."""
        while True:
            driver.send_signal(signal.SIGSTOP)
            if store_is_free(self.home):
                return
            driver.send_signal(signal.SIGCONT)
            time.sleep(0.01)

    def close(self) -> None:
        for driver in self.drivers:
            if driver.poll() is None:
                driver.send_signal(signal.SIGCONT)
                driver.kill()
            driver.wait()
        self.store.close()


def store_is_free(home: Path) -> bool:
    """Whether nobody is in a transaction."""
    with contextlib.closing(sqlite3.connect(home / "batchpoint.db", timeout=0.05)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
        return True


def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"it never came to it: {what or condition}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def workers_of(folder: JobFolder) -> list[int]:
    """Process ids of the living workers of a job."""
    mark = b"BATCHPOINT_WORKER=" + os.fsencode(folder.path) + b"#"
    found = []
    for entry in os.listdir("/proc"):
        try:
            environ = Path(f"/proc/{entry}/environ").read_bytes() if entry.isdigit() else b""
            command = Path(f"/proc/{entry}/cmdline").read_bytes() if entry.isdigit() else b""
        except OSError:
            continue
        if mark in environ and b"batchpoint_worker" in command:
            found.append(int(entry))
    return found


def good(names: Sequence[str]) -> list[str]:
    """What the well-behaved scripts answer for these files."""
    return [f"{name}: ok" for name in names]
