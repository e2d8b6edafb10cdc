"""Owns the locks between processes of one machine: a file that its holder has locked, freed by the kernel on death.

Drivers, supervisors and servers hold one while they live; others ask whether they do.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock inside the block if nobody else does; says whether it is ours."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        yield _take(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


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


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
