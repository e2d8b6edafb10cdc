"""How soon work goes on after a kill on the same machine: within five seconds, of a worker and of a driver.

The time is from the signal to the next call of run(), which a supervisor, a new driver and a new worker stand between.
"""

import os
import signal
import time
from pathlib import Path

from batchpoint.client import Client
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.store import Store
from tests.faults.test_zombies import invoke
from tests.process.conftest import client, settings, store
from tests.process.engine_jobs import workers_of
from tests.process.homes import ended, eventually
from tests.process.test_supervisor import driver_of

__all__ = ["client", "settings", "store"]

KILLS, RESUMES_S = 5, 5.0
BUSY = """
import os, time
def init(): pass
def run(paths):
    if not os.path.exists(FINISH):
        with open(CALLS, "a") as called: called.write("%d\\n" % os.getpid())
        time.sleep(0.05)
    return [os.path.basename(path) + ": ok" for path in paths]
"""


def pids(calls: Path) -> set[int]:
    return {int(line) for line in calls.read_text().split("\n")[:-1]} if calls.exists() else set()


def test_work_goes_on_soon_after_a_kill(client: Client, store: Store, settings: Settings, tmp_path: Path) -> None:
    calls, finish = tmp_path / "calls", tmp_path / "finish"
    script = BUSY.replace("CALLS", repr(str(calls))).replace("FINISH", repr(str(finish)))
    job = invoke(client, tmp_path, script, files=3000)
    folder = job_folder(settings.home, job)
    eventually(lambda: pids(calls), "run()")
    took: dict[str, list[float]] = {"worker": [], "driver": []}
    for number in range(2 * KILLS):
        who = "worker" if number % 2 else "driver"
        done = client.jobs.get(job).progress.mini_batches_done
        eventually(lambda done=done: client.jobs.get(job).progress.mini_batches_done > done, "a commit")
        before = pids(calls)
        victim = driver_of(store, job) if who == "driver" else min(workers_of(folder))
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        eventually(lambda before=before: pids(calls) - before, f"work after the kill of a {who}")
        took[who].append(time.monotonic() - began)
    finish.touch()
    assert ended(client, job).error is None
    print({who: f"{sorted(times)[KILLS // 2]:.2f} s, at most {max(times):.2f} s" for who, times in took.items()})
    assert max(max(times) for times in took.values()) <= RESUMES_S
