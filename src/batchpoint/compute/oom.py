"""Running out of memory: whom the kernel should kill first, its count of such kills, and the limit that was met.

The count tells such a death from any other SIGKILL.
"""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from batchpoint.compute import machine

#: Added to a worker's badness, in thousandths of the memory there is: a worker can be replaced more easily than its
#: driver, or than whatever else runs on the machine.
WORKER_BADNESS = 800
GROUPS = Path("/sys/fs/cgroup")
#: Files of a group's limit, version 2 first.
LIMITS = ("memory.max", "memory.limit_in_bytes")
#: What version 1 says for "no limit" is a little less than 2**63.
UNLIMITED = 1 << 60
_MACHINE = Path("/proc/vmstat")


def prefer_to_kill(pid: int) -> None:
    """Make the kernel choose this process, and those that it starts, before others; no effect where it cannot."""
    with contextlib.suppress(OSError):
        Path("/proc", str(pid), "oom_score_adj").write_text(str(WORKER_BADNESS))


def oom_kills() -> int:
    """Kills so far in our control group (v2 or v1), else on the machine; 0 where neither is told."""
    path = _counter()
    return 0 if path is None else _kills(path)


def machine_kills() -> int:
    """Kills so far on the machine, in whichever control group; 0 where nobody tells."""
    return _kills(_MACHINE)


def _kills(path: Path) -> int:
    try:
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        return 0
    return 0


def limit_bytes() -> int:
    """The memory that we and all beside us in our control group may use: the lowest limit, or all of the machine."""
    found = [machine.memory_bytes(), *filter(None, (_limit(group) for group in memory_groups()))]
    return min(found)


def _limit(group: Path) -> int | None:
    for name in LIMITS:
        try:
            limit = int((group / name).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        return limit if limit < UNLIMITED else None
    return None


@cache
def _counter() -> Path | None:
    named = (group / name for group in memory_groups() for name in ("memory.events", "memory.oom_control"))
    for path in (*named, _MACHINE):
        try:
            if any(line.startswith("oom_kill ") for line in path.read_text().splitlines()):
                return path
        except OSError:
            continue
    return None


def memory_groups(cgroup: Path = Path("/proc/self/cgroup"), groups: Path = GROUPS) -> list[Path]:
    """Folders of our control group and of those above it, the lowest first.

    Within a container the path of the group may be the host's, which is not seen: then only the uppermost is there.
    """
    try:
        lines = cgroup.read_text().splitlines()
    except OSError:
        return []
    return [folder for line in lines for folder in _folders(line, groups) if folder.is_dir()]


def _folders(line: str, groups: Path) -> Iterator[Path]:
    _, controllers, name = line.split(":", 2)
    if controllers and "memory" not in controllers.split(","):
        return
    root = groups / "memory" if controllers else groups
    # A process that was moved out of its container's group is told of as /../other.
    folder = root if ".." in name.split("/") else root / name.lstrip("/")
    yield folder
    while folder != root:
        folder = folder.parent
        yield folder
