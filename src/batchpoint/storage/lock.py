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
        yield _take(descriptor)
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """True while some living process holds the lock."""
    if not path.exists():
        return False
    with try_lock(path) as is_ours:
        return not is_ours


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
