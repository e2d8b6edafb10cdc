"""A memory limit of the kernel: the worker that runs into it is told from one that somebody killed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.storage.job_folder import job_folder
from tests.process.engine_jobs import ROOT, Engine, eventually, good

LIMIT_BYTES = 400_000_000


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """A control group with a memory limit, of whichever version the machine has."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    parent, limit = (first, "memory.limit_in_bytes") if first.is_dir() else (second, "memory.max")
    group = parent / f"batchpoint-test-{os.getpid()}"
    group.mkdir()
    (group / limit).write_text(str(LIMIT_BYTES))
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text().strip(), "processes left in the group")
    group.rmdir()


def start_in(engine: Engine, group: Path) -> "subprocess.Popen[bytes]":
    """A driver of the job that lives in the control group, as all of its workers then do."""
    enter = f"echo $$ > {group / 'cgroup.procs'}; exec {sys.executable} -m batchpoint.engine job"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "BATCHPOINT_HOME": str(engine.home)}
    with job_folder(engine.home, "job").driver_log.open("ab") as log:
        driver = subprocess.Popen(["sh", "-c", enter], env=environment, stdout=log, stderr=log)
    engine.drivers.append(driver)
    return driver


def test_a_worker_that_runs_out_of_memory_costs_its_mini_batch_and_says_so(engine: Engine, limited_group: Path) -> None:
    engine.job("allocates_without_end.py", engine.items(8, bad=[3]), max_concurrency_per_instance=2)
    ended = engine.wait(start_in(engine, limited_group))
    assert ended.lines == good([f"{number:03}.txt" for number in (0, 1, 2, 4, 5, 6, 7)])
    assert ended.reason.code == "OutOfMemory" and "400 MB for it and all beside it" in ended.reason.message
    assert re.search(r"it had [123]\d\d MB at most", ended.reason.message)
    assert ended.reason.items == 1
