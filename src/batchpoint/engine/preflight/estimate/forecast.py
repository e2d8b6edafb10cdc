"""From the costs of calls to the duration of a job on 1 to n instances: workers that share processors, and the start.

Pure; ``estimating`` measures what it works with.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from batchpoint.engine.preflight.estimate.costs import Costs

#: What nobody can know of a machine, in each direction: another page cache, and another load where others work, too.
_DOUBT, _DOUBT_OF_LOAD, _DOUBT_OF_START = 0.10, 0.15, 0.30
#: With more calls than that their mean is exact enough.
_PLAYED_MAX = 50_000
#: Bytes a second at which rows are put together into the output.
_PUBLISHED_PER_S = 200e6


@dataclass(frozen=True)
class Start:
    """What passes before the first call, and what is done once."""

    #: From the invocation to the start of the workers: processes of ours, the environment, the input listed.
    before_s: float
    #: From there until a worker is ready, when ``workers`` start at once, and what of it is work of a processor.
    worker_s: float
    worker_cpu_s: float
    workers: int
    #: More than the others the first call of each worker takes.
    first_call_s: float


@dataclass(frozen=True)
class Work:
    """The calls of a job."""

    costs: Costs
    #: Items and bytes of each, in the order in which they are handed out.
    calls: Sequence[tuple[int, int]]
    #: Processors that a worker keeps busy while it scores.
    busy: float
    #: Of the output.
    bytes_out: int
    #: Share of the expected seconds of all calls between which the true ones lie, 8 times of 10.
    low: float
    high: float
    #: How much else may be different then, see ``doubt_of``.
    doubt: float = _DOUBT


@dataclass(frozen=True)
class Duration:
    """Seconds from the invocation to the end of the job, on so many instances."""

    instances: int
    workers: int
    low_s: float
    expected_s: float
    high_s: float


def doubt_of(load: float) -> float:
    """How far a duration may be off on a machine of which others keep the share ``load`` busy."""
    return _DOUBT + _DOUBT_OF_LOAD * min(1.0, load)


def forecast(start: Start, work: Work, instances: int, per_instance: int, cores: int | None) -> Duration:
    """How long it takes; ``cores`` are what all workers share, None where each instance brings its own."""
    workers = instances * per_instance
    before = start.before_s + _started(start, workers, cores) + start.first_call_s
    after = 0.3 + work.bytes_out / _PUBLISHED_PER_S
    slower = 1.0 if cores is None else max(1.0, workers * work.busy / cores)
    seconds = [work.costs.of(items, size) * slower for items, size in work.calls]
    total = makespan(seconds, workers)
    fixed = before + after
    return Duration(
        instances,
        workers,
        fixed * (1 - _DOUBT_OF_START) + total * work.low * (1 - work.doubt),
        fixed + total,
        fixed * (1 + _DOUBT_OF_START) + 0.3 + total * work.high * (1 + work.doubt),
    )


def _started(start: Start, workers: int, cores: int | None) -> float:
    """Until the first of ``workers`` is ready, when all start at once."""
    if cores is None:
        return start.worker_s
    crowd = max(1.0, workers / cores) / max(1.0, start.workers / cores)
    waits = max(0.0, start.worker_s - start.worker_cpu_s)
    return waits + (start.worker_s - waits) * max(1.0, crowd)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """When the last call ends, if each worker takes the next one as soon as it is free."""
    if not seconds:
        return 0.0
    if len(seconds) > _PLAYED_MAX:
        return sum(seconds) / workers + max(seconds) / 2
    free = [0.0] * min(workers, len(seconds))
    for one in seconds:
        heapq.heappush(free, heapq.heappop(free) + one)
    return max(free)
