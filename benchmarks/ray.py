"""`make bench-ray`: one job on this machine and on a Ray cluster of one node on the same cores, in turns.

The cluster is started once, before anything is timed. Both jobs run the same script over the same images with two
workers, and their outputs must be equal. A job of one image tells what it takes to begin; the bar is on what is beyond
that. Options: --rounds N (5), --items N (40000), --json FILE (everything measured).
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from batchpoint.engine.run import JobRun
from batchpoint.entities.compute import Place
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, JobStatus
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.memory import MemoryLedger
from benchmarks import inputs
from benchmarks.engine import CACHE, SCRIPTS, fresh
from tests.process.ray_cluster import ray_cluster

WORKERS = 2


def main() -> int:
    options = parse()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "BATCHPOINT_HOME": str(CACHE / "home")}
    inputs.model(CACHE)
    folders = {count: inputs.images(CACHE, count) for count in (1, options.items)}
    inputs.read_all(folders[options.items])
    with ray_cluster(cpus=WORKERS) as cluster:
        places = {"local": Place(), "ray": cluster.place(cpus=WORKERS)}
        seconds: dict[str, dict[int, list[float]]] = {name: {count: [] for count in folders} for name in places}
        for number in range(-1, options.rounds):  # the first brings what nodes keep
            for count, folder in folders.items():
                outputs: set[bytes] = set()
                for name in list(places)[:: 1 if number % 2 else -1]:
                    took, output = run(name, places[name], folder)
                    outputs.add(output)
                    if number >= 0:
                        seconds[name][count].append(took)
                if len(outputs) > 1:
                    raise SystemExit("the outputs differ")
    report(seconds, options.items)
    if options.json:
        Path(options.json).write_text(json.dumps(seconds, indent=1), encoding="utf-8")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-ray", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=40000)
    parser.add_argument("--json", default="")
    return parser.parse_args()


def run(name: str, place: Place, folder: Path) -> tuple[float, bytes]:
    """Seconds from claim to output, and the output."""
    out = fresh(name)
    job = Job(
        name=f"bench-{name}",
        endpoint_name="",
        deployment_name="",
        settings=JobSettings(
            code_path=str(SCRIPTS),
            scoring_script="images.py",
            model_path=str(CACHE / "model"),
            input=Input(type="uri_folder", path=str(folder)),
            output_folder=str(out / "output"),
            mini_batch_size=10,
            max_concurrency_per_instance=WORKERS,
            place=place,
            environment_variables={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        ),
    )
    job_folder = JobFolder(out / "job")
    job_folder.path.mkdir(parents=True)
    ledger = MemoryLedger([job])
    settings = replace(Settings(), home=CACHE / "home")
    began = time.monotonic()
    JobRun(job.name, ledger, job_folder, settings).execute()
    took = time.monotonic() - began
    ended = ledger.job(job.name)
    if ended.status is not JobStatus.COMPLETED:
        raise SystemExit(f"{name}: {ended.error}")
    return took, (out / "output" / "predictions.csv").read_bytes()


def report(seconds: dict[str, dict[int, list[float]]], items: int) -> None:
    beyond = {}
    for name, by_count in seconds.items():
        start, whole = statistics.median(by_count[1]), statistics.median(by_count[items])
        beyond[name] = whole - start
        spread = f"{min(by_count[items]):.2f} to {max(by_count[items]):.2f}"
        print(f"{name:>6}  one image {start:5.2f} s   {items:,} images {whole:6.2f} s ({spread})")
        print(f"        beyond the start {whole - start:.2f} s")
    ratio = beyond["ray"] / beyond["local"]
    print(f"   ray / local = {ratio:.2f}; the bar is 1.3", "" if ratio <= 1.3 else "MISSED", file=sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
