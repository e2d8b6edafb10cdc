"""Finds and ends processes that a worker left behind, by the mark that every worker carries in its environment.

A process group is not enough: user code may call setsid(), and a driver that was killed cannot clean up after itself.
The mark survives both. Linux only; elsewhere nothing is found.
"""

import contextlib
import os
import signal
from pathlib import Path

#: Environment variable that marks a worker and whatever it starts: ``<job folder>#<pool>#<worker>``.
MARK = "BATCHPOINT_WORKER"

#: A process that forks while we look may be missed; we look again until none is there, within reason.
PASSES_MAX = 50


def mark(job_folder: Path, pool: str = "", worker: int | None = None) -> str:
    """The mark of one worker, or the beginning that the marks of a pool or a job share."""
    return f"{job_folder}#" + (f"{pool}#" if pool else "") + ("" if worker is None else f"{worker}#")


def end_strays(beginning: str) -> int:
    """Kill every process whose mark begins so; returns how many kills that took."""
    entry, kills = f"{MARK}={beginning}".encode(), 0
    for _ in range(PASSES_MAX):
        pids = _marked(entry)
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    return kills


def _marked(entry: bytes) -> list[int]:
    own = os.getpid()
    pids = []
    with contextlib.suppress(FileNotFoundError):
        for process in Path("/proc").iterdir():
            if not process.name.isdigit() or int(process.name) == own:
                continue
            with contextlib.suppress(OSError):
                environ = (process / "environ").read_bytes()
                if environ.startswith(entry) or b"\0" + entry in environ:
                    pids.append(int(process.name))
    return pids
