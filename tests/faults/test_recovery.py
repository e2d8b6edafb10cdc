"""G14: how soon the work of a killed driver goes on, with the supervisor that every home has, and how much is redone.

The seconds are printed, not asserted: they are the machine's as much as ours.
"""

import os
import select
import signal
import statistics
import time
from pathlib import Path

from batchpoint.client import Client
from batchpoint.entities.job import JobStatus
from batchpoint.store.store import Store
from tests.process.homes import deploy, ended, eventually

KILLS, FILES = 8, 100


def test_g14_the_work_of_a_killed_driver_goes_on_at_once(client: Client, store: Store, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    wanted = deploy(client, tmp_path / "files", "sleeps_in_run.py", files=FILES, SLEEP_S="0.3", CALLS=str(calls))
    job = client.endpoints.invoke("ep1", wanted).name
    eventually(lambda: store.tally(job, 0).items, "the first commit")
    seconds, uncommitted = [], 0
    for _ in range(KILLS):
        committed = kill_driver(store, job)
        killed = time.monotonic()
        uncommitted = called(calls) - committed
        await_more(store, job, committed)
        seconds.append(time.monotonic() - killed)
    found = ended(client, job)
    assert (found.status, found.progress.items_succeeded) == (JobStatus.COMPLETED, FILES)
    again = called(calls) - FILES
    print(f"from kill to next commit: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    print(f"{again} of {FILES} mini-batches executed again after {KILLS} kills")
    assert again <= uncommitted, "only what was not committed is executed again"


def kill_driver(store: Store, job: str) -> int:
    """Kill it right after a commit; answers how many items are committed when it is gone."""
    await_more(store, job, store.tally(job, 0).items)
    pid = store.heartbeat(job).pid
    watch = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([watch], [], [])
    os.close(watch)
    return store.tally(job, 0).items


def await_more(store: Store, job: str, items: int) -> None:
    eventually(lambda: store.tally(job, 0).items > items, "a commit")


def called(calls: Path) -> int:
    """How often run() was called, which gets one item each time."""
    return len(calls.read_text().splitlines())
