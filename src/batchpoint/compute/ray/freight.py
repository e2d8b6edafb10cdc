"""What travels to nodes: parcels (environment, code, model, worker package) and the input of mini-batches, in pieces.

The bridge reads the files here, piece by piece, so that no more than a few pieces are ever in memory.
"""

# Paths are text and bytes here, as the file system spells them, and there may be very many.
# ruff: noqa: PTH112, PTH113, PTH114, PTH115, PTH116, PTH117, PTH118, PTH123, PTH208
import contextlib
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from batchpoint.compute.ray.frames import PIECE, Header, frame
from batchpoint.compute.ray.parts import pieces_of
from batchpoint.entities.tables.parts import split_item

#: Compiled from what lies beside it, so it does not change what a folder is.
_COMPILED = "__pycache__"
#: Bytes of a file up to which it travels together with others.
SMALL = 1 << 18
FIRST_READ = 1 << 14
TOGETHER_MAX = 10_000
_LOCK = threading.RLock()


@dataclass(frozen=True)
class _Entry:
    """A file, link or empty folder of a parcel."""

    name: str
    path: str
    kind: str
    to: str = ""
    mode: int = 0o644
    mtime: int = 0


class Parcel:
    """A file or folder that every node needs, known by the hash of its content."""

    def __init__(self, root: Path, *, is_venv: bool = False) -> None:
        self.root = root
        self.is_venv = is_venv

    @cached_property
    def digest(self) -> str:
        """Hash of names, contents and who may execute them."""
        with _LOCK:
            digest = hashlib.sha256(b"venv" if self.is_venv else b"")
            for entry in self._entries():
                if _COMPILED in entry.name.split("/"):
                    continue
                said = f"{entry.kind}\0{entry.name}\0{entry.to}\0{entry.mode & 0o100}\0"
                digest.update(said.encode("utf-8", "surrogateescape"))
                if entry.kind == "file":
                    with open(entry.path, "rb") as file:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
            return digest.hexdigest()

    def frames(self) -> Iterator[bytes]:
        """All of it, then its seal."""
        for entry in self._entries():
            header: Header = {
                "t": "piece",
                "parcel": self.digest,
                "path": entry.name,
                "kind": entry.kind,
                "to": entry.to,
            }
            header |= {"mode": entry.mode, "mtime": entry.mtime}
            if entry.kind == "file":
                for raw, is_last in _pieces(entry.path):
                    yield frame({**header, "last": is_last}, raw)
            else:
                yield frame(header)

    def _entries(self) -> Iterator[_Entry]:
        if not self.root.is_dir():
            yield _file(self.root.name, str(self.root))
            return
        for entry in self._below("", (os.path.realpath(self.root),)):
            if not (self.is_venv and (entry.name.startswith("bin/python") or entry.name == "pyvenv.cfg")):
                yield entry

    def _below(self, prefix: str, above: tuple[str, ...]) -> Iterator[_Entry]:
        names = sorted(os.listdir(self.root / prefix), key=os.fsencode)
        if not names:
            yield _Entry(prefix.rstrip("/"), "", "folder")
        for name in names:
            path = os.path.join(self.root, prefix, name)
            target = os.readlink(path) if os.path.islink(path) else ""
            if target and not os.path.isabs(target) and self._is_inside(path):
                yield _Entry(prefix + name, path, "link", target)
            elif os.path.isdir(path):
                real = os.path.realpath(path)
                if real not in above:
                    yield from self._below(f"{prefix}{name}/", (*above, real))
            elif os.path.isfile(path):
                yield _file(prefix + name, path)

    def _is_inside(self, path: str) -> bool:
        return os.path.realpath(path).startswith(os.path.realpath(self.root) + os.sep)


def _file(name: str, path: str) -> _Entry:
    found = os.stat(path)
    return _Entry(name, path, "file", "", stat.S_IMODE(found.st_mode), int(found.st_mtime))


