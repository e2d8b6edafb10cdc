"""`make bench`: `batchpoint score` beside a bare loop in two forked processes and beside multiprocessing.Pool.

All three run the same script over the same files with two workers; their outputs must be equal. The runs are
interleaved, so that whatever else the machine does hits all alike; the table shows medians over the rounds. Options:
--rounds N (7), --quick (a smoke run of some seconds with small inputs), --json FILE (everything measured).
"""

import argparse
import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import inputs
from benchmarks.measure import Cost, cost_of, peak_memory_mb
from benchmarks.table import Bar, print_bars, print_slopes, print_walls

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
SCRIPTS = Path(__file__).parent / "scripts"
RUNNERS = ("floor", "ours", "pool")
WORKERS = 2


@dataclass(frozen=True)
class Workload:
    """One input scored with one mini-batch size."""

    kind: str
    items: int
    mini_batch_size: int
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.kind} {self.items:,} by {self.mini_batch_size}"


def main() -> int:
    options = parse()
    sizes = {"tiny": (2_000, 20_000), "images": (300, 1_500)} if options.quick else {
        "tiny": (20_000, 200_000), "images": (10_000, 40_000)}  # fmt: skip
    workloads = prepare(sizes)
    costs = measure(workloads, 1 if options.quick else options.rounds)
    largest = max((w for w in workloads if w.kind == "tiny"), key=lambda w: (w.items, w.mini_batch_size))
    memory = peak_memory_mb(command("ours", largest, fresh("memory")), environment())
    report(sizes, costs, memory, largest.items)
    if options.json:
        everything = {name: {r: [asdict(c) for c in runs] for r, runs in by.items()} for name, by in costs.items()}
        Path(options.json).write_text(json.dumps(everything, indent=1), encoding="utf-8")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", default="")
    return parser.parse_args()


def prepare(sizes: dict[str, tuple[int, int]]) -> list[Workload]:
    """The workloads, their files made and read once."""
    make = {"tiny": inputs.tiny_files, "images": inputs.images}
    inputs.model(CACHE)
    workloads = []
    for kind, counts in sizes.items():
        for items in (1, *counts):
            folder = make[kind](CACHE, items)
            inputs.read_all(folder)
            workloads += [Workload(kind, items, size, folder) for size in ((10,) if items == 1 else (10, 100))]
    return workloads


def measure(workloads: list[Workload], rounds: int) -> dict[str, dict[str, list[Cost]]]:
    """Every runner on every workload in every round, who begins changing from round to round."""
    costs: dict[str, dict[str, list[Cost]]] = {w.name: {r: [] for r in RUNNERS} for w in workloads}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} ...", file=sys.stderr, flush=True)
        order = RUNNERS[number % 3 :] + RUNNERS[: number % 3]
        for workload in workloads:
            for runner in order:
                out = fresh(runner)
                cost = cost_of(command(runner, workload, out), environment(), out / "predictions.csv")
                costs[workload.name][runner].append(cost)
            if len({costs[workload.name][r][-1].digest for r in RUNNERS}) > 1:
                raise SystemExit(f"{workload.name}: the outputs differ")
    return costs


def command(runner: str, workload: Workload, out: Path) -> list[str]:
    script = SCRIPTS / f"{workload.kind}.py"
    if runner != "ours":
        words = [runner, script, workload.folder, out, WORKERS, workload.mini_batch_size]
        return [sys.executable, "-m", "benchmarks.bare", *map(str, words)]
    score = [
        str(Path(sys.executable).parent / "batchpoint"),
        "score",
        "--code",
        str(script),
        "--input",
        str(workload.folder),
    ]
    score += ["--out", str(out), "--workers", str(WORKERS), "--mini-batch-size", str(workload.mini_batch_size)]
    return [*score, "--model", str(CACHE / "model"), "--python", sys.executable]


def environment() -> dict[str, str]:
    """One thread for each process, whoever starts it; the bare runners find the model as a script would."""
    ours = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "AZUREML_MODEL_DIR": str(CACHE)}
    return os.environ | ours | {"BATCHPOINT_HOME": str(CACHE / "home"), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}


def fresh(runner: str) -> Path:
    """An output folder that does not exist."""
    out = CACHE / "out" / runner
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def report(
    sizes: dict[str, tuple[int, int]], costs: dict[str, dict[str, list[Cost]]], memory: float, items: int
) -> None:
    wall = medians(costs, "wall_s")
    cpu = medians(costs, "cpu_s")
    print_walls(costs, wall, cpu)
    slopes = {
        f"{kind} by {size}": (f"{kind} {small:,} by {size}", f"{kind} {large:,} by {size}", large - small)
        for kind, (small, large) in sizes.items()
        for size in (10, 100)
    }
    ratios = print_slopes(slopes, wall, cpu)
    bars = [Bar(f"slope over the floor, {name}", 1.25 if name.startswith("images") else 1.5, ratios[name], "x")
            for name in slopes if name != "tiny by 10"]  # fmt: skip
    bars.append(Bar("one trivial item", 0.8, wall["tiny 1 by 10"]["ours"], "s"))
    bars.append(Bar(f"memory of the driver at {items:,} files", 150, memory, "MB"))
    print_bars(bars)


def medians(costs: dict[str, dict[str, list[Cost]]], what: str) -> dict[str, dict[str, float]]:
    return {
        n: {r: statistics.median(getattr(c, what) for c in runs) for r, runs in by.items()} for n, by in costs.items()
    }


if __name__ == "__main__":
    sys.exit(main())
