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
    kills = 0
    for _ in range(PASSES_MAX):
        pids = marked(beginning)
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    return kills


def marked(beginning: str) -> dict[int, str]:
    """The processes whose mark begins so, each with its whole mark."""
    own, entry = os.getpid(), os.fsencode(f"{MARK}={beginning}")
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for process in Path("/proc").iterdir():
            if not process.name.isdigit() or int(process.name) == own:
                continue
            with contextlib.suppress(OSError):
                environ = b"\0" + (process / "environ").read_bytes()
                start = environ.find(b"\0" + entry)
                if start >= 0:
                    mark = environ[start + 2 + len(MARK) :].partition(b"\0")[0]
                    found[int(process.name)] = os.fsdecode(mark)
    return found
