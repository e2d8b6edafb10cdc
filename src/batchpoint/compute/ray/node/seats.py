"""The workers of one instance and their folders: where their input is put, what they are told, what is removed again.

The agent calls it. Input lies on the node from before a mini-batch is named to a worker until it has answered.
"""

# Paths of input are bytes, as the plan spells them, and there may be very many.
# ruff: noqa: PTH103, PTH108, PTH120
import contextlib
import json
import os
import shutil
from pathlib import Path

from batchpoint.compute.local import LocalPool
from batchpoint.compute.pool import Said, Slot, WorkerSpec
from batchpoint.compute.ray.frames import Header
from batchpoint.compute.ray.node.parcels import Parcels
from batchpoint.compute.ray.node.surroundings import Surroundings


class Seats:
    """What the workers of an instance have in common, and what each one has of its own."""

    def __init__(self, folder: Path, pool: LocalPool, parcels: Parcels) -> None:
        self._job = folder / "job"
        self._in = folder / "in"
        self._pool = pool
        self._parcels = parcels
        self._plan = folder / "job" / "plan.items"
        self._surroundings = Surroundings((), ("", ""))
        #: Files of the mini-batches that a worker has and has not answered.
        self._input: dict[int, dict[int, list[bytes]]] = {}
        #: The beginning of a mini-batch's names, while the rest is on its way.
        self._names = b""
        self._is_greeted: set[int] = set()

    def prepare(self, said: Header) -> None:
        """Everything is here: make the job's folders, as they are on the driver's machine."""
        for name in ("seg", "logs", "scratch", "staging", "worker", "model"):
            (self._job / name).mkdir(parents=True, exist_ok=True)
        self._plan.touch()
        (self._job / "worker" / "batchpoint_worker").symlink_to(self._parcels.path(said["package"]))
        paths = {said["job"]: str(self._job), said["code"]["path"]: str(self._parcels.path(said["code"]["parcel"]))}
        if said["model"]:
            model = self._parcels.path(said["model"]["parcel"])
            model = model / said["model"]["name"] if said["model"]["is_file"] else model
            (self._job / "model" / said["model"]["name"]).symlink_to(model)
            paths[said["model"]["path"]] = str(model)
        python = said["python"]
        here = python["here"] or str(self._parcels.path(python["parcel"]) / "bin" / "python")
        ordered = sorted(paths.items(), key=lambda pair: -len(pair[0]))
        self._surroundings = Surroundings(tuple(ordered), (python["path"], here))

    def start(self, order: Header) -> None:
        """Start a worker. Raises OSError."""
        worker, slot = order["worker"], Slot(*order["slot"])
        self._input.setdefault(worker, {})  # its first input may have come before
        self._root(worker).mkdir(parents=True, exist_ok=True)
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
            line = self._surroundings.first_line(line, self._root(worker))
            log_folder = json.loads(line).get("entry_log")
            if log_folder:
                Path(log_folder).mkdir(parents=True, exist_ok=True)
        self._pool.send(worker, line)

    def take_input(self, header: Header, raw: bytes) -> None:
        """A stretch of the plan, the files that it names, or a piece of a large one."""
        mini_batches = self._input.setdefault(header["worker"], {})
        if header["t"] == "plan":
            with self._plan.open("r+b") as plan:
                plan.seek(header["offset"])
                plan.write(raw)
            self._names += raw
            if header["last"]:
                root = os.fsencode(self._root(header["worker"])) + b"/"
                mini_batches[header["mini_batch"]] = [root + name for name in self._names.split(b"\0")[:-1]]
                self._names = b""
            return
        paths = mini_batches.get(header["mini_batch"])
        if paths is None:  # its worker has gone meanwhile
            return
        if header["t"] == "item":
            _put(paths[header["index"]], header["at"], raw)
            return
        whole, at = memoryview(raw), 0
        for index, size in header["sizes"]:
            _put(paths[index], 0, whole[at : at + size])
            at += size

    def heard(self, said: Said) -> None:
        """A worker that has answered for a mini-batch needs its files no more."""
        if said.line.startswith(b'{"t":"Ready"'):
            return
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            line = json.loads(said.line)
            if line["t"] in ("Scored", "Failed"):
                for path in self._input[said.worker].pop(line["m"], []):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)

    def leave(self, worker: int) -> None:
        """A worker is gone."""
        self._input.pop(worker, None)
        shutil.rmtree(self._root(worker), ignore_errors=True)
        shutil.rmtree(self._job / "scratch" / str(worker), ignore_errors=True)

    def _root(self, worker: int) -> Path:
        return self._in / str(worker)


def _put(path: bytes, at: int, raw: "bytes | memoryview[int]") -> None:
    """Write a file, or a later piece of it; nothing when its worker goes at this moment."""
    flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | (0 if at else os.O_TRUNC)
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o644)
    try:
        while raw:
            written = os.pwrite(descriptor, raw, at)
            raw, at = raw[written:], at + written
    finally:
        os.close(descriptor)
