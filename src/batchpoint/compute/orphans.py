"""Processes that left their worker and everything by which it is known: session, group, environment.

A driver adopts them, by asking the kernel to be the parent of whatever its descendants leave behind, and the local pool
ends them with the job. Linux only; elsewhere nothing is adopted.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
#: Seconds that the end of orphans may take: one that forks all the time is met again and again.
END_S = 2.0


def adopt() -> None:
    """From now on orphans among the descendants of this process become its children. For driver processes."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def adopts() -> bool:
    """Whether this process asked for the orphans among its descendants."""
    if not sys.platform.startswith("linux"):
        return False
    answer = ctypes.c_int(0)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def children() -> dict[int, int]:
    """Process groups of the processes that have this one as their parent, also of dead ones not yet waited for."""
    found, own = {}, str(os.getpid())
    with contextlib.suppress(FileNotFoundError):
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    _state, parent, group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
                    if parent == own:
                        found[int(process.name)] = int(group)
    return found


def reap(own: Collection[int]) -> None:
    """Forget orphans that have ended, lest they use up the process numbers; never a process of ``own``."""
    while ended := _one_that_ended():
        if ended in own:
            return  # its owner is about to wait for it
        with contextlib.suppress(ChildProcessError):
            os.waitpid(ended, os.WNOHANG)


def end(own: Collection[int]) -> None:
    """Kill every child that is none of ``own``, each with its process group, and what comes to us when it dies."""
    until = time.monotonic() + END_S
    while time.monotonic() < until:
        found = children()
        left = {pid: group for pid, group in found.items() if pid not in own}
        if not left:
            return
        spared = {os.getpgrp(), *(group for pid, group in found.items() if pid in own)}
        for pid, group in left.items():
            _kill(pid, None if group in spared else group)


def _kill(pid: int, group: int | None) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # The group first: of one that forks without end, no number is its own for long.
        if group is not None:
            os.killpg(group, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _one_that_ended() -> int:
    with contextlib.suppress(ChildProcessError):
        if found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return found.si_pid
    return 0
