"""Which GPU a worker sees: one each, while there are any.

``preparation.workers`` calls it for every worker; pure, but for the look at the machine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path


def found() -> int:
    """How many GPUs this machine shows."""
    return sum(1 for path in Path("/dev").glob("nvidia[0-9]*"))


def devices(gpus: int, inherited: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the GPUs that workers may have: all ``gpus`` of them, or those that the operator left visible."""
    chosen = inherited.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return tuple(str(number) for number in range(gpus))
    names = [name.strip() for name in chosen.split(",")]
    # CUDA itself ignores what comes after a device that is not there.
    end = next((index for index, name in enumerate(names) if name in ("", "-1")), len(names))
    return tuple(names[:end])[:gpus]


def variables(instance: int, process: int, per_instance: int, names: Sequence[str]) -> dict[str, str]:
    """What the worker in this place is told, nothing where there is no GPU; workers beyond the last GPU see none.

    ``instance`` is the number of the instance on this machine, so that jobs on different instances do not meet.
    """
    if not names:
        return {}
    number = instance * per_instance + process
    visible = names[number] if number < len(names) else ""
    return {"AZ_BATCHAI_GPU_COUNT_FOUND": str(len(names)), "CUDA_VISIBLE_DEVICES": visible}
