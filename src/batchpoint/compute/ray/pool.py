"""Workers on the nodes of a Ray cluster, for the driver: it starts a bridge and speaks to that alone.

A WorkerPool; see ``compute.pool`` for the contract. Nothing here blocks on the cluster, and Ray is never imported.
"""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from batchpoint.compute.pipes import Outgoing, read_ready
from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerSpec
from batchpoint.compute.ray.frames import Header, Unframer, frame
from batchpoint.entities.compute import Place
from batchpoint.errors import ComputeUnavailable, EnvironmentBuildFailed, JobFailed

log = logging.getLogger(__name__)

#: Seconds that a bridge gets to end the workers on all nodes.
CLOSE_S = 8.0
#: Seconds that a pool without any worker waits for nothing.
IDLE_S = 0.05
#: Bridges that may die before the job is given up.
BRIDGES_MAX = 5


@dataclass(frozen=True)
class Cargo:
    """What nodes need of a job; paths of this machine."""

    #: Empty where the model scores without a script.
    code: str
    #: File or folder; empty for none.
    model: str
    #: The package ``batchpoint_worker``.
    package: str
    python: str
    #: True when the job names no environment: workers then run on the Python that Ray runs on.
    is_own_python: bool


@dataclass(frozen=True)
class Terms:
    """What the operator decided about Ray clusters."""

    #: Seconds that a job waits for its first instance.
    patience_s: float
    #: Seconds without an answer after which an instance counts as lost.
    silence_s: float
    log_limit_bytes: int
    #: Of the bridge's process.
    environment: Mapping[str, str]
    #: Bring input also to a node that could read it where it is.
    always_ship: bool = False


class RayPool:
    """A WorkerPool of Ray actors."""

    def __init__(
        self, place: Place, cargo: Cargo, job_folder: Path, log_file: Path, terms: Terms, note: Callable[[str], None]
    ) -> None:
        self._place = place
        self._cargo = cargo
        self._job_folder = job_folder
        self._log_file = log_file
        self._terms = terms
        self._note = note
        self._living: set[int] = set()
        self._bridge: _Bridge | None = None
        self._bridges = 0

    def start(self, worker: int, spec: WorkerSpec) -> None:
        """Have a worker started; it is placed when the cluster has room."""
        bridge = self._bridge or self._open()
        self._living.add(worker)
        bridge.send(
            {
                "t": "start",
                "worker": worker,
                "slot": [spec.slot.instance, spec.slot.process],
                "environment": dict(spec.environment),
                "stdout": str(spec.stdout),
                "stderr": str(spec.stderr),
            }
        )

    def send(self, worker: int, line: bytes) -> None:
        """Queue one line."""
        if worker in self._living and self._bridge is not None:
            self._bridge.send({"t": "line", "worker": worker}, line)

    def kill(self, worker: int) -> None:
        """Have a worker ended; nothing more is heard of it."""
        if worker in self._living and self._bridge is not None:
            self._living.discard(worker)
            self._bridge.send({"t": "kill", "worker": worker})

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        """Lines and exits. Raises ComputeUnavailable and EnvironmentBuildFailed when there is no hope of workers."""
        bridge = self._bridge
        if bridge is None:
            time.sleep(min(timeout_s, IDLE_S))
            return []
        events: list[PoolEvent] = []
        for header, raw in bridge.receive(timeout_s):
            self._understand(header, raw, events)
        if bridge.is_gone:
            self._bridge = None
            bridge.close()
            events.extend(Exited(worker, None, int(signal.SIGKILL)) for worker in sorted(self._living))
            self._living.clear()
        return events

    def _understand(self, header: Header, raw: bytes, events: list[PoolEvent]) -> None:
        kind, worker = header["t"], header.get("worker")
        if kind == "failed":
            known: dict[str, type[JobFailed]] = {EnvironmentBuildFailed.code: EnvironmentBuildFailed}
            raise known.get(header["code"], ComputeUnavailable)(header["message"], target=self._place.compute)
        if kind == "waiting":
            self._note(f"Waiting for {header['message']}.")
        elif kind == "lost":
            self._note(f"Instance {header['instance']} is lost: {header['reason']}. Its mini-batches are given back.")
        elif worker in self._living:
            assert worker is not None
            if kind == "said":
                events.append(Said(worker, raw))
            elif kind == "exited":
                self._living.discard(worker)
                memory = header.get("out_of_memory", False), header.get("peak_bytes", 0), header.get("limit_bytes", 0)
                events.append(Exited(worker, header["status"], header["signal"], *memory))

    def close(self) -> None:
        """End every worker and the bridge. Safe to repeat."""
        if self._bridge is not None:
            self._bridge.close()
        self._bridge = None
        self._living.clear()

    def _open(self) -> "_Bridge":
        self._bridges += 1
        if self._bridges > BRIDGES_MAX:
            raise ComputeUnavailable(f"The process that speaks to Ray keeps dying. Details: {self._log_file}")
        self._bridge = _Bridge(self._log_file, self._environment())
        self._bridge.send(
            {
                "t": "open",
                "job": self._job_folder.name,
                "name": f"{self._job_folder.name}-{uuid.uuid4().hex[:8]}",
                "job_folder": str(self._job_folder),
                "place": self._place.model_dump(mode="json"),
                "cargo": asdict(self._cargo),
                "patience_s": self._terms.patience_s,
                "silence_s": self._terms.silence_s,
                "always_ship": self._terms.always_ship,
                "log_limit_bytes": self._terms.log_limit_bytes,
            }
        )
        return self._bridge

    def _environment(self) -> dict[str, str]:
        environment = dict(self._terms.environment) | {"RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor"}
        token = self._place.token_path
        if token is None:
            return environment
        if not Path(token).is_file():
            message = f"The token file {token} of compute {self._place.compute} does not exist on this machine."
            raise ComputeUnavailable(message, target="token_path")
        environment.pop("RAY_AUTH_TOKEN", None)
        return environment | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token}


class _Bridge:
    """The bridge's process and the two pipes to it."""

    def __init__(self, log_file: Path, environment: Mapping[str, str]) -> None:
        with log_file.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "batchpoint.compute.ray.bridge"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._answers = self._popen.stdout.fileno()
        self._outgoing = Outgoing(self._popen.stdin.fileno())
        self._unframer = Unframer()
        self._selector = selectors.DefaultSelector()
        os.set_blocking(self._answers, False)
        os.set_blocking(self._outgoing.fd, False)
        self._selector.register(self._answers, selectors.EVENT_READ)
        self.is_gone = False

    def send(self, header: Header, raw: bytes = b"") -> None:
        """Queue a frame."""
        self._outgoing.send(frame(header, raw))
        if self._outgoing.waiting:
            with contextlib.suppress(KeyError):
                self._selector.register(self._outgoing.fd, selectors.EVENT_WRITE)

    def receive(self, timeout_s: float) -> list[tuple[Header, bytes]]:
        """The frames that came within ``timeout_s``."""
        found: list[tuple[Header, bytes]] = []
        for key, _ in self._selector.select(max(0.0, timeout_s)):
            if key.fd == self._outgoing.fd:
                self._outgoing.flush()
                if not self._outgoing.waiting:
                    self._selector.unregister(key.fd)
                continue
            blocks = list(read_ready(self._answers))
            for block in blocks:
                found.extend(self._unframer.feed(block))
            self.is_gone = not blocks
        return found

    def close(self) -> None:
        """Hang up; it ends its instances and then itself, or is killed."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._selector.close()
        self._popen.stdout.close()
        self._popen.stdin.close()
        try:
            self._popen.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            log.warning("the bridge to Ray did not end by itself")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
