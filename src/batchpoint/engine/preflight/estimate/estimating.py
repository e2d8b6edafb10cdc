"""``invoke --estimate``: the environment is built, a sample is scored against the clock, and the job's duration told.

``__main__`` runs it in the place of the checks; what would fail is found on the way, and told as there.
"""

import os
import random
import time
from pathlib import Path
from typing import Any

from batchpoint.compute import machine
from batchpoint.engine.preflight import limits
from batchpoint.engine.preflight.aftermath import expected_bytes, machine_of
from batchpoint.engine.preflight.checks import Preflight
from batchpoint.engine.preflight.choice import Chosen, Item, cut, cuts, part_bytes, spread_by_size
from batchpoint.engine.preflight.estimate.costs import Costs, Timed, fit, spread
from batchpoint.engine.preflight.estimate.forecast import Duration, Start, Work, doubt_of, forecast
from batchpoint.engine.preparation.splitting.cutter import Cutter
from batchpoint.engine.sampling.sample import Sampled
from batchpoint.entities.tables.parts import file_of

#: Seconds of scoring after which a sample is long enough.
TIMED_S = 15.0
#: Calls of run() that are wanted, and bytes of input at most.
CALLS, BYTES_MAX = 24, 256 << 20
#: Bytes of a large table that are scored: more than to try it out, for what is small is timed badly.
TIMED_BYTES = 4 << 20
#: Instances that durations are told of, unless more are wanted.
_INSTANCES_TOLD = 8
_TITLE = "A sample is scored against the clock"


