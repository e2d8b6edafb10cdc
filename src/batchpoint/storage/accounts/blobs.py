"""Owns the blobs of one container: files below a folder, found without following any symbolic link, published whole.

The blob service calls it; it knows no HTTP. What jobs put into the folder are blobs like any other.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from batchpoint.errors import ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.storage.accounts.about import About, Notes, fresh_etag, stamp
from batchpoint.storage.accounts.blob_names import problem_with
from batchpoint.storage.atomic import aside_path, fsync_file, fsync_folder, is_aside, publish_without_clobber

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Folders of empty folders may be removed while a file is about to be put there.
_TRIES = 20


@dataclass(frozen=True)
class Blob:
    """A blob as it is now."""

    name: str
    size: int
    about: About


class Taken(ResourceConflict):
    """A blob of this name is there already."""


@dataclass(frozen=True)
class Blobs:
    """One container. ``notes`` keeps what is known besides the bytes, ``locks`` is a folder for locks."""

    root: Path
    notes: Notes
    locks: Path

    @property
    def exists(self) -> bool:
        return self.root.is_dir()

    def open(self, name: str) -> tuple[BinaryIO, Blob]:
        """The blob's bytes and what is known about it. Raises ResourceNotFound, also for what no blob is called."""
        if problem_with(name):
            raise _missing(name)
        try:
            descriptor = os.open(self._path(name), _OPEN)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise _missing(name) from error
            raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _missing(name)
        file = os.fdopen(descriptor, "rb", buffering=0)
        return file, Blob(name, status.st_size, self.notes.of(name, status))

    def get(self, name: str) -> Blob:
        """What is known about it. Raises as ``open`` does."""
        file, blob = self.open(name)
        file.close()
        return blob

    def find(self, name: str) -> Blob | None:
        try:
            return self.get(name)
        except ResourceNotFound:
            return None

    @staticmethod
    def check_name(name: str) -> None:
        """Raises ReferenceInvalid for a name that no blob may have."""
        problem = problem_with(name)
        if problem:
            raise ReferenceInvalid(problem, target=name[:200])

    def aside(self) -> Path:
        """Where a blob is written before it has its name: ``publish`` it, or remove it."""
        return aside_path(self.root)

    def publish(
        self, finished: Path, name: str, about: About, may: Callable[[Blob | None], None], *, only_new: bool = False
    ) -> Blob:
        """Give the finished file its name, in place of what stands there, if ``may`` raises nothing about that.

        Raises Taken with ``only_new`` where something stands, ResourceConflict where a blob would lie below another.
        """
        final = self._path(name)
        with finished.open("rb") as file:
            status = stamp(file.fileno())
        fsync_file(finished)
        with self._locked(name):
            may(self.find(name))
            known = replace(about, etag=fresh_etag(), modified=status.st_mtime_ns / 1e9)
            self.notes.keep(name, status, known)
            try:
                self._give_name(finished, final, name, only_new)
            except BaseException:
                self._forget_but_current(name)
                raise
            self.notes.drop(name, status)
        return Blob(name, status.st_size, known)

    def change(self, name: str, change: Callable[[Blob], About]) -> Blob:
        """Change what is known about a blob; its bytes stay."""
        with self._locked(name):
            file, blob = self.open(name)
            with file:
                status = os.fstat(file.fileno())
                moment = max(status.st_mtime, blob.about.modified)
                known = replace(change(blob), etag=fresh_etag(), modified=max(moment, time.time()))
                self.notes.keep(name, status, known)
        return Blob(name, blob.size, known)

    def delete(self, name: str, may: Callable[[Blob], None]) -> None:
        """Remove the blob, and folders that are empty then. Raises ResourceNotFound, and what ``may`` raises."""
        path = self._path(name)
        with self._locked(name):
            may(self.get(name))
            path.unlink()
            self.notes.drop(name)
            with contextlib.suppress(OSError):
                fsync_folder(path.parent)
            for folder in path.parents:
                if folder == self.root or not _removed_if_empty(folder):
                    break

    def walk(self, prefix: str, start: str = "") -> Iterator[str]:
        """Names that begin with ``prefix``, in the order of their bytes, from ``start`` on."""
        folder, _, begin = prefix.rpartition("/")
        for name in _walk(self.root, f"{folder}/" if folder else "", begin, start):
            if name.startswith(prefix):
                yield name

    def level(self, prefix: str, start: str = "") -> Iterator[str]:
        """As ``walk``, but what lies deeper by the first part of its name, up to its slash."""
        folder, _, begin = prefix.rpartition("/")
        inside = f"{folder}/" if folder else ""
        for name, is_folder in _entries(self.root, inside):
            whole = f"{inside}{name}"
            if not name.startswith(begin) or (whole < start and not (is_folder and start.startswith(whole))):
                continue
            if not is_folder or next(_walk(self.root, whole, "", ""), None) is not None:
                yield whole

    def remove_all(self) -> None:
        """The container with everything in it; what is known about it stays."""
        shutil.rmtree(self.root)

    def _path(self, name: str) -> Path:
        self.check_name(name)
        path = self.root
        *folders, last = name.split("/")
        for folder in folders:
            path = path / folder
            if path.is_symlink():
                raise _missing(name)
        return path / last

    def _give_name(self, finished: Path, final: Path, name: str, only_new: bool) -> None:
        for _ in range(_TRIES):
            self._make_room(final, name)
            try:
                if not only_new:
                    finished.replace(final)
                    fsync_folder(final.parent)
                elif not publish_without_clobber(finished, final):
                    raise Taken(f"There is a blob {name} already.", target=name)
                return
            except FileNotFoundError:
                # The last file of its folder was deleted in this moment, and the folder with it.
                continue
        raise ResourceConflict(f"The folder of {name} is deleted again and again. Try again.", target=name)

    def _make_room(self, final: Path, name: str) -> None:
        """The folder that the blob goes to. ResourceConflict where a folder and a file would have one name."""
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ResourceConflict(
                f"{name} cannot be stored: a part of its path is a blob itself, and here a name is either that of a "
                "blob or that of a folder. Choose another name, or delete that blob.",
                target=name,
            ) from error
        if final.is_dir() and not final.is_symlink() and not _removed_if_empty(final):
            raise ResourceConflict(
                f"{name} cannot be stored: there are blobs below {name}/, and here a name is either that of a blob or "
                "that of a folder. Choose another name, or delete those blobs.",
                target=name,
            )

    def _forget_but_current(self, name: str) -> None:
        with contextlib.suppress(OSError):
            self.notes.drop(name, self._path(name).lstat())

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One at a time for a name; a few names share a lock."""
        self.locks.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(f"{self.root}\0{name}".encode("utf-8", "surrogateescape")).hexdigest()
        descriptor = os.open(self.locks / digest[:2], os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _missing(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no blob {name}.", target=name)


def _removed_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _walk(root: Path, inside: str, begin: str, start: str) -> Iterator[str]:
    for name, is_folder in _entries(root, inside):
        whole = f"{inside}{name}"
        # Of two names, one may begin with the other only up to the slash of a folder.
        if not name.startswith(begin[: len(name)]) or (whole < start and not start.startswith(whole)):
            continue
        if is_folder:
            yield from _walk(root, whole, begin[len(name) :] if begin else "", start)
        elif whole >= start:
            yield whole


def _entries(root: Path, inside: str) -> list[tuple[str, bool]]:
    """What lies in a folder, folders with a slash, in the order of bytes; no links, nothing unfinished."""
    # Who lists writes the beginning of the names, and dots in it would lead out.
    if inside and problem_with(inside.removesuffix("/")):
        return []
    folder = root
    for part in inside.split("/"):
        folder = folder / part
        if part and folder.is_symlink():
            return []
    try:
        with os.scandir(folder) as found:
            listed = [_entry(entry) for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((one for one in listed if one), key=lambda one: one[0].encode())


def _entry(entry: "os.DirEntry[str]") -> tuple[str, bool] | None:
    if is_aside(entry.name) or problem_with(entry.name):
        return None
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/", True
    return (entry.name, False) if entry.is_file(follow_symlinks=False) else None
