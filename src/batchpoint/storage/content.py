"""Owns content-addressed copies: the hash of a file or folder, and the one copy of it in a datastore.

Server and client call it for models, code and uploads; it knows nothing about assets or versions.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.errors import ReferenceInvalid, ResourceNotFound
from batchpoint.storage.atomic import aside_path, fsync_folder, publish_without_clobber, sweep

if TYPE_CHECKING:
    import pathspec

UPLOADS = "LocalUpload"
_NEVER_STORED = frozenset({"__pycache__", ".git"})
_IGNORE_FILES = (".amlignore", ".gitignore")
_CHUNK = 1 << 20
#: No copy takes longer than this, so what is older was left by a crash.
_LEFTOVER_AGE_S = 86400.0


@dataclass(frozen=True)
class StoredContent:
    """A copy that stands in a datastore."""

    content_hash: str
    #: Path in the datastore: ``LocalUpload/<hash>/<base name>``, with a trailing ``/`` for a folder.
    path: str


def content_hash(source: Path) -> str:
    """sha256 over the relative names, executable bits and bytes of ``source``, a file or folder."""
    return _pass_over(source, None)


def store_content(source: Path, datastore_root: Path) -> StoredContent:
    """Copy ``source`` into the datastore under its hash and base name, unless that copy is there already.

    Any number of processes may do so at once; a copy is visible only when it is whole.
    """
    source = source.absolute()
    base_name = _storable_name(source)
    uploads = datastore_root / UPLOADS
    found = content_hash(source)
    if not is_stored(uploads / found, base_name):
        uploads.mkdir(parents=True, exist_ok=True)
        sweep(uploads, _LEFTOVER_AGE_S)
        found = _copy_in(source, uploads, base_name)
    tail = "/" if source.is_dir() else ""
    return StoredContent(found, f"{UPLOADS}/{found}/{base_name}{tail}")


def is_stored(folder: Path, base_name: str) -> bool:
    """Whether the content stands in the folder of its hash; notes that somebody is about to refer to it."""
    with contextlib.suppress(OSError):
        os.utime(folder)
    return os.path.lexists(folder / base_name)


def _storable_name(source: Path) -> str:
    name = source.name if source.name not in ("", "..") else source.resolve().name
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ReferenceInvalid(
            f"The name {os.fsencode(name)!r} is not UTF-8, so it cannot become part of a URI. Rename it.", target=name
        ) from error
    return name


def _copy_in(source: Path, uploads: Path, base_name: str) -> str:
    aside = aside_path(uploads)
    aside.mkdir()
    try:
        copy = aside / base_name
        # The source may change while it is read: the name must be the hash of what was copied.
        found = _pass_over(source, copy)
        target = uploads / found / base_name
        target.parent.mkdir(exist_ok=True)
        _publish(copy, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found


def _publish(copy: Path, target: Path) -> None:
    if not copy.is_dir():
        publish_without_clobber(copy, target)
        return
    try:
        copy.rename(target)
    except OSError:
        # A folder is never renamed onto one with files in it: then somebody else was first with the same bytes.
        if not target.is_dir():
            raise
    fsync_folder(target.parent)


def _pass_over(source: Path, copy: Path | None) -> str:
    """Hash ``source`` and, in the same reading, write it to ``copy``."""
    if not source.exists():
        raise ResourceNotFound(f"There is no file or folder at {source}. Check the path.", target=str(source))
    digest = hashlib.sha256()
    if not source.is_dir():
        _take_file(source, copy, digest)
        return digest.hexdigest()
    if copy is not None:
        copy.mkdir()
    for relative in sorted(files_of(source), key=os.fsencode):
        name = os.fsencode(relative)
        digest.update(b"%d:%s" % (len(name), name))
        _take_file(source / relative, copy / relative if copy is not None else None, digest)
    return digest.hexdigest()


def _take_file(source: Path, copy: Path | None, digest: "hashlib._Hash") -> None:
    try:
        with source.open("rb") as reader:
            mode = stat.S_IMODE(os.fstat(reader.fileno()).st_mode)
            # Length and bit come in front of the bytes; the inner hash makes the length of a growing file irrelevant.
            inner = hashlib.sha256(b"x" if mode & stat.S_IXUSR else b"-")
            if copy is None:
                for chunk in iter(lambda: reader.read(_CHUNK), b""):
                    inner.update(chunk)
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                _copy_bytes(reader.fileno(), copy, mode, inner)
    except (PermissionError, FileNotFoundError, IsADirectoryError) as error:
        raise ReferenceInvalid(
            f"{source} cannot be read: {error.strerror}. "
            "Make it readable, remove it, or name it in a file .amlignore at the top of the folder.",
            target=str(source),
        ) from error
    digest.update(inner.digest())


def _copy_bytes(reader: int, copy: Path, mode: int, digest: "hashlib._Hash") -> None:
    descriptor = os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666 | (mode & 0o111))
    with os.fdopen(descriptor, "wb", buffering=0) as writer:
        while chunk := os.read(reader, _CHUNK):
            digest.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[writer.write(view) :]
        os.fsync(writer.fileno())


def files_of(root: Path) -> Iterator[str]:
    """Relative paths of the files below ``root`` that are not ignored; symbolic links are followed, loops are not."""
    ignored = _ignored(root)
    ahead: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset({_identity(root)}))]
    while ahead:
        prefix, above = ahead.pop()
        for path in (root / prefix).iterdir():
            name = path.name
            relative = prefix + name
            if name in _NEVER_STORED:
                continue
            if path.is_dir():
                identity = _identity(path)
                if identity not in above and not (ignored and ignored.match_file(relative + "/")):
                    ahead.append((relative + "/", above | {identity}))
            elif (path.is_file() or path.is_symlink()) and not (ignored and ignored.match_file(relative)):
                yield relative


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _ignored(root: Path) -> "pathspec.GitIgnoreSpec | None":
    for name in _IGNORE_FILES:
        path = root / name
        if path.is_file():
            import pathspec

            lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            return pathspec.GitIgnoreSpec.from_lines(lines)
    return None


def crc32_of_range(file: Path, offset: int, length: int) -> tuple[int, int]:
    """zlib.crc32 of a range of a file, and how many bytes of it there are; never more than a block is in memory."""
    crc, begin, end = 0, offset, offset + length
    with file.open("rb", buffering=0) as opened:
        while offset < end and (block := os.pread(opened.fileno(), min(end - offset, _CHUNK), offset)):
            crc = zlib.crc32(block, crc)
            offset += len(block)
    return crc, offset - begin
