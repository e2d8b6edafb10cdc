"""Samples what a machine and the processes of a job use, into the tables under ``logs/sys/perf/<node>``.

The driver asks for a sample now and then, from its own thread; everything is read from ``/proc``. Where there is none,
the tables hold what the standard library tells.
"""

import contextlib
import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

_MB = 1 << 20
_PROC = Path("/proc")

NODE_COLUMNS = ("Time", "Cores", "Load", "CPU Busy Seconds", "Memory Total MB", "Memory Available MB", "Swap Used MB")
DISK_COLUMNS = ("Time", "Path", "Total MB", "Used MB", "Free MB", "Free Files")
PROCESS_COLUMNS = (
    "Time",
    "Process",
    "Pid",
    "Threads",
    "CPU Seconds",
    "Memory MB",
    "Peak Memory MB",
    "Read MB",
    "Written MB",
)


class ResourceUsage:
    """The tables of one job."""

    def __init__(self, folder: Path, disk: Path) -> None:
        self._folder = folder
        #: The disk that holds this path is looked at.
        self._disk = disk

    def sample(self, node: str, processes: Mapping[str, int]) -> None:
        """One line for this machine and one for each process that is still there; ``processes`` gives their ids."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = [line for name, pid in processes.items() if (line := _process(name, pid))]
        self._append(node, "node_resource_usage.csv", NODE_COLUMNS, [(moment, *_node())])
        self._append(node, "node_disk_usage.csv", DISK_COLUMNS, [(moment, *_free(self._disk))])
        self._append(node, "processes_resource_usage.csv", PROCESS_COLUMNS, [(moment, *line) for line in lines])

    def _append(self, node: str, name: str, columns: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
        path = self._folder / node / name
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                if not file.tell():
                    rows.writerow(columns)
                rows.writerows(lines)


def _node() -> tuple[object, ...]:
    memory = _fields(_PROC / "meminfo")
    swap = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    load = f"{os.getloadavg()[0]:.2f}"
    return (os.cpu_count(), load, _busy_s(), *(_mb(memory.get(n)) for n in ("MemTotal", "MemAvailable")), _mb(swap))


def _busy_s() -> str:
    """Seconds that all cores together have worked since the machine came up."""
    with contextlib.suppress(OSError, ValueError):
        words = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
        user, nice, system, _idle, _wait, *rest = map(int, words[:8])
        return f"{(user + nice + system + sum(rest)) / _ticks():.2f}"
    return ""


def _free(path: Path) -> tuple[object, ...]:
    try:
        usage, files = shutil.disk_usage(path), os.statvfs(path).f_favail
    except OSError:
        return str(path), "", "", "", ""
    return str(path), usage.total // _MB, usage.used // _MB, usage.free // _MB, files


def _process(name: str, pid: int) -> tuple[object, ...]:
    """Empty for a process that is gone."""
    status, transfers = _fields(_PROC / str(pid) / "status"), _fields(_PROC / str(pid) / "io")
    if "VmRSS" not in status:
        return ()
    resident, peak = _mb(status["VmRSS"]), _mb(status.get("VmHWM"))
    read, written = _mb(transfers.get("read_bytes")), _mb(transfers.get("write_bytes"))
    return name, pid, status.get("Threads", ""), _cpu_s(pid), resident, peak, read, written


def _cpu_s(pid: int) -> str:
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return f"{(int(words[11]) + int(words[12])) / _ticks():.2f}"
    return ""


def _fields(path: Path) -> dict[str, int]:
    """The numbers of a file of lines like ``VmRSS:  1234 kB``, in bytes where it gives kilobytes."""
    found = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            words = value.split()
            if words and words[0].isdigit():
                found[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return found


def _mb(size: int | None) -> object:
    return "" if size is None else f"{size / _MB:.1f}"


def _ticks() -> int:
    return os.sysconf("SC_CLK_TCK")