class Estimate(Preflight):
    """One estimate."""

    def run(self) -> None:
        """Build, list, look, score a sample, tell."""
        began_s = _age_of_process()
        looked = time.monotonic()
        self.find_python()
        self.find_items()
        listed_s = time.monotonic() - looked
        self.look_at_files()
        if not self.python or self.inputs is None or not self.fitting:
            self.report.skip("sample", _TITLE, "nothing can be scored")
            return
        items = self._planned()
        with self.report.check("sample", _TITLE):
            chosen = self._chosen(items)
            sampled = self.sample(chosen, self._workers(), TIMED_S)
            self.tell_of_start(sampled)
            self.tell_of_sample(sampled, chosen)
        calls = _timed(sampled, chosen)
        if calls:
            # The supervisor and the driver start as this process did, one after the other.
            self._answer(sampled, chosen, items, calls, 2 * began_s + listed_s)

    def _planned(self) -> list[Item]:
        """The items of the plan: parts, where files are split."""
        assert self.inputs is not None
        split = self.wish.settings.split
        if split is None or len(self.inputs.here) < len(self.inputs.items):
            return self.inputs.items
        sizes = {item.name: item.size for item in self.inputs.items}
        names = list(Cutter(split, self.inputs.root).items(sizes))
        parts: dict[bytes, int] = {}
        for name in names:
            parts[file_of(name)] = parts.get(file_of(name), 0) + 1
        return [Item(name, _size_of(name, sizes[file_of(name)], parts[file_of(name)])) for name in names]

    def _chosen(self, items: list[Item]) -> list[Chosen]:
        """Items of all sizes in an order without a pattern; of few large tables several beginnings."""
        assert self.inputs is not None
        fitting = {item.name for item in self.fitting}
        there = [item for item in items if file_of(item.name) in fitting]
        wanted = min(len(there), max(CALLS, CALLS * self.wish.settings.mini_batch_size // 2))
        some = spread_by_size(there, wanted)
        random.Random(7).shuffle(some)
        folder = self.wish.folder / "short"
        is_whole = self.wish.settings.split is not None
        found = _whole(some) if is_whole else cut(self.inputs.root, some, folder, limit=TIMED_BYTES)
        if len(found) < CALLS // 4:
            found = [piece for one in found for piece in cuts(self.inputs.root, one, folder / "more")]
        kept: list[Chosen] = []
        size = 0
        for one in found:
            size += one.size
            if size <= BYTES_MAX or not kept:
                kept.append(one)
        return kept

    def _workers(self) -> int:
        """As many as one instance has, or as the machine has processors: more would wait for each other."""
        settings = self.wish.settings
        return max(1, min(settings.max_concurrency_per_instance, machine_of(settings).cores))

    def _answer(
        self, sampled: Sampled, chosen: list[Chosen], items: list[Item], calls: list[Timed], before_s: float
    ) -> None:
        settings, size = self.wish.settings, self.wish.settings.mini_batch_size
        costs, first_call_s = _without_first(calls, self._workers())
        batches = [items[at : at + size] for at in range(0, len(items), size)]
        planned = [(len(batch), sum(item.size for item in batch)) for batch in batches]
        whole = Timed(len(items), sum(item.size for item in items), 0.0)
        low, high = spread(calls[self._workers() :] or calls, whole, len(planned))
        start = _start(sampled, before_s, self._workers(), first_call_s)
        bytes_out = expected_bytes(sampled, chosen, items)
        work = Work(costs, planned, limits.busy(sampled), bytes_out, low, high, doubt_of(_load()))
        here = machine_of(settings)
        most = max(1, settings.instance_count, min(_INSTANCES_TOLD, self.wish.max_instances))
        durations = [
            forecast(start, work, count, settings.max_concurrency_per_instance, None if here.is_cluster else here.cores)
            for count in range(1, most + 1)
        ]
        self.report.answer(
            "estimate", _told(settings.instance_count, items, planned, sampled, costs, durations, bytes_out)
        )


def _told(
    wanted: int,
    items: list[Item],
    planned: list[tuple[int, int]],
    sampled: Sampled,
    costs: Costs,
    durations: list[Duration],
    bytes_out: int,
) -> dict[str, Any]:
    """As it is printed; ``wanted``: instances of the job."""
    return {
        "items": len(items),
        "mini_batches": len(planned),
        "input_bytes": sum(size for _, size in planned),
        "output_bytes": bytes_out,
        "interval": 0.8,
        "instance_count": wanted,
        "durations": [
            {
                "instances": one.instances,
                "workers": one.workers,
                "low_s": round(one.low_s, 2),
                "expected_s": round(one.expected_s, 2),
                "high_s": round(one.high_s, 2),
                "memory_bytes": sampled.peak_bytes * one.workers,
            }
            for one in durations
        ],
        "worker_peak_bytes": sampled.peak_bytes,
        "start_s": round(sampled.first_result_s or 0.0, 3),
        "seconds_per_call": costs.per_call,
        "seconds_per_item": costs.per_item,
        "seconds_per_byte": costs.per_byte,
        "sample": {"calls": len(sampled.executions), "seconds": round(sampled.wall_s, 2)},
    }


def _timed(sampled: Sampled, chosen: list[Chosen]) -> list[Timed]:
    """The calls that went well, in the order in which they ended."""
    found = []
    for one in sampled.executions:
        of = chosen[one.first_item : one.first_item + one.items]
        if one.succeeded and of:
            found.append(Timed(len(of), sum(item.size for item in of), one.seconds))
    return found


def _without_first(calls: list[Timed], workers: int) -> tuple[Costs, float]:
    """The costs, and what the first call of a worker takes more than they say: caches fill, libraries load."""
    if len(calls) < 3 * workers:
        return fit(calls), 0.0
    costs = fit(calls[workers:])
    more = [one.seconds - costs.of(one.items, one.size) for one in calls[:workers]]
    return costs, max(0.0, sum(more) / len(more))


def _start(sampled: Sampled, before_s: float, workers: int, first_call_s: float) -> Start:
    first = next((one.seconds for one in sampled.executions), 0.0)
    ready_s = max(0.0, (sampled.first_result_s or 0.0) - first)
    cpu_s = max(0.0, sampled.cpu_s - sampled.scoring_cpu_s) / workers
    return Start(before_s, ready_s, min(cpu_s, ready_s), workers, first_call_s)


def _whole(items: list[Item]) -> list[Chosen]:
    return [Chosen(item, item.name, item.size) for item in items]


def _size_of(name: bytes, whole: int, parts: int) -> int:
    """Of a part; of Parquet an equal share."""
    size = part_bytes(name, whole)
    return size if size != whole or parts < 2 else whole // parts


def _load() -> float:
    """What others than this preflight keep busy, for each processor; 0 where nobody tells."""
    try:
        return max(0.0, os.getloadavg()[0] - 1.0) / machine.cores()
    except OSError:
        return 0.0


def _age_of_process() -> float:
    """Seconds since this process was started: what the import of our own code takes on this machine, now."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        return max(0.0, uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return 0.5
