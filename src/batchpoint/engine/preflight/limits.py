"""What a sample says of the whole job: whether disk, memory, processors and time will be enough. Pure.

``checks`` measures, and asks here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from batchpoint.engine.preflight.report import error, note, warning
from batchpoint.engine.sampling.sample import Sampled
from batchpoint.entities.evidence.finding import Finding
from batchpoint.entities.job import JobSettings
from batchpoint.entities.tables.sizes import size_in_words

#: A call that takes more of its time than this in the sample may take all of it on another day.
_NEAR = 0.5
#: Processor time is counted in hundredths of a second: less than this tells nothing.
_TELLING_S = 0.2
#: The share of its time in which a worker that is busy uses a processor.
_BUSY = 0.7


@dataclass(frozen=True)
class Machine:
    """What the workers of the job share."""

    cores: int
    #: Bytes of memory in all, and what is free of them now; 0 where that is not known.
    memory: int
    available: int
    gpus: int
    #: True for a cluster: each instance is as large as its compute says.
    is_cluster: bool = False


@dataclass(frozen=True)
class Disk:
    """The disk that a folder is on."""

    what: str
    folder: str
    free: int


def too_slow(sampled: Sampled, settings: JobSettings) -> Iterator[Finding]:
    """A mini-batch that needs more than half of the time that it may take."""
    slowest = max((one.run_s for one in sampled.executions if one.succeeded), default=0.0)
    per_item = max((one.run_s / one.items for one in sampled.executions if one.succeeded and one.items), default=0.0)
    whole = max(slowest, per_item * settings.mini_batch_size)
    if whole <= settings.timeout_s * _NEAR:
        return
    wanted = int(whole * 4) + 1
    message = (
        f"run() took {slowest:.1f} s in the sample; a mini-batch of {settings.mini_batch_size:,} may take "
        f"{whole:.1f} s of the {settings.timeout_s:g} s that retry_settings.timeout allows."
    )
    fix = f"Raise retry_settings.timeout (to {wanted:,}, say), or lower mini_batch_size."
    make = error if whole > settings.timeout_s else warning
    yield make("TimeoutNear", message, fix)


def too_much_memory(sampled: Sampled, settings: JobSettings, machine: Machine) -> Iterator[Finding]:
    """Workers that do not fit beside each other."""
    beside = settings.max_concurrency_per_instance
    limit, where = machine.memory, "this machine has"
    if machine.is_cluster:
        limit, where = settings.place.memory, "Ray sets aside for an instance"
    else:
        beside *= settings.instance_count
    needed = sampled.peak_bytes * beside
    if not limit or not needed:
        return
    fit = max(1, limit // max(1, sampled.peak_bytes))
    fix = f"Let at most {fit} workers run beside each other: lower max_concurrency_per_instance or instance_count."
    said = f"{beside} workers with {size_in_words(sampled.peak_bytes)} each need {size_in_words(needed)}"
    if needed > limit:
        yield error("NotEnoughMemory", f"{said}, and {where} {size_in_words(limit)}.", fix)
    elif not machine.is_cluster and 0 < machine.available < needed - sampled.peak_bytes:
        message = f"{said}, and {size_in_words(machine.available)} are free now."
        yield warning("NotEnoughMemory", message, fix)


def too_few_processors(sampled: Sampled, settings: JobSettings, machine: Machine) -> Iterator[Finding]:
    """Workers that wait for each other."""
    workers = settings.max_concurrency_per_instance * settings.instance_count
    if machine.gpus and workers > machine.gpus and not machine.is_cluster:
        message = f"{workers} workers share {machine.gpus} GPUs: each has one for itself, and the others see none."
        fix = "Lower max_concurrency_per_instance or instance_count, or see that the script copes without."
        yield warning("NotEnoughGpus", message, fix)
    if not machine.is_cluster and workers > machine.cores and busy(sampled) > _BUSY:
        message = f"{workers} workers share {machine.cores} processors, and each keeps one busy."
        fix = "More workers than processors are no faster here; lower max_concurrency_per_instance or instance_count."
        yield note("MoreWorkersThanProcessors", message, fix)


def busy(sampled: Sampled) -> float:
    """Processors that a worker keeps busy while it scores; 1 where the sample is too short to tell."""
    seconds = sum(one.seconds for one in sampled.executions)
    scoring = sampled.scoring_cpu_s
    return min(1.0, scoring / seconds) if seconds > _TELLING_S else 1.0


def too_full(expected: int, disks: list[Disk]) -> Iterator[Finding]:
    """A disk that has no room for what is to be written there."""
    for disk in disks:
        if expected > disk.free:
            wanted, free = size_in_words(expected), size_in_words(disk.free)
            message = f"About {wanted} are expected for {disk.what}, and {disk.folder} has {free} free."
            yield error("NotEnoughDisk", message, "Make room there, or write to another place (--output-path).")
