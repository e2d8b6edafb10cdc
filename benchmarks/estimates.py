"""How good estimates are: ten workloads, for each what ``invoke --estimate`` says beside what the job then takes.

``make bench-estimate``. The true time is that from the invocation to the end of the job. An estimate states an interval
in which it lies 8 times of 10; in at least 8 of these it has to. ``--only NAME`` runs one.
"""

import argparse
import hashlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.client import Client
from batchpoint.entities.assets import Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Input, Invocation
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.local import connect
from batchpoint.settings import Settings

#: Of ten.
WANTED = 8

HASHES = """
import hashlib, os
def init(): pass
def run(batch):
    found = []
    for path in batch:
        data = open(path, "rb").read()
        for _ in range({times}):
            digest = hashlib.sha256(data).hexdigest()
        found.append(digest)
    return found
"""
SLEEPS = """
import time
def init(): {init}
def run(batch):
    time.sleep({call} + {item} * len(batch))
    return [path for path in batch]
"""
DRAWS = """
import hashlib, math, os, time
def init(): pass
def run(batch):
    for path in batch:
        digest = hashlib.sha256(os.path.basename(path).encode()).digest()
        time.sleep(-0.04 * math.log((int.from_bytes(digest[:4], "big") + 1) / 2**32))
    return [path for path in batch]
"""
TABLES = """
import csv
def init(): pass
def run(batch):
    found = []
    for path in batch:
        with open(path, newline="") as file:
            found.append(sum(float(row["a"]) * float(row["b"]) for row in csv.DictReader(file)))
    return found
"""
STARTS = """
import hashlib, time
def init():
    time.sleep(2)
    until = time.process_time() + 1
    while time.process_time() < until: hashlib.sha256(b"x" * 100000)
def run(batch):
    for path in batch: hashlib.sha256(open(path, "rb").read() * 4000).hexdigest()
    return [path for path in batch]
"""


@dataclass(frozen=True)
class Workload:
    """One kind of job."""

    name: str
    script: str
    write: Callable[[Path], None]
    settings: dict[str, object] = field(default_factory=dict)
    instances: int = 1


@dataclass(frozen=True)
class Outcome:
    """What was said, and what came."""

    low_s: float
    expected_s: float
    high_s: float
    true_s: float
    asked_s: float

    @property
    def holds(self) -> bool:
        return self.low_s <= self.true_s <= self.high_s


def files(count: int, size: Callable[[int], int]) -> Callable[[Path], None]:
    """Files of bytes without a pattern."""

    def write(folder: Path) -> None:
        block = random.Random(1).randbytes(4 << 20)
        for number in range(count):
            (folder / f"{number:05}.bin").write_bytes(block[: size(number)])

    return write


def tables(count: int, rows: int) -> Callable[[Path], None]:
    """CSV files of three columns."""

    def write(folder: Path) -> None:
        text = "a,b,c\n" + "".join(f"{number % 97}.5,{number % 89},word{number % 7}\n" for number in range(rows))
        for number in range(count):
            (folder / f"{number:05}.csv").write_text(text)

    return write


def skewed(number: int) -> int:
    """Most files are small, a few a thousand times as large."""
    digest = hashlib.sha256(str(number).encode()).digest()[0] / 256
    return int(2_000 * 1_000**digest)


