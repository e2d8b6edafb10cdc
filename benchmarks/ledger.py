"""How many mini-batches a second the ledger takes: ``python -m benchmarks.ledger``.

Rows go the way of a running job's: appended to a segment, synced, then committed to SQLite with synchronous=FULL, in
groups of a fixed size and in those that the driver makes, one every fifth of a second. Exit status 1 below the goal.
"""

import argparse
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import zlib
from pathlib import Path

from batchpoint.engine.ledger import GroupCommit
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, Progress
from batchpoint.storage.atomic import fsync_file
from batchpoint.store.records import LedgerRow, Part
from batchpoint.store.store import Store, open_store

#: Mini-batches a second that the groups of the driver have to reach.
GOAL = 5_000
#: Rows of one mini-batch, as a script of the field returns them.
ROWS = b"0001.png 7\n" * 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--mini-batches", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the home is made; default: the temporary folder")
    flags = parser.parse_args()
    print(f"SQLite {sqlite3.sqlite_version}, synchronous=FULL; {flags.mini_batches:,} mini-batches, medians")
    print(f"{'rows in a commit':>20}  {'mini-batches/s':>14}  {'ms per commit':>13}")
    speeds = {}
    for group in (1, 50, 500, None):
        # One row at a time is slow: a part of them tells as much.
        count = flags.mini_batches if group != 1 else min(flags.mini_batches, 2_000)
        found = [measure(flags.folder, count, group) for _ in range(flags.rounds)]
        speed, pause = (statistics.median(one) for one in zip(*found, strict=True))
        speeds[group] = speed
        print(f"{'as the driver does' if group is None else group:>20}  {speed:>14,.0f}  {1000 * pause:>13.2f}")
    reached = speeds[None]
    print(f"goal: {GOAL:,} a second as the driver does; {'reached' if reached >= GOAL else 'MISSED'}")
    return int(reached < GOAL)


def measure(folder: Path | None, count: int, group: int | None) -> tuple[float, float]:
    """Mini-batches a second, and seconds of one commit."""
    home = Path(tempfile.mkdtemp(prefix="batchpoint-ledger-", dir=folder))
    try:
        with open_store(home) as store:
            commits = prepared(store, home, count)
            began = time.perf_counter()
            flushes = fill(commits, home, count, group)
            took = time.perf_counter() - began
            assert store.tally("job", 0).mini_batches == count
        return count / took, took / flushes
    finally:
        shutil.rmtree(home)


def prepared(store: Store, home: Path, count: int) -> GroupCommit:
    settings = JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/in"), output_folder="/out")
    store.create_job("s/g/w", Job(name="job", endpoint_name="e", deployment_name="d", settings=settings))
    claimed = store.claim("job", 0, "nonce", "host", os.getpid())
    assert claimed is not None
    store.start(claimed.fence, count, 10 * count)
    return GroupCommit(store, claimed.fence, home, fsync_file)


def fill(commits: GroupCommit, home: Path, count: int, group: int | None) -> int:
    """Commit so many mini-batches; answers in how many commits."""
    flushes, progress = 0, Progress()
    with (home / "segment").open("ab", buffering=0) as segment:
        for number in range(count):
            segment.write(ROWS)
            part = Part("segment", number * len(ROWS), len(ROWS), zlib.crc32(ROWS))
            commits.add(LedgerRow(number, 10 * number, 10, 10, 0, 10, 1, (part,)), time.monotonic())
            is_due = (number + 1) % group == 0 if group else (commits.due or 0) <= time.monotonic()
            if is_due or number + 1 == count:
                commits.flush(progress, time.monotonic)
                flushes += 1
    return flushes


if __name__ == "__main__":
    sys.exit(main())
