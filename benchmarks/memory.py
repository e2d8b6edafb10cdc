"""A million files through the driver of a stored job: `python -m benchmarks.memory`.

Prints where the time goes, the most memory that the driver ever had resident, and the bytes of the store for each
mini-batch. Options: --files N (1,000,000), --sizes N ... (10 1), files per mini-batch; --kill: strike the driver while
it lists and let another one go on; --score: `batchpoint score` instead, whose ledger is in memory.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import inputs
from benchmarks.engine import CACHE, SCRIPTS, WORKERS, Workload, command, environment, fresh
from benchmarks.measure import high_water_mb
from benchmarks.table import Bar, print_bars

HOME = CACHE / "memory-home"
WORKSPACE = "sub/group/space"
MEMORY_MB, LISTING_PER_S, STORE_BYTES = 300, 20_000, 250
#: Seconds between two looks at the driver.
LOOK_S = 0.02


@dataclass
class Run:
    """What the drivers of one job took."""

    peak_mb: float = 0.0
    wall_s: float = 0.0
    #: Processor time of the drivers alone.
    cpu_s: float = 0.0
    #: Seconds since the start at which something was first seen.
    planned_s: float = 0.0
    scored_s: float = 0.0
    lines: int = 0


def main() -> int:
    options = parse()
    folder = inputs.many_files(CACHE, options.files)
    bars = []
    for size in options.sizes:
        bars += score(folder, options.files, size) if options.score else drive(folder, options.files, size, options)
    print_bars(bars)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1])
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--score", action="store_true")
    return parser.parse_args()


def drive(folder: Path, files: int, size: int, options: argparse.Namespace) -> list[Bar]:
    """One stored job; its drivers are started here, as a supervisor would."""
    shutil.rmtree(HOME, ignore_errors=True)
    out = fresh("memory")
    store_job(folder, out, size)
    run, before = Run(), time.monotonic()
    job = HOME / "jobs" / "job"
    if options.kill:
        follow(run, job, before, kill_in_listing=True)
    empty = (HOME / "batchpoint.db").stat().st_size
    follow(run, job, before)
    run.wall_s = time.monotonic() - before
    bytes_each = ((HOME / "batchpoint.db").stat().st_size - empty) / (files / size)
    with (out / "predictions.csv").open("rb") as scored:
        run.lines = sum(1 for _ in scored)
    if run.lines != files:
        raise SystemExit(f"{run.lines:,} of {files:,} rows\n{(job / 'driver.log').read_text()[-4000:]}")
    name = f"{files:,} files by {size}"
    when = f"plan after {run.planned_s:.1f} s, frozen after {run.scored_s:.1f} s"
    print(f"{name}: {run.wall_s:.1f} s, {run.cpu_s:.1f} s of processor in the driver, {when}", flush=True)
    return [
        Bar(f"memory of the driver, {name}", MEMORY_MB, run.peak_mb, "MB"),
        Bar(f"seconds until the plan stands, {name}", files / LISTING_PER_S, run.planned_s, "s"),
        Bar(f"bytes of the store per mini-batch, {name}", STORE_BYTES, bytes_each, "B"),
    ]


def score(folder: Path, files: int, size: int) -> list[Bar]:
    """The same without a store."""
    began = time.monotonic()
    out = fresh("memory")
    words = command("ours", Workload("tiny", files, size, folder), out)
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, high_water_mb(process.pid))
        time.sleep(LOOK_S)
    if process.returncode:
        raise SystemExit(f"exit {process.returncode} of {' '.join(words)}")
    print(f"score, {files:,} files by {size}: {time.monotonic() - began:.1f} s", flush=True)
    return [Bar(f"memory of score, {files:,} files by {size}", MEMORY_MB, peak, "MB")]


def store_job(folder: Path, out: Path, size: int) -> None:
    from batchpoint.entities.data import Input
    from batchpoint.entities.job import Job, JobSettings
    from batchpoint.store.store import open_store

    settings = JobSettings(
        code_path=str(SCRIPTS),
        scoring_script="tiny.py",
        input=Input(type="uri_folder", path=str(folder)),
        output_folder=str(out),
        mini_batch_size=size,
        max_concurrency_per_instance=WORKERS,
    )
    with open_store(HOME) as store:
        store.create_job(WORKSPACE, Job(name="job", endpoint_name="e", deployment_name="d", settings=settings))


def follow(run: Run, job: Path, began: float, *, kill_in_listing: bool = False) -> None:
    """One driver to its end, or struck while it lists."""
    job.mkdir(parents=True, exist_ok=True)
    variables = environment() | {"BATCHPOINT_HOME": str(HOME)}
    with (job / "driver.log").open("ab") as log:
        words = [sys.executable, "-m", "batchpoint.engine", "job"]
        process = subprocess.Popen(words, env=variables, stdout=log, stderr=log)
    cpu_s = 0.0
    while process.poll() is None:
        run.peak_mb = max(run.peak_mb, high_water_mb(process.pid))
        cpu_s = processor_s(process.pid) or cpu_s
        now = time.monotonic() - began
        if not run.planned_s and (job / "plan.json").exists():
            run.planned_s = now
        if not run.scored_s and (job / "published.json").exists():
            run.scored_s = now
        if kill_in_listing and (job / "seg").exists() and now > 1.0:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(LOOK_S)
    run.cpu_s += cpu_s
    if kill_in_listing and (job / "plan.json").exists():
        raise SystemExit("the driver had listed everything before it could be struck; give more --files")


def processor_s(pid: int) -> float:
    """User and system time of a process without its children; 0 for one that is gone. Linux only."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
