"""Owns how a file comes to be: written aside and then renamed, so that nobody ever reads half of it.

Every part that leaves files behind calls it; it knows nothing about what is in them.
"""

import contextlib
import ctypes
import errno
import hashlib
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

from batchpoint.failpoints import reach

_ASIDE_PREFIX = ".batchpoint-"
_ASIDE_SUFFIX = ".aside"

#: What file systems without hard links answer to link(2).
_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EXDEV, errno.EACCES}
)
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
#: Bytes that are hashed between two signs of life.
_BLOCK_BYTES = 1 << 22


def aside_path(folder: Path, owner: str = "") -> Path:
    """A fresh name in ``folder`` for something that is not finished yet; listings skip it and ``sweep`` finds it."""
    return folder / f"{_aside_prefix(owner)}{secrets.token_hex(8)}{_ASIDE_SUFFIX}"


def write_atomically(path: Path, data: bytes | bytearray, mode: int = 0o666) -> None:
    """Replace ``path`` by a file that holds ``data``; after a crash either the old or the new file is there."""
    aside = aside_path(path.parent)
    try:
        _write(aside, data, mode)
        aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    fsync_folder(path.parent)


def write_once(path: Path, data: bytes, mode: int) -> bytes:
    """What ``path`` holds: ``data``, unless a file stood there already or another process has just put one there."""
    if not path.exists():
        aside = aside_path(path.parent)
        try:
            _write(aside, data, mode)
            publish_without_clobber(aside, path)
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()
    return path.read_bytes()


def _write(path: Path, data: bytes | bytearray, mode: int) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def publish_without_clobber(finished: Path, final: Path) -> bool:
    """Give ``finished`` the name ``final``; False, and nothing changed, when another file stands there.

    Both lie on one file system. A repeat after a crash in the middle answers True.
    """
    fsync_file(finished)
    reach("D15")
    if not _give_name(finished, final):
        return False
    reach("D16")
    try:
        fsync_folder(final.parent)
    except OSError:
        # A name that may not last is not published; nobody shall find it beside a job that says it failed.
        with contextlib.suppress(OSError):
            if os.path.samestat(finished.lstat(), final.lstat()):
                final.unlink()
        raise
    with contextlib.suppress(OSError):
        finished.unlink()
    return True


def _give_name(finished: Path, final: Path) -> bool:
    try:
        os.link(finished, final)
    except FileExistsError:
        # Some network file systems report a link that they made as a failure, and a crash may leave both names.
        return os.path.samestat(finished.lstat(), final.lstat())
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _rename_without_replace(finished, final)
    return True


