"""Owns the locks between processes of one machine: a file that its holder has locked, freed by the kernel on death.

Drivers, supervisors and servers hold one while they live; others ask whether they do.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

#: Between two tries of someone with patience.
_PAUSE_S = 0.02


@contextlib.contextmanager
def try_lock(path: Path, patience_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock inside the block if nobody else does; says whether it is ours.

    With patience it is tried again for so many seconds: whoever asks whether it is held has it for an instant.
    """
    deadline = time.monotonic() + patience_s
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            is_ours = _take(descriptor, fcntl.LOCK_EX) and stands_at(descriptor, path)
            if is_ours or time.monotonic() >= deadline:
                yield is_ours
                return
        finally:
            os.close(descriptor)
        time.sleep(_PAUSE_S)


def is_locked(path: Path) -> bool:
    """True while some living process holds the lock.

    Asks with a shared lock, so that two who ask at once do not take each other for a holder. Whoever wants the lock in
    that instant is refused and has to try again.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def stands_at(descriptor: int, path: Path) -> bool:
    """False when the file was removed or moved since it was opened: then its lock keeps nobody out any more."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
