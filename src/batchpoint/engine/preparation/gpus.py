"""Which GPU a worker sees: one each, while there are any.

``preparation.workers`` calls it for every worker; pure. On a Ray cluster the nodes decide, not the driver's machine.
"""

from collections.abc import Mapping, Sequence


def devices(gpus: int, inherited: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the GPUs that workers may have: all ``gpus`` of them, or those that the operator left visible."""
    chosen = inherited.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return tuple(str(number) for number in range(gpus))
    names = [name.strip() for name in chosen.split(",")]
    # CUDA itself ignores what comes after a device that is not there.
    end = next((index for index, name in enumerate(names) if name in ("", "-1")), len(names))
    return tuple(names[:end])[:gpus]


def variables(worker: int, allotted: Sequence[int] | None, names: Sequence[str]) -> dict[str, str]:
    """What a worker is told, nothing where the machine has no GPU; one that has none for itself sees none.

    ``worker`` counts the workers of the job, instance by instance; ``allotted`` has the places in ``names`` that the
    job was given, in that order, or None for a job that has the machine to itself.
    """
    if not names:
        return {}
    if allotted is None:
        place = worker
    else:
        place = allotted[worker] if worker < len(allotted) else len(names)
    visible = names[place] if place < len(names) else ""
    return {"AZ_BATCHAI_GPU_COUNT_FOUND": str(len(names)), "CUDA_VISIBLE_DEVICES": visible}