def _rename_without_replace(finished: Path, final: Path) -> bool:
    try:
        return _renameat2(finished, final, _RENAME_NOREPLACE) or _claim_and_replace(finished, final)
    except FileExistsError:
        return False


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    """Rename so; False where the system or the file system has no such rename."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_HARD_LINKS:
        return False
    raise OSError(number, os.strerror(number), str(target))


def _claim_and_replace(finished: Path, final: Path) -> bool:
    # The last resort: for a moment the name stands for an empty file, and a crash there leaves it so.
    try:
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        return False
    finished.replace(final)
    return True


def replace_own(finished: Path, final: Path, own: Collection[str], alive: Callable[[], None] = lambda: None) -> bool:
    """Give ``finished`` the name ``final``, where nothing stands or a file whose sha256 is in ``own``.

    False, and nothing changed, when another file stands there, be it with the same bytes; one that is put there in
    this very moment is put back. A repeat after a crash in the middle answers the same if ``own`` then has the sha256
    of ``finished``. Both lie on one file system. ``alive`` is called again and again: what is hashed may be large.
    """
    fsync_file(finished)
    reach("D15")
    wanted = sha256_of(finished, alive)
    _recover(final, {wanted, *own}, alive)
    found = sha256_of(final, alive)
    if found not in {"", *own}:
        return False
    own = {wanted, *own}
    while found != wanted:
        if not os.path.lexists(final):
            if publish_without_clobber(finished, final):
                return True
        elif found not in own:
            return False
        else:
            _swap(finished, final, own, alive)
        found = sha256_of(final, alive)
    fsync_folder(final.parent)
    finished.unlink(missing_ok=True)
    return True


def remove_own(final: Path, own: Collection[str]) -> bool:
    """Remove ``final`` if its sha256 is in ``own``; False, and nothing changed, when another file stands there."""
    _recover(final, own)
    if not os.path.lexists(final):
        return True
    if sha256_of(final) not in own:
        return False
    final.rename(_taken_out(final))
    fsync_folder(final.parent)
    _recover(final, own)
    return not os.path.lexists(final)


def _swap(finished: Path, final: Path, own: Collection[str], alive: Callable[[], None]) -> None:
    """Exchange the two, so that what came out can be looked at before it is gone for good."""
    out = _taken_out(final)
    finished.rename(out)
    try:
        is_exchanged = _renameat2(out, final, _RENAME_EXCHANGE)
    except FileNotFoundError:
        # Nothing stands there any more.
        out.rename(finished)
        return
    reach("D16")
    if is_exchanged:
        fsync_folder(final.parent)
        _recover(final, own, alive)
    else:
        # No such rename here: between the look and this one, a file of others could be lost.
        out.replace(final)


def _recover(final: Path, own: Collection[str], alive: Callable[[], None] = lambda: None) -> None:
    """What an exchange or a removal has taken out goes away if it was ours, and else back to its name."""
    out = _taken_out(final)
    if not os.path.lexists(out):
        return
    if sha256_of(out, alive) not in own and not publish_without_clobber(out, final):
        if sha256_of(final) in own and _renameat2(out, final, _RENAME_EXCHANGE):
            fsync_folder(final.parent)
        if sha256_of(out) not in own:
            # Two strangers within a moment: neither is destroyed.
            out.rename(final.with_name(f"{final.name}.{secrets.token_hex(4)}"))
    out.unlink(missing_ok=True)


def _taken_out(final: Path) -> Path:
    """Where a file waits for the decision whether it may go; hidden, and no sweep takes it."""
    return final.with_name(f"{_ASIDE_PREFIX}{hashlib.sha256(os.fsencode(final.name)).hexdigest()[:16]}.out")


def sha256_of(path: Path, alive: Callable[[], None] = lambda: None) -> str:
    """Of a file's content; "" where there is no file to read. ``alive`` is called with each block."""
    if not path.is_file():
        return ""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            alive()
            digest.update(block)
    return digest.hexdigest()


def fsync_file(path: Path) -> None:
    """Return when the bytes of ``path`` are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Return when the names in ``path`` are on disk, where the file system can say so."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some FUSE and network file systems do not sync folders at all.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def sweep(folder: Path, older_than_s: float, owner: str = "") -> int:
    """Remove what crashed writers left aside in ``folder`` longer ago than ``older_than_s``; answers how many.

    With an owner: only what that one left.
    """
    if not folder.is_dir():
        return 0
    # The clock may have been set back since: what is of any age is swept whatever the time.
    limit = time.time() - older_than_s if older_than_s else math.inf
    leftovers = [Path(entry.path) for entry in os.scandir(folder) if _is_leftover(entry, limit, owner)]
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(leftovers)


def is_aside(name: str, owner: str = "") -> bool:
    """Whether a name is one of those that ``aside_path`` gives, to this owner if one is named."""
    return name.startswith(_aside_prefix(owner)) and name.endswith(_ASIDE_SUFFIX)


def _aside_prefix(owner: str) -> str:
    return f"{_ASIDE_PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:12]}-" if owner else _ASIDE_PREFIX


def _is_leftover(entry: "os.DirEntry[str]", limit: float, owner: str) -> bool:
    if not is_aside(entry.name, owner):
        return False
    try:
        return entry.stat(follow_symlinks=False).st_mtime <= limit
    except FileNotFoundError:
        return False
