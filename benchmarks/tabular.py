"""`make bench-tabular`: tables through a model of MLflow, beside two floors and beside what else does that.

The floors are two forked processes with nothing around them: ``limit`` calls the bare estimator, ``limit_mlflow`` the
model as MLflow loads it. The peers are `mlflow models predict` (single CSV files only), Dask and Spark's
``spark_udf``. Everything runs in the environment of the peers, with two workers of one thread each, and must make the
same predictions; the floors and we the same bytes. Ratios are walls over the one of ``limit_mlflow`` in the same
round; the table has medians. Options: --rounds N (7), --peers N (1): in how many of them the peers run, too; --quick
(small inputs, one round), --json FILE (everything measured, added to what stands there).
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import inputs
from benchmarks.engine import CACHE, ROOT, WORKERS, environment, fresh
from benchmarks.measure import Cost, adopt_orphans, cost_of, peak_shared_mb
from benchmarks.table import Bar, print_bars, print_tables

TABLES = CACHE / "tables"
MODELS = TABLES / "model-0"
FLOORS = ("limit", "limit_mlflow")
PEERS = ("mlflow", "dask", "spark")
#: Bytes of the parts that large files are cut into.
SPLIT = "16mb"

Costs = dict[str, dict[str, list[Cost]]]


@dataclass(frozen=True)
class Workload:
    """One input."""

    #: ``csv``, ``parquet`` (one file each), or ``files``.
    kind: str
    #: Rows, or files of 5,000 rows.
    count: int

    @property
    def name(self) -> str:
        what = {"csv": "one CSV, {:,} rows", "parquet": "one Parquet, {:,} rows", "files": "{:,} CSV of 5,000 rows"}
        return what[self.kind].format(self.count)

    @property
    def folder(self) -> Path:
        return TABLES / f"{self.kind}-{self.count}"

    def takes(self, runner: str) -> bool:
        """`mlflow models predict` reads one CSV or JSON file."""
        return runner != "mlflow" or self.kind == "csv"


def main() -> int:
    options = parse()
    adopt_orphans()
    sizes = (20_000, 50_000) if options.quick else (1_000_000, 4_000_000)
    workloads = [Workload("csv", 10), Workload("files", 10 if options.quick else 200)]
    workloads += [Workload(kind, rows) for kind in ("csv", "parquet") for rows in sizes]
    python = peers_python()
    prepare(workloads, python)
    costs = measure(workloads, python, 1 if options.quick else options.rounds, options.peers)
    memory = {w.name: {r: peak_of(r, w, python) for r in costs[w.name]} for w in workloads if not options.no_memory}
    print_tables(costs, memory)
    print_bars(list(bars(costs, memory, workloads)))
    if options.json:
        keep(Path(options.json), costs, memory)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-tabular", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", default="")
    return parser.parse_args()


def peers_python() -> str:
    """The interpreter of the environment that `make bench-tabular` installs from the lock file."""
    lock = (ROOT / "benchmarks" / "peers.txt").read_bytes()
    for stamp in ROOT.glob(".cache/peers-*/.ready"):
        if stamp.read_bytes() == lock:
            return str(stamp.parent / "bin" / "python")
    raise SystemExit("The environment of the peers is missing: run `make bench-tabular`.")


def prepare(workloads: list[Workload], python: str) -> None:
    """The model and the tables, made once and read once."""
    for folder in (MODELS, *(w.folder for w in workloads)):
        inputs.once(folder, lambda made: _make(made, python))
    for workload in workloads:
        for file in workload.folder.iterdir():
            with file.open("rb") as content:
                while content.read(1 << 24):
                    pass


def _make(folder: Path, python: str) -> None:
    words = [python, "-m", "benchmarks.runners.tables", str(folder), *folder.name.split("-")]
    subprocess.run(words, env=environment(), check=True)


def measure(workloads: list[Workload], python: str, rounds: int, peers: int) -> Costs:
    """Every runner on every workload in every round, who begins changing from round to round."""
    costs: Costs = {w.name: {} for w in workloads}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} ...", file=sys.stderr, flush=True)
        runners = [*FLOORS, "ours", *(PEERS if number < peers else ())]
        order = runners[number % 3 : 3] + runners[: number % 3] + runners[3:]
        for workload in workloads:
            scored = {r: _run(r, workload, python, number) for r in order if workload.takes(r)}
            for runner, (cost, _) in scored.items():
                costs[workload.name].setdefault(runner, []).append(cost)
            if len({scored[r][0].digest for r in runners[:3]}) > 1 or len({said for _, said in scored.values()}) > 1:
                raise SystemExit(f"{workload.name}: the outputs differ: {scored}")
    return costs


def _run(runner: str, workload: Workload, python: str, number: int) -> tuple[Cost, str]:
    """What it took, and, in the first round, the digest of the predictions."""
    out = fresh(runner)
    (out if runner == "mlflow" else out.parent).mkdir(parents=True, exist_ok=True)
    output = out / ("predictions.json" if runner == "mlflow" else "predictions.csv")
    cost = cost_of(command(runner, workload, out, python), variables(python), output)
    if number:
        return cost, ""
    words = [python, "-m", "benchmarks.runners.values", str(out)]
    return cost, subprocess.run(words, env=variables(python), check=True, capture_output=True, text=True).stdout


def command(runner: str, workload: Workload, out: Path, python: str) -> list[str]:
    words = [str(MODELS), str(workload.folder), str(out), str(WORKERS)]
    if runner in FLOORS:
        return [python, "-m", "benchmarks.runners.limit", "bare" if runner == "limit" else "mlflow", *words]
    if runner == "dask":
        return [python, "-m", "benchmarks.runners.dask_frame", *words]
    if runner == "spark":
        return [python, "-m", "benchmarks.runners.spark_frame", *words]
    if runner == "mlflow":
        predict = ["models", "predict", "--env-manager", "local", "-m", str(MODELS / "model"), "-t", "csv"]
        table = ["-i", str(workload.folder / "table.csv"), "-o", str(out / "predictions.json")]
        return [str(Path(python).with_name("mlflow")), *predict, *table]
    score = [str(Path(sys.executable).with_name("batchpoint")), "score", "--model", str(MODELS / "model")]
    score += ["--input", str(workload.folder), "--out", str(out), "--workers", str(WORKERS), "--python", python]
    if workload.kind == "files":
        return [*score, "--mini-batch-size", "10"]
    return [*score, "--mini-batch-size", "1", "--split-bytes", SPLIT, "--timeout", "300"]


def variables(python: str) -> dict[str, str]:
    """One thread for each process; programs of the environment find each other."""
    path = f"{Path(python).parent}:{environment()['PATH']}"
    return environment() | {"POLARS_MAX_THREADS": "1", "PATH": path}


def peak_of(runner: str, workload: Workload, python: str) -> float:
    """Memory in MB, in a run of its own: looking at it takes time."""
    out = fresh(runner)
    (out if runner == "mlflow" else out.parent).mkdir(parents=True, exist_ok=True)
    return peak_shared_mb(command(runner, workload, out, python), variables(python))


def bars(costs: Costs, memory: dict[str, dict[str, float]], workloads: list[Workload]) -> Iterator[Bar]:
    for workload in workloads:
        by = costs[workload.name]
        at_most = 1.15 if workload.count == 10 and workload.kind == "csv" else 1.10
        yield Bar(f"{workload.name}, over limit_mlflow", at_most, over(by["ours"], by["limit_mlflow"]), "x")
        for peer in PEERS:
            if peer in by:
                yield Bar(f"{workload.name}, over {peer}", 1.0, over(by["ours"], by[peer]), "x")
    for kind in ("csv", "parquet") if memory else ():
        small, large = (memory[w.name]["ours"] for w in workloads if w.kind == kind and w.count > 10)
        yield Bar(f"memory at four times the rows, one {kind}", 1.10, large / small, "x")


def over(ours: list[Cost], theirs: list[Cost]) -> float:
    """Median of the ratios of walls in the same round."""
    return statistics.median(mine.wall_s / other.wall_s for mine, other in zip(ours, theirs))


def keep(file: Path, costs: Costs, memory: dict[str, dict[str, float]]) -> None:
    before = json.loads(file.read_bytes()) if file.exists() else {}
    walls = {name: {r: [asdict(c) for c in runs] for r, runs in by.items()} for name, by in costs.items()}
    file.write_text(json.dumps(before | walls | {"memory of tables": memory}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