WORKLOADS = (
    Workload("tiny files", HASHES.format(times=1), files(6000, lambda _: 20), {"mini_batch_size": 10}),
    Workload("images", HASHES.format(times=60), files(500, lambda n: 40_000 + 311 * n), {"mini_batch_size": 4}),
    Workload("skewed sizes", HASHES.format(times=60), files(300, skewed), {"mini_batch_size": 2}),
    Workload(
        "waits, 2 x 2 workers",
        SLEEPS.format(init="pass", call=0, item=0.04),
        files(800, lambda _: 10),
        {"mini_batch_size": 5, "max_concurrency_per_instance": 2},
        instances=2,
    ),
    Workload("csv tables", TABLES, tables(160, 8000), {"mini_batch_size": 4, "max_concurrency_per_instance": 2}),
    Workload(
        "one csv, split", TABLES, tables(1, 1_500_000), {"split": {"rows": 20_000}, "max_concurrency_per_instance": 2}
    ),
    Workload(
        "one csv, whole", TABLES, tables(1, 1_000_000), {"mini_batch_size": 1, "retry_settings": {"timeout": 300}}
    ),
    Workload(
        "slow init", STARTS, files(300, lambda _: 1000), {"mini_batch_size": 5, "max_concurrency_per_instance": 2}
    ),
    Workload("times by chance", DRAWS, files(300, lambda _: 10), {"mini_batch_size": 2}),
    Workload(
        "dear calls",
        SLEEPS.format(init="pass", call=0.3, item=0.002),
        files(1500, lambda _: 10),
        {"mini_batch_size": 50},
    ),
)


def measured(client: Client, workload: Workload, folder: Path) -> Outcome:
    """Estimate, then run."""
    data, code = folder / "in", folder / "code"
    data.mkdir(parents=True)
    code.mkdir()
    (code / "s.py").write_text(workload.script)
    (folder / "model").write_text("")
    workload.write(data)
    values = {
        "name": "bench",
        "endpoint_name": "estimates",
        "model": Model(path=str(folder / "model")),
        "code_configuration": {"code": str(code), "scoring_script": "s.py"},
        "compute": "azureml:cpu",
        "resources": {"instance_count": workload.instances},
        **workload.settings,
    }
    client.deployments.create_or_update(Deployment.model_validate(values), set_default=True)
    invocation = Invocation(input=Input(path=str(data)))
    began = time.monotonic()
    lines = list(client.preflights.invocation("estimates", invocation, estimate=True))
    asked_s = time.monotonic() - began
    said = next((line for line in lines if line["line"] == "estimate"), None)
    if said is None:
        sys.exit(f"{workload.name}: there was no estimate: {[line for line in lines if line['line'] == 'finding']}")
    duration = said["durations"][workload.instances - 1]
    job = client.endpoints.invoke("estimates", invocation)
    while not job.status.is_terminal:
        time.sleep(0.2)
        job = client.jobs.get(job.name)
    assert job.status == "Completed", job.error
    assert job.ended_at and job.creation_context
    true_s = (job.ended_at - job.creation_context.created_at).total_seconds()
    return Outcome(duration["low_s"], duration["expected_s"], duration["high_s"], true_s, asked_s)


def main() -> int:
    """Print a line for each workload; exit status 1 when too many estimates do not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="name of the one workload to run")
    only = parser.parse_args().only
    chosen = [one for one in WORKLOADS if only in ("", one.name)]
    folder = Path(tempfile.mkdtemp(prefix="batchpoint-bench-"))
    held = 0
    print(f"{'workload':<22} {'80 % interval':>20} {'expected':>9} {'true':>9} {'asked':>8}")
    try:
        with connect(Settings(home=folder / "home", supervisor_idle_s=60)) as client:
            client.endpoints.create_or_update(Endpoint(name="estimates"))
            client.computes.create_or_update(Compute(name="cpu", max_instances=2))
            for number, workload in enumerate(chosen):
                one = measured(client, workload, folder / str(number))
                held += one.holds
                span = f"{one.low_s:.1f} to {one.high_s:.1f} s"
                seconds = f"{one.expected_s:>7.1f} s {one.true_s:>7.1f} s {one.asked_s:>6.1f} s"
                print(f"{workload.name:<22} {span:>20} {seconds}  {'holds' if one.holds else 'MISSED'}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{held} of {len(chosen)} hold")
    return int(held < WANTED * len(chosen) / len(WORKLOADS))


if __name__ == "__main__":
    sys.exit(main())
