"""The workers of one instance: what they are started with, what they are told, what becomes of their answers.

The agent calls it, from the thread that owns the workers.
"""

import contextlib
import json
import shutil
from pathlib import Path

from batchpoint.compute.local import LocalPool
from batchpoint.compute.pool import Said, Slot, WorkerSpec
from batchpoint.compute.ray.frames import Header
from batchpoint.compute.ray.node.inbox import Inbox
from batchpoint.compute.ray.node.parcels import Parcels
from batchpoint.compute.ray.node.surroundings import Surroundings


class Seats:
    """What the workers of an instance have in common, and what each one has of its own."""

    def __init__(self, job: Path, pool: LocalPool, parcels: Parcels, inbox: Inbox) -> None:
        self._job = job
        self._pool = pool
        self._parcels = parcels
        self._inbox = inbox
        self._surroundings = Surroundings((), ("", ""))
        self._reads_in_place = False
        self._is_greeted: set[int] = set()
        #: Mini-batches that each worker has not answered for.
        self._unanswered: dict[int, int] = {}

    def prepare(self, said: Header) -> None:
        """Everything is here: make the job's folders, as they are on the driver's machine."""
        for name in ("seg", "logs", "scratch", "staging", "worker", "model"):
            (self._job / name).mkdir(parents=True, exist_ok=True)
        (self._job / "plan.items").touch()
        (self._job / "worker" / "batchpoint_worker").symlink_to(self._parcels.path(said["package"]))
        paths = {said["job"]: str(self._job)}
        if said["code"]:
            paths[said["code"]["path"]] = str(self._parcels.path(said["code"]["parcel"]))
        if said["model"]:
            model = self._parcels.path(said["model"]["parcel"])
            model = model / said["model"]["name"] if said["model"]["is_file"] else model
            (self._job / "model" / said["model"]["name"]).symlink_to(model)
            paths[said["model"]["path"]] = str(model)
        python = said["python"]
        here = python["here"] or str(self._parcels.path(python["parcel"]) / "bin" / "python")
        self._reads_in_place = said["reads_in_place"]
        ordered = sorted(paths.items(), key=lambda pair: -len(pair[0]))
        self._surroundings = Surroundings(tuple(ordered), (python["path"], here))

    def start(self, order: Header) -> None:
        """Start a worker. Raises OSError."""
        worker, slot = order["worker"], Slot(*order["slot"])
        self._inbox.admit(worker)
        (self._job / "scratch" / str(worker)).mkdir(exist_ok=True)
        spec = WorkerSpec(
            slot=slot,
            python=self._surroundings.python[1],
            environment=self._surroundings.environment(order["environment"], slot.process),
            worker_package=self._job / "worker",
            stdout=Path(self._surroundings.text(order["stdout"])),
            stderr=Path(self._surroundings.text(order["stderr"])),
        )
        self._pool.start(worker, spec)

    def send(self, worker: int, line: bytes) -> None:
        """Pass a line on; the first one in this node's paths."""
        if worker not in self._is_greeted:
            self._is_greeted.add(worker)
            line = self._surroundings.first_line(line, None if self._reads_in_place else self._inbox.root(worker))
            log_folder = json.loads(line).get("entry_log")
            if log_folder:
                Path(log_folder).mkdir(parents=True, exist_ok=True)
        elif line.startswith(b'{"t":"Score"'):
            self._unanswered[worker] = self._unanswered.get(worker, 0) + len(json.loads(line)["work"])
        self._pool.send(worker, line)

    @property
    def all_busy(self) -> bool:
        """Whether every worker has a mini-batch to answer for."""
        return all(list(self._unanswered.values()))

    def heard(self, said: Said) -> None:
        """A worker that has answered for a mini-batch needs its files no more."""
        if said.line.startswith(b'{"t":"Ready"'):
            return
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            line = json.loads(said.line)
            if line["t"] in ("Scored", "Failed"):
                self._unanswered[said.worker] -= 1
                self._inbox.answered(said.worker, line["m"], line["a"])

    def leave(self, worker: int) -> None:
        """A worker is gone."""
        self._inbox.leave(worker)
        self._unanswered.pop(worker, None)
        shutil.rmtree(self._job / "scratch" / str(worker), ignore_errors=True)
