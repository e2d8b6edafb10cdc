"""The pools that the contract suite runs over, each behind the same few words: processes, a Ray node, and the fake."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchpoint.compute.containers.command import Box, Mounts
from batchpoint.compute.containers.pool import ContainerPool
from batchpoint.compute.containers.runtime import Runtime
from batchpoint.compute.fake import FakePool, Outcome, VirtualClock
from batchpoint.compute.local import LocalPool
from batchpoint.compute.pool import Exited, PoolEvent, Said, Slot, WorkerPool, WorkerSpec
from batchpoint.compute.ray.pool import Cargo, RayPool, Terms
from batchpoint.entities.compute import Place

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "scoring_scripts"
WORKER_PACKAGE = ROOT / "src" / "batchpoint_worker"
PATIENCE_S = 60.0


@dataclass
class Hall:
    """A pool, a job's folder for it, and what was heard so far."""

    folder: Path
    pool: WorkerPool
    #: Seconds that have passed, as the pool counts them.
    clock: Callable[[], float]
    code: Path
    python: str = sys.executable
    heard: list[PoolEvent] = field(default_factory=list)
    #: Bytes of the plan so far, and mini-batches in it.
    _planned: int = 0
    _mini_batches: int = 0

    def start(self, worker: int, script: str, **settings: Any) -> None:
        """Start a worker on a scoring script."""
        for name in ("seg", "worker", "staging"):
            (self.folder / name).mkdir(exist_ok=True)
        link = self.folder / "worker" / "batchpoint_worker"
        if not link.exists():
            link.symlink_to(WORKER_PACKAGE)
        (self.folder / "scratch" / str(worker)).mkdir(parents=True)
        environment = {
            **({"PATH": os.environ["PATH"]} if self.python else {}),
            "PYTHONPATH": str(self.folder / "worker"),
            "TMPDIR": str(self.folder / "scratch" / str(worker)),
            "AZUREML_BI_OUTPUT_PATH": str(self.folder / "staging"),
            **settings.pop("environment", {}),
        }
        logs = self.folder / "logs" / "user"
        spec = WorkerSpec(
            Slot(settings.pop("instance", 0), worker),
            self.python,
            environment,
            self.folder / "worker",
            logs / f"{worker}.stdout.txt",
            logs / f"{worker}.stderr.txt",
        )
        self.pool.start(worker, spec)
        self.pool.send(worker, self._first_line(worker, script, settings))

    def _first_line(self, worker: int, script: str, settings: dict[str, Any]) -> bytes:
        scratch = str(self.folder / "scratch" / str(worker))
        start = {
            "t": "Start",
            "protocol": 1,
            "code_path": str(self.code),
            "scoring_script": script,
            "input_root": str(self.folder.parent / "in"),
            "plan_items": str(self.folder / "plan.items"),
            "segment": str(self.folder / "seg" / f"s.{worker}"),
            "output_action": "append_row",
            "provenance": False,
            "output_format": "azure",
            "no_code": None,
            "argv": ["--output", str(self.folder / "staging")],
            "working_dir": scratch,
            "scratch": scratch,
            "entry_log": str(self.folder / "logs" / "user" / "entry_script_log" / "0"),
            "agent": f"process{worker:03}",
            "logging_level": "info",
            "row_limit": 64 << 20,
            "result_limit": 1 << 30,
            **settings,
        }
        return (json.dumps(start) + "\n").encode()

    def score(self, worker: int, *mini_batches: Sequence[str | bytes]) -> None:
        """Name mini-batches to a worker, in one line; their files are made."""
        work = []
        with (self.folder / "plan.items").open("ab") as plan:
            for names in mini_batches:
                span = b"".join(os.fsencode(name) + b"\0" for name in names)
                work.append([self._mini_batches, 1, 0, len(names), self._planned, len(span)])
                plan.write(span)
                self._planned += len(span)
                self._mini_batches += 1
        self.pool.send(worker, (json.dumps({"t": "Score", "work": work}) + "\n").encode())

    def item(self, name: str | bytes, content: bytes) -> None:
        """A file of the input."""
        path = os.path.join(os.fsencode(self.folder.parent / "in"), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def shut_down(self, worker: int) -> None:
        self.pool.send(worker, b'{"t":"Shutdown"}\n')

    def until(self, wanted: Callable[[PoolEvent], bool]) -> PoolEvent:
        """The first event that was not asked for before and is wanted; others stay for later."""
        deadline = self.clock() + PATIENCE_S
        while True:
            for event in self.heard:
                if wanted(event):
                    self.heard.remove(event)
                    return event
            assert self.clock() < deadline, f"it never came; heard: {self.heard}"
            self.heard += self.pool.receive(0.2)

    def said(self, worker: int, kind: str) -> dict[str, Any]:
        """The next line of a kind."""
        event = self.until(lambda e: isinstance(e, Said) and e.worker == worker and _line(e).get("t") == kind)
        assert isinstance(event, Said)
        return _line(event)

    def exited(self, worker: int) -> Exited:
        event = self.until(lambda e: isinstance(e, Exited) and e.worker == worker)
        assert isinstance(event, Exited)
        return event

    def silence(self, seconds: float) -> list[PoolEvent]:
        """What is heard in some seconds."""
        until = self.clock() + seconds
        while self.clock() < until:
            self.heard += self.pool.receive(0.1)
        return self.heard

    def rows(self, worker: int, answer: dict[str, Any]) -> bytes:
        segment = (self.folder / "seg" / f"s.{worker}").read_bytes()
        return segment[answer["off"] : answer["off"] + answer["len"]]

    def printed(self, worker: int) -> str:
        return (self.folder / "logs" / "user" / f"{worker}.stdout.txt").read_text()


def _line(said: Said) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(said.line)
    return line


def local(folder: Path, code: Path = SCRIPTS, log_limit_bytes: int = 10_000_000) -> Hall:
    return Hall(folder, LocalPool(folder, log_limit_bytes), time.monotonic, code)


def in_containers(folder: Path, runtime: Runtime, image: str, environ: Mapping[str, str], memory: int = 0) -> Hall:
    """Workers on the image's own Python; the folders of a job are there, and the scripts of the tests."""
    for name in ("seg", "scratch", "staging", "logs/user"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    mounts = Mounts(
        (folder, folder.parent / "in", SCRIPTS, WORKER_PACKAGE),
        tuple(folder / name for name in ("seg", "scratch", "staging", "logs/user")),
    )
    box = Box(runtime, image, mounts, folder, os.getuid(), os.getgid(), "none", memory, os.uname().nodename)
    pool = ContainerPool(box, folder, folder / "channels", 10_000_000, {**os.environ, **environ})
    return Hall(folder, pool, time.monotonic, SCRIPTS, python="")


def fake(folder: Path, run: Callable[[int, int, int], Outcome] = lambda *_: Outcome()) -> Hall:
    clock = VirtualClock()
    return Hall(folder, FakePool(clock, run=run), clock, SCRIPTS)


def on_ray(folder: Path, place: Place, code: Path = SCRIPTS, log_limit_bytes: int = 10_000_000, **terms: Any) -> Hall:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    cargo = Cargo(str(code), terms.pop("model", ""), str(WORKER_PACKAGE), sys.executable, terms.pop("own", True))
    chosen = Terms(
        terms.pop("patience_s", 60.0),
        terms.pop("silence_s", 30.0),
        log_limit_bytes,
        environment,
        terms.pop("always_ship", True),
    )
    notes: list[str] = []
    pool = RayPool(place, cargo, folder, folder / "driver.log", chosen, notes.append)
    hall = Hall(folder, pool, time.monotonic, code)
    hall.notes = notes  # type: ignore[attr-defined]
    return hall
