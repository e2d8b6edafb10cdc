"""What this machine has: cores, memory, GPUs. Pools, the supervisor and ``compute list-sizes`` ask it."""

import os
from pathlib import Path


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Memory of the machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def gpus() -> int:
    """NVIDIA devices."""
    return sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
