"""What is promised under faults, in numbers: `python -m benchmarks.promises`.

One bad file in a mini-batch of 100: executions and seconds more, items lost, with and without halving. 3 % bad files of
10,000, mended and redriven: seconds beside the first run, and whether the output is that of a clean run. A driver that
is killed: seconds until its successor has committed more, and mini-batches that were scored twice. Options: --files N
(10,000), --kills N (5).
"""

import argparse
import csv
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import inputs
from benchmarks.engine import CACHE, SCRIPTS, WORKERS, environment, fresh
from benchmarks.table import Bar, print_bars

HOME = CACHE / "promises-home"
RESUMES_S = 5.0
MINI_BATCH, BAD_SHARE, PATIENCE_S = 100, 0.03, 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    folder = inputs.tiny_files(CACHE, options.files)
    print_bars([*isolation(folder, options.files), *redrive(folder, options.files), *recovery(folder, options.kills)])
    return 0


# ---- one bad file, and three in a hundred -------------------------------------------------------------------------


def isolation(folder: Path, files: int) -> list[Bar]:
    seconds, executions, lost = {}, {}, {}
    for name, bad, flags in (("clean", 0, []), ("halved", 1, []), ("whole", 1, ["--no-isolate-failures"])):
        out = fresh("promises")
        seconds[name] = score(folder, out, bad_files(files, bad), flags)
        executions[name] = len(tries(next(out.glob("score-*"))))
        lost[name] = files - lines(out)
    more = executions["halved"] - executions["clean"]
    print(f"one bad file: {more} executions and {seconds['halved'] - seconds['clean']:.2f} s more, {lost} items lost")
    # Three tries, then two halves for each time that 100 can be halved, at most.
    return [
        Bar("executions more for one bad file of 100", 3 + 2 * 7, more, ""),
        Bar("items lost with one bad file", 1, lost["halved"], ""),
        Bar("items lost with one bad file, not halved", MINI_BATCH, lost["whole"], ""),
    ]


def redrive(folder: Path, files: int) -> list[Bar]:
    clean, out = fresh("promises-clean"), fresh("promises")
    score(folder, clean, frozenset(), [])
    bad = bad_files(files, int(files * BAD_SHARE))
    first = score(folder, out, bad, [])
    lost = files - lines(out)
    again = score(folder, out, frozenset(), ["--redrive"])
    same = (clean / "predictions.csv").read_bytes() == (out / "predictions.csv").read_bytes()
    print(f"{len(bad):,} bad files: first run {first:.2f} s, {lost:,} items lost; redrive {again:.2f} s, equal: {same}")
    return [
        Bar("items lost beyond the bad ones", 0, lost - len(bad), ""),
        Bar("outputs unlike a clean run's after a redrive", 0, not same, ""),
    ]


def bad_files(files: int, count: int) -> frozenset[str]:
    return frozenset(f"{number * files // count:06}.txt" for number in range(count))


def score(folder: Path, out: Path, bad: frozenset[str], flags: list[str]) -> float:
    """Seconds of `batchpoint score` with files that always raise."""
    out.mkdir(parents=True, exist_ok=True)
    named = CACHE / "bad-files.txt"
    named.write_text("\n".join(sorted(bad)), encoding="ascii")
    words = [sys.executable, "-m", "batchpoint", "score", "--code", str(SCRIPTS / "choosy.py"), "--input", str(folder)]
    words += ["--out", str(out), "--workers", str(WORKERS), "--mini-batch-size", str(MINI_BATCH), *flags]
    began = time.monotonic()
    done = subprocess.run(words, env=environment() | {"BAD_FILES": str(named)}, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode() or done.stdout.decode())
    return time.monotonic() - began


def lines(out: Path) -> int:
    return (out / "predictions.csv").read_bytes().count(b"\n")


def tries(job: Path) -> list[list[str]]:
    """The table of all executions."""
    table = job / "logs" / "sys" / "job_report" / "processed_mini-batches.csv"
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


# ---- a driver that is killed --------------------------------------------------------------------------------------


def recovery(folder: Path, kills: int) -> list[Bar]:
    """One stored job with a supervisor; its driver is struck again and again."""
    from batchpoint.store.store import open_store

    shutil.rmtree(HOME, ignore_errors=True)
    out = fresh("promises")
    variables = environment() | {"BATCHPOINT_HOME": str(HOME), "BATCHPOINT_SUPERVISOR_IDLE_S": "0.5"}
    with open_store(HOME) as store:
        store_job(store, folder, out)
        with (HOME / "supervisor.log").open("ab") as log:
            words = [sys.executable, "-P", "-m", "batchpoint.server.supervisor"]
            supervisor = subprocess.Popen(words, env=variables, stdout=log, stderr=log)
        pauses = [strike(store) for _ in range(kills)]
        await_that(lambda: (job := store.find_job("job")) is not None and job.status.is_terminal, "the end of the job")
        supervisor.wait(PATIENCE_S)
    print(f"driver killed {kills} times: {', '.join(f'{pause:.1f}' for pause in pauses)} s until more was committed")
    return [
        Bar("seconds from a killed driver to the next row, median", RESUMES_S, statistics.median(pauses), "s"),
        Bar("rows lost or doubled", 0, abs(lines(out) - sum(1 for _ in folder.glob("*.txt"))), ""),
    ]


def store_job(store, folder: Path, out: Path) -> None:
    from batchpoint.entities.data import Input
    from batchpoint.entities.job import Job, JobSettings

    settings = JobSettings(
        code_path=str(SCRIPTS),
        scoring_script="choosy.py",
        environment_variables={"SLEEP_S": "0.02"},
        input=Input(type="uri_folder", path=str(folder)),
        output_folder=str(out),
        mini_batch_size=10,
        max_concurrency_per_instance=WORKERS,
    )
    store.create_job("sub/group/space", Job(name="job", endpoint_name="e", deployment_name="d", settings=settings))


def strike(store) -> float:
    """Kill the driver once it has committed something; seconds until more than that is committed."""
    epoch = store.epoch_of("job")
    before = committed(store)
    await_that(lambda: committed(store) > before, "the first rows of a driver")
    beat = store.heartbeat("job")
    os.kill(beat.pid, signal.SIGKILL)
    began, known = time.monotonic(), committed(store)
    await_that(lambda: committed(store) > known, f"rows after driver {epoch}")
    return time.monotonic() - began


def committed(store) -> int:
    return store.tally("job", 0).mini_batches


def await_that(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"still waiting for {what}; see {HOME}/jobs/job/driver.log")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
