"""Running out of memory: whom the kernel should kill first, and its count of such kills.

The count tells such a death from any other SIGKILL.
"""

import contextlib
from functools import cache
from pathlib import Path

#: Added to a worker's badness, in thousandths of the memory there is: a worker can be replaced more easily than its
#: driver, or than whatever else runs on the machine.
WORKER_BADNESS = 800


def prefer_to_kill(pid: int) -> None:
    """Make the kernel choose this process, and those that it starts, before others; no effect where it cannot."""
    with contextlib.suppress(OSError):
        Path("/proc", str(pid), "oom_score_adj").write_text(str(WORKER_BADNESS))


def oom_kills() -> int:
    """Kills so far in our control group (v2 or v1), else on the machine; 0 where neither is told."""
    path = _counter()
    if path is None:
        return 0
    try:
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        return 0
    return 0


@cache
def _counter() -> Path | None:
    for path in (*_of_our_group(), Path("/proc/vmstat")):
        try:
            if any(line.startswith("oom_kill ") for line in path.read_text().splitlines()):
                return path
        except OSError:
            continue
    return None


def _of_our_group() -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            found.append(Path("/sys/fs/cgroup", group.lstrip("/"), "memory.events"))
        elif "memory" in controllers.split(","):
            found.append(Path("/sys/fs/cgroup/memory", group.lstrip("/"), "memory.oom_control"))
    return found
