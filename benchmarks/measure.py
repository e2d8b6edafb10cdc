"""Runs one command and says what it took: wall, CPU of its whole process tree, memory of its first process."""

import hashlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    #: Seconds from the start of the command to its exit.
    wall_s: float
    #: Seconds of processor time, user and system, of the command and of everything it waited for.
    cpu_s: float
    #: sha256 of the output; all runners of a workload must agree.
    digest: str


def cost_of(command: list[str], environment: dict[str, str], output: Path) -> Cost:
    """Run ``command``, which writes ``output``. Raises SystemExit with what it printed when it fails."""
    log = output.parent.with_suffix(".log")
    with log.open("wb") as printed:
        start = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=printed, stderr=printed)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit {process.returncode} of {' '.join(command)}\n{log.read_text(errors='replace')[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, hashlib.sha256(output.read_bytes()).hexdigest())


def peak_memory_mb(command: list[str], environment: dict[str, str]) -> float:
    """Most memory that the first process of ``command`` ever had resident, its children left aside. Linux only."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, high_water_mb(process.pid))
        time.sleep(0.02)
    return peak


def high_water_mb(pid: int) -> float:
    """Most memory that a process ever had resident; 0 for one that is gone. Linux only."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) / 1024 for words in lines if words[0] == "VmHWM:"), 0.0)
