"""Workers under the heavier faults: killed at random, hanging where nothing wakes them, printing, leaking, too large.

T-B1: fifty kills of workers. T-B3: hangs in Python, in C with the interpreter's lock, in a frozen control group. T-B9:
a gigabyte of prints. T-B12: a leak from call to call. T-B19: rows and results beyond all limits, and very many rows.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from tests.faults.test_out_of_memory import limited_group, start_in
from tests.process.engine_jobs import Driver, Engine, eventually, good, is_alive, workers_of
from tests.process.kill_campaign import Campaign

__all__ = ["limited_group"]

DRIVER_MAX = 300_000_000


def test_fifty_kills_of_workers_cost_no_row_and_no_try(engine: Engine) -> None:
    campaign = Campaign(engine, seed=31, rest_s=0.15)
    campaign.fire(drivers=0, workers=50)
    ended = campaign.check()
    assert campaign.kills == {"worker": 50}
    assert ended.progress.items_failed == ended.progress.failed_attempts == 0
    assert campaign.executed_again()


# ---- hangs --------------------------------------------------------------------------------------------------------

HANGS = {
    "in Python": "while True: pass",
    "in a system call": "time.sleep(3600)",
    "in C, with the lock of the interpreter": "ctypes.PyDLL(None).sleep(3600)",
    "deaf to all signals that can be ignored": (
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 19)]; time.sleep(3600)"
    ),
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
}
HANGING = """
import ctypes, os, signal, time
def init(): pass
def run(paths):
    if "bad" in "".join(paths):
        HANG
    return [os.path.basename(path) + ": ok" for path in paths]
"""


@pytest.mark.parametrize("how", HANGS)
def test_whatever_hangs_is_killed_at_its_deadline(engine: Engine, how: str) -> None:
    script = engine.script(HANGING.replace("HANG", HANGS[how]))
    ended = engine.run(script, engine.items(6, bad=[3]), mini_batch_size=1, max_retries=1, timeout_s=1)
    assert ended.lines == good([f"{number:03}.txt" for number in (0, 1, 2, 4, 5)])
    assert ended.reason.code == "MiniBatchTimeout" and ended.reason.items == 1


@pytest.fixture
def freezer() -> Iterator[Path]:
    """A control group that freezes what enters it; version 1 or 2."""
    first, second = Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup")
    group = (first if first.is_dir() else second) / f"batchpoint-test-{os.getpid()}"
    group.mkdir()
    yield group
    thaw(group)
    eventually(lambda: not (group / "cgroup.procs").read_text().strip(), "processes left in the group")
    group.rmdir()


def thaw(group: Path) -> None:
    one = group / "freezer.state"
    one.write_text("THAWED") if one.exists() else (group / "cgroup.freeze").write_text("0")


def test_a_frozen_worker_which_no_kill_reaches_does_not_keep_its_job(engine: Engine, freezer: Path) -> None:
    """SIGKILL is delivered when the group thaws; until then its place is taken by another worker."""
    told, how = freezer / "cgroup.procs", freezer / "freezer.state"
    state = (str(how), "FROZEN") if how.exists() else (str(freezer / "cgroup.freeze"), "1")
    freeze = f"open({str(told)!r}, 'w').write(str(os.getpid())); open({state[0]!r}, 'w').write({state[1]!r})"
    script = engine.script(HANGING.replace("HANG", freeze))
    engine.job(script, engine.items(6, bad=[3]), mini_batch_size=1, max_retries=1, timeout_s=1)
    began = time.monotonic()
    ended = engine.wait(engine.start_driver("job"))
    assert time.monotonic() - began < 60
    assert ended.lines == good([f"{number:03}.txt" for number in (0, 1, 2, 4, 5)])
    assert ended.reason.code == "MiniBatchTimeout"
    (frozen,) = map(int, told.read_text().split())
    assert is_alive(frozen)
    thaw(freezer)
    eventually(lambda: not is_alive(frozen), "a killed worker thaws and lives on")
    assert workers_of(ended.folder) == []


# ---- prints and leaks ---------------------------------------------------------------------------------------------


def test_a_gigabyte_of_prints_is_cut_and_costs_nothing(engine: Engine) -> None:
    ended = engine.run("prints_a_gigabyte.py", engine.items(4, bad=[1]), timeout_s=300)
    assert len(ended.lines) == 4 and ended.progress.failed_attempts == 0
    (large,) = [path for path in ended.folder.logs.glob("user/stdout/0/*") if path.stat().st_size]
    assert large.stat().st_size < 1.1 * engine.settings.worker_log_limit_bytes
    assert b"bytes dropped here" in large.read_bytes()


LEAKS = """
import os
held = []
def init(): pass
def run(paths):
    held.append(b"x" * 50_000_000)
    return [os.path.basename(path) + ": ok" for path in paths]
"""


@pytest.mark.parametrize("calls", [None, 3])
def test_a_leak_is_named_and_a_worker_that_is_replaced_in_time_has_none(
    engine: Engine, limited_group: Path, calls: int | None
) -> None:
    source = engine.items(16)
    engine.job(
        engine.script(LEAKS), source, mini_batch_size=1, max_mini_batches_per_worker=calls, isolate_failures=False
    )
    ended = engine.wait(start_in(engine, limited_group))
    assert ended.lines == good([f"{number:03}.txt" for number in range(16)])
    if calls:
        assert ended.progress.failed_attempts == 0
    else:
        assert ended.progress.failed_attempts > 0
        assert "ran out of memory: it had 3" in ended.log("user/error.txt")


# ---- sizes --------------------------------------------------------------------------------------------------------

LARGE = """
import os
def init(): pass
def run(paths): return RESULT if "bad" in paths[0] else [os.path.basename(path) + ": ok" for path in paths]
"""


def peak(driver: Driver) -> int:
    """The most memory that the process had, in bytes; 0 when it is gone."""
    try:
        status = Path(f"/proc/{driver.pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def watch(engine: Engine, script: str, **settings: object) -> tuple[int, "object"]:
    engine.job(engine.script(script), engine.items(3, bad=[1]), mini_batch_size=1, max_retries=1, **settings)
    driver, most = engine.start_driver("job"), 0
    while driver.poll() is None:
        most = max(most, peak(driver))
        time.sleep(0.02)
    return most, engine.wait(driver)


def test_five_million_rows_of_one_call_do_not_pass_through_the_driver(engine: Engine) -> None:
    most, ended = watch(engine, LARGE.replace("RESULT", '["row %d" % n for n in range(5_000_000)]'), timeout_s=120)
    assert ended.status is JobStatus.COMPLETED and ended.progress.rows == 5_000_002
    with ended.output.open() as lines:
        assert sum(1 for _ in lines) == 5_000_002
    assert 0 < most < DRIVER_MAX


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ('["x" * 100_000_000]', "element 0 of what run() returned has 100000000 bytes, and a row may have 64 MB"),
        ('["x" * 1_000_000] * 2_000', "more than 1024 MB in all"),
    ],
)
def test_what_is_too_large_is_refused_by_its_size_and_leaves_nothing(engine: Engine, result: str, words: str) -> None:
    most, ended = watch(engine, LARGE.replace("RESULT", result), timeout_s=120)
    assert ended.lines == good(["000.txt", "002.txt"])
    assert ended.reason.code == "ResultTooLarge" and words in ended.reason.message
    assert sum(path.stat().st_size for path in ended.folder.segments.iterdir()) == sum(len(n) + 1 for n in ended.lines)
    assert 0 < most < DRIVER_MAX
