"""The contract between the engine and whatever places workers: start, send, kill, receive.

``local`` implements it with processes, ``containers`` with containers, ``fake`` with scripted answers for tests. A pool
knows processes and lines; it does not know mini-batches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Slot:
    """One place for a worker: a process number on an instance."""

    instance: int
    process: int

    @property
    def node(self) -> str:
        """Folder name of the instance in the logs."""
        return str(self.instance)

    @property
    def agent(self) -> str:
        """Name of the process in the logs, as the field's engine writes it."""
        return f"process{self.process:03d}"


@dataclass(frozen=True)
class WorkerSpec:
    """What a pool needs to start one worker."""

    slot: Slot
    #: The user's interpreter; empty for the one that an image has itself.
    python: str
    environment: Mapping[str, str]
    #: Folder whose only content is the worker package.
    worker_package: Path
    stdout: Path
    stderr: Path


@dataclass(frozen=True)
class Said:
    """A worker wrote a line."""

    worker: int
    line: bytes


@dataclass(frozen=True)
class Exited:
    """A worker is gone; every line that it wrote was delivered before."""

    worker: int
    #: Exit status, or None when a signal ended it.
    status: int | None
    #: Signal number, or None when it exited by itself.
    signal: int | None
    #: True when the kernel's out-of-memory counter went up while it lived.
    out_of_memory: bool = False
    #: Bytes that the worker had at most, and that its control group or machine has; 0 where they are not known.
    peak_bytes: int = 0
    limit_bytes: int = 0
    #: What whoever should have run it says of why it could not; empty for a worker that was there.
    words: str = ""


PoolEvent = Said | Exited


class WorkerPool(Protocol):
    """Places workers. One thread calls it; no method blocks longer than its timeout."""

    def start(self, worker: int, spec: WorkerSpec) -> None:
        """Start the worker with this number; numbers are never used twice."""

    def send(self, worker: int, line: bytes) -> None:
        """Queue one line for a worker; a line for a worker that is gone is dropped."""

    def kill(self, worker: int) -> None:
        """End a worker and every process that it started, at once. No ``Exited`` follows."""

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        """What happened, after at most ``timeout_s`` of waiting."""

    def close(self) -> None:
        """End everything that is still there."""
