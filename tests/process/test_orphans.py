"""Processes that a script hides from everything by which its worker is known end with the job all the same.

They leave session, group and environment behind; the driver process is then their parent. A process that changes its
group with every fork, a thousand times a second, may escape: only a limit of the system stops that one.
"""

from pathlib import Path

import pytest

from batchpoint.compute.local import LocalPool
from batchpoint.entities.job import JobStatus
from batchpoint.store.records import Fence
from tests.process.engine_jobs import Engine, eventually, good, is_alive

HIDES = """
import os, sys, time

def init():
    hide()

def run(paths):
    for _ in range(20):
        if os.fork() == 0:
            os.fork() or os._exit(0)  # an orphan that ends at once: somebody has to wait for it
            os._exit(0)
        os.wait()
    return [os.path.basename(path) + ": ok" for path in paths]

def hide():
    if os.fork():
        return os.wait()
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve(sys.executable, [sys.executable, "-c", DAEMON, os.environ["PIDS"], os.environ["KIND"]], {})

DAEMON = '''
import os, sys, time
def tell():
    with open(sys.argv[1], "a") as told: told.write("%d\\\\n" % os.getpid())
tell()
while True:
    if sys.argv[2] == "forks":
        time.sleep(0.002)
        if os.fork(): os._exit(0)
        tell()
    else:
        time.sleep(3600)
'''
"""


def test_nobody_of_a_job_lives_any_more_when_its_output_is_gathered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    close, freeze = LocalPool.close, engine.store.freeze

    def closes(pool: LocalPool) -> None:
        order.append("ended")
        close(pool)

    def freezes(fence: Fence) -> None:
        order.append("gathered")
        freeze(fence)

    monkeypatch.setattr(LocalPool, "close", closes)
    monkeypatch.setattr(engine.store, "freeze", freezes)
    assert engine.run("good.py", engine.items(2)).status is JobStatus.COMPLETED
    assert order[:2] == ["ended", "gathered"]


@pytest.mark.parametrize("kind", ["sleeps", "forks"])
def test_a_daemon_without_any_mark_of_its_worker_ends_with_the_job(engine: Engine, tmp_path: Path, kind: str) -> None:
    pids = tmp_path / "pids"
    items = engine.items(6)
    engine.job(engine.script(HIDES), items, environment={"PIDS": str(pids), "KIND": kind})
    ended = engine.wait(engine.start_driver("job"))
    assert ended.status is JobStatus.COMPLETED
    assert ended.lines == good([f"{number:03}.txt" for number in range(6)])
    told = [int(line) for line in pids.read_text().split()]
    assert told
    eventually(lambda: not any(is_alive(pid) for pid in told), "a daemon outlives its job")
    assert pids.read_text().split() == [str(pid) for pid in told]