def _pieces(path: str) -> Iterator[tuple[bytes, bool]]:
    """(bytes, whether they are the last) of a file; one empty piece of an empty one."""
    with open(path, "rb") as file:
        raw = file.read(PIECE)
        while True:
            following = file.read(PIECE) if len(raw) == PIECE else b""
            yield raw, not following
            if not following:
                return
            raw = following


@dataclass(frozen=True)
class Venv:
    """A virtual environment, and the Python that it rests on."""

    root: Path
    #: ``3.11``, and the interpreter itself on this machine.
    minor: str
    base: str
    system_site_packages: bool

    @property
    def header(self) -> Header:
        """What a node is told of it."""
        return {"was": str(self.root), "minor": self.minor, "system_site_packages": self.system_site_packages}


def venv_of(python: str) -> Venv | None:
    """The environment that an interpreter belongs to, or None when it is one by itself."""
    root = Path(python).parent.parent
    try:
        lines = (root / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    said = {key.strip().lower(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    version = said.get("version_info") or said.get("version") or ""
    with_system = said.get("include-system-site-packages", "").lower() == "true"
    return Venv(root, ".".join(version.split(".")[:2]), os.path.realpath(python), with_system)


class Input:
    """The files of one worker's mini-batches."""

    def __init__(self) -> None:
        self._root = b""
        self._plan = ""

    def frames(self, worker: int, line: bytes) -> Iterator[bytes]:
        """What must be on the node before it sees this line."""
        said = json.loads(line)
        if said["t"] == "Start":
            self._root, self._plan = os.fsencode(said["input_root"]), said["plan_items"]
        elif said["t"] == "Score":
            for mini_batch, attempt, _first, _items, offset, length in said["work"]:
                names = self._names(offset, length)
                # A worker may hold two pieces of one mini-batch, each under an attempt of its own.
                of = {"worker": worker, "mini_batch": mini_batch, "attempt": attempt}
                for at in range(0, len(names), PIECE):
                    is_last = at + PIECE >= len(names)
                    yield frame({"t": "plan", **of, "offset": offset + at, "last": is_last}, names[at : at + PIECE])
                yield from self._files(of, names.split(b"\0")[:-1])

    def _names(self, offset: int, length: int) -> bytes:
        descriptor = os.open(self._plan, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def _files(self, of: Header, names: list[bytes]) -> Iterator[bytes]:
        """Small files together, large ones in pieces; of a file that is scored in parts, the part alone.

        One that cannot be read is missing on the node too: the script finds that out as it does here.
        """
        together: list[tuple[int, bytes]] = []
        size = 0
        for index, name in enumerate(names):
            path, part = split_item(os.path.join(self._root, name))
            if part is not None:
                yield from _large(of, index, pieces_of(os.fsdecode(path), part))
                continue
            raw = _small(path)
            if raw is None:
                yield from _large(of, index, _all(path))
                continue
            together.append((index, raw))
            size += len(raw)
            if size >= PIECE or len(together) >= TOGETHER_MAX:
                yield _together(of, together)
                together, size = [], 0
        if together:
            yield _together(of, together)


def _small(path: bytes) -> bytes | None:
    """The bytes of a small file; None for any other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(descriptor, FIRST_READ)  # a large buffer takes longer to make than a small file to read
        if len(raw) == FIRST_READ:
            raw += os.read(descriptor, SMALL + 1 - FIRST_READ)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return raw if len(raw) <= SMALL else None


def _together(of: Header, files: list[tuple[int, bytes]]) -> bytes:
    sizes = [[index, len(raw)] for index, raw in files]
    return frame({"t": "files", **of, "sizes": sizes}, b"".join(raw for _, raw in files))


def _large(of: Header, index: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    at = 0
    with contextlib.suppress(OSError):
        for raw in pieces:
            yield frame({"t": "item", **of, "index": index, "at": at}, raw)
            at += len(raw)


def _all(path: bytes) -> Iterator[bytes]:
    for raw, _ in _pieces(os.fsdecode(path)):
        yield raw
