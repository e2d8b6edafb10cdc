"""One bad file among 20,000, beside multiprocessing.Pool: `python -m benchmarks.faults`.

Mini-batches of 100, two workers, three tries of 3 seconds each; whoever has not ended after 30 seconds hangs.
"""

import os
import signal
import subprocess
import sys
import time

from benchmarks import inputs
from benchmarks.engine import CACHE, Workload, command, environment, fresh

FAULTS = ("kills its worker", "raises once", "always raises", "hangs once")
LIMIT_S = 30
FILES = 20_000


def main() -> int:
    folder = inputs.tiny_files(CACHE, FILES)
    inputs.read_all(folder)
    workload = Workload("faulty", FILES, 100, folder)
    print(f"{'the bad file':20}{'batchpoint':>40}{'multiprocessing.Pool':>40}")
    for fault in FAULTS:
        print(f"{fault:20}{outcome('ours', workload, fault):>40}{outcome('pool', workload, fault):>40}", flush=True)
    return 0


def outcome(runner: str, workload: Workload, fault: str) -> str:
    """How a run ended: rows and seconds, or that it failed or hung."""
    out = fresh(runner)
    done = out.with_suffix(".struck")
    done.unlink(missing_ok=True)
    words = command(runner, workload, out) + (["--timeout", "3"] if runner == "ours" else [])
    start = time.monotonic()
    process = subprocess.Popen(
        words,
        env=environment() | {"FAULT": fault, "FAULT_DONE": str(done)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "hangs"
    if status:
        return "fails"
    rows = (out / "predictions.csv").read_bytes().count(b"\n")
    return f"{rows:,} of {FILES:,} rows, {time.monotonic() - start:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
