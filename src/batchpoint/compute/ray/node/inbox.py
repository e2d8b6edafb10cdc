"""The input files that lie on a node: from before a mini-batch is named to a worker until it has answered for it.

Small files lie in memory while there are few of them: making and removing one on a disk costs more than scoring it.
The agent's threads share it; a worker's folder goes with the worker.
"""

# Paths are bytes, as the plan spells them, and there may be very many.
# ruff: noqa: PTH103, PTH108, PTH120, PTH211
import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.compute.ray.frames import Header

#: Bytes of input that an instance keeps in memory; what is more goes to the disk.
IN_MEMORY = 1 << 26


@dataclass
class _MiniBatch:
    """Where the files of one mini-batch are."""

    paths: list[bytes]
    #: Files on the disk that links among ``paths`` lead to.
    on_disk: list[bytes] = field(default_factory=list)
    in_memory: int = 0


class Inbox:
    """The input of all workers of an instance."""

    def __init__(self, memory: Path, disk: Path, plan: Path) -> None:
        self._memory = os.fsencode(memory)
        self._disk = os.fsencode(disk)
        self._plan = plan
        #: Worker → (mini-batch, attempt) → its files.
        self._workers: dict[int, dict[tuple[int, int], _MiniBatch]] = {}
        self._held = 0
        #: The beginning of a mini-batch's names, while the rest is on its way.
        self._names = b""

    def root(self, worker: int) -> str:
        """The input folder, as this worker sees it."""
        return os.fsdecode(self._root(self._memory, worker))

    def admit(self, worker: int) -> None:
        """A worker starts; its first input may have come before."""
        self._workers.setdefault(worker, {})
        os.makedirs(self._root(self._memory, worker), exist_ok=True)

    def take(self, header: Header, raw: bytes) -> None:
        """A stretch of the plan, the small files that it names, or a piece of a large one. Raises OSError."""
        mini_batches = self._workers.setdefault(header["worker"], {})
        if header["t"] == "plan":
            self._take_plan(header, raw, mini_batches)
            return
        known = mini_batches.get((header["mini_batch"], header["attempt"]))
        if known is None:  # its worker has gone meanwhile
            return
        if header["t"] == "item":
            self._link(known, known.paths[header["index"]], header["at"], raw)
            return
        whole, at = memoryview(raw), 0
        for index, size in header["sizes"]:
            piece, at = whole[at : at + size], at + size
            if self._held + size > IN_MEMORY and self._memory != self._disk:
                self._link(known, known.paths[index], 0, piece)
            else:
                _put(known.paths[index], 0, piece)
                known.in_memory += size
                self._held += size

    def _take_plan(self, header: Header, raw: bytes, mini_batches: dict[tuple[int, int], _MiniBatch]) -> None:
        with self._plan.open("r+b") as plan:
            plan.seek(header["offset"])
            plan.write(raw)
        self._names += raw
        if header["last"]:
            root = self._root(self._memory, header["worker"]) + b"/"
            paths = [root + name for name in self._names.split(b"\0")[:-1]]
            mini_batches[header["mini_batch"], header["attempt"]] = _MiniBatch(paths)
            self._names = b""

    def _link(self, known: _MiniBatch, path: bytes, at: int, raw: "bytes | memoryview[int]") -> None:
        """Put a file on the disk, and a link to it where the worker looks."""
        place = self._disk + path[len(self._memory) :]
        _put(place, at, raw)
        if at == 0 and place != path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.symlink(place, path)
            known.on_disk.append(place)

    def answered(self, worker: int, mini_batch: int, attempt: int) -> None:
        """The files of this mini-batch, or piece of one, are needed no more."""
        known = self._workers.get(worker, {}).pop((mini_batch, attempt), None)
        if known is None:
            return
        self._held -= known.in_memory
        for path in (*known.paths, *known.on_disk):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def leave(self, worker: int) -> None:
        """A worker is gone, and what it was given with it."""
        for known in self._workers.pop(worker, {}).values():
            self._held -= known.in_memory
        for folder in (self._memory, self._disk):
            shutil.rmtree(self._root(folder, worker), ignore_errors=True)

    def _root(self, folder: bytes, worker: int) -> bytes:
        return folder + b"/%d" % worker


def _put(path: bytes, at: int, raw: "bytes | memoryview[int]") -> None:
    """Write a file, or a later piece of it."""
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


def memory_folder(root: Path, name: str, disk: Path) -> Path:
    """A folder in memory for the instance ``name``; ``disk`` where the machine has none."""
    shared = Path("/dev/shm")  # noqa: S108 - its names carry our user and the node's folder
    folder = shared / f"batchpoint-{os.getuid()}{str(root).replace('/', '-')}" / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return disk
    return folder if folder.stat().st_uid == os.getuid() else disk
