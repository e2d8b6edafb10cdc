"""Runs one command and says what it took: wall, CPU of its whole process tree, memory of one process or of all."""

import ctypes
import hashlib
import os
import resource
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
        start, before = time.monotonic(), _cpu_of_children()
        process = subprocess.Popen(command, env=environment, stdout=printed, stderr=printed)
        process.wait()
        wall = time.monotonic() - start
        _wait_for_orphans()
    if process.returncode:
        raise SystemExit(f"exit {process.returncode} of {' '.join(command)}\n{log.read_text(errors='replace')[-4000:]}")
    with output.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Cost(wall, _cpu_of_children() - before, digest)


def adopt_orphans() -> None:
    """From here on, what a command leaves running is waited for, and its processor time counted. Linux only."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait_for_orphans() -> None:
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def peak_memory_mb(command: list[str], environment: dict[str, str]) -> float:
    """Most memory that the first process of ``command`` ever had resident, its children left aside. Linux only."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, high_water_mb(process.pid))
        time.sleep(0.02)
    return peak


def peak_shared_mb(command: list[str], environment: dict[str, str]) -> float:
    """Most memory of all processes of ``command`` together; a page that several share counts once. Linux only."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_proportional_mb(pid) for pid in _descendants(os.getpid())))
        time.sleep(0.05)
    _wait_for_orphans()
    return peak


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def _proportional_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def high_water_mb(pid: int) -> float:
    """Most memory that a process ever had resident; 0 for one that is gone. Linux only."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) / 1024 for words in lines if words[0] == "VmHWM:"), 0.0)
