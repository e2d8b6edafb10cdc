"""Jobs that are canceled at any moment, and outputs that somebody else writes at any moment.

T-G1: at thirty random moments of a job's life (CANCELS in the environment asks for more) the request is answered at
once, the workers are dead within five seconds, the job is Canceled within ten and has published nothing; what came too
late is refused, and Completed. T-G5: a file of the output's name appears at each named point of a driver before it
publishes.
"""

import os
import random
import time
from dataclasses import dataclass

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.errors import ResourceConflict
from tests.process.engine_jobs import Engine, W, eventually, good, workers_of

CANCELS = int(os.environ.get("CANCELS", "30"))
WORKERS_DEAD_S, TERMINAL_S = 5.0, 10.0
#: Half a second of work for two workers, so that moments fall before, into and behind it.
SCRIPT = """
import os, time
def init(): time.sleep(0.1)
def run(paths):
    time.sleep(0.02)
    return [os.path.basename(path) + ": ok" for path in paths]
"""
ITEMS = 50


@dataclass
class Heard:
    """How one cancel went, in seconds since it was asked for."""

    accepted: bool
    answered: float
    workers_dead: float = 0.0
    terminal: float = 0.0


def cancel_at(engine: Engine, name: str, moment: float) -> Heard:
    driver = engine.start_driver(name)
    time.sleep(moment)
    began = time.monotonic()
    try:
        engine.store.request_cancel(W, name)
    except ResourceConflict as error:
        assert "too late" in error.message or "already" in error.message
        assert engine.wait(driver, name).lines == good([f"{number:03}.txt" for number in range(ITEMS)])
        return Heard(False, time.monotonic() - began)
    heard = Heard(True, time.monotonic() - began)
    folder = engine.ended(name).folder
    eventually(lambda: not workers_of(folder), "workers of a canceled job")
    heard.workers_dead = time.monotonic() - began
    eventually(lambda: engine.ended(name).status.is_terminal, "the end of a canceled job")
    heard.terminal = time.monotonic() - began
    ended = engine.wait(driver, name)
    assert ended.status is JobStatus.CANCELED and not ended.output.exists()
    assert not workers_of(folder), "a worker was started after the cancel"
    return heard


def test_a_job_is_canceled_at_any_moment(engine: Engine) -> None:
    source, script, chance = engine.items(ITEMS), engine.script(SCRIPT), random.Random(7)
    heard = []
    for number in range(CANCELS):
        name = f"job{number}"
        engine.job(script, source, name=name, mini_batch_size=1, max_concurrency_per_instance=2)
        heard.append(cancel_at(engine, name, chance.uniform(0, 2.5)))
    accepted = [one for one in heard if one.accepted]
    assert len(accepted) >= CANCELS / 3, "the moments do not fall into the job's life"
    told = {
        "answered": max(one.answered for one in heard),
        "workers dead": max(one.workers_dead for one in accepted),
        "terminal": max(one.terminal for one in accepted),
    }
    print(f"{len(accepted)} of {CANCELS} canceled; longest, in seconds: {told}")
    assert told["workers dead"] <= WORKERS_DEAD_S and told["terminal"] <= TERMINAL_S


BEFORE_PUBLISHING = [f"D{number}" for number in range(16)]


@pytest.mark.parametrize("point", BEFORE_PUBLISHING)
def test_a_stranger_s_file_that_appears_at_any_point_is_left_alone(engine: Engine, point: str) -> None:
    job = engine.job("good.py", engine.items(6))
    driver = engine.start_driver(job.name, BATCHPOINT_FAILPOINT=f"{point}:stop")
    eventually(lambda: is_stopped(driver.pid) or driver.poll() is not None, f"{point} is reached")
    assert is_stopped(driver.pid), engine.driver_log()
    output = engine.outside / "out" / job.name / "predictions.csv"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("a stranger's")
    driver.send_signal(18)
    ended = engine.wait(driver)
    assert ended.error.code == "OutputAlreadyExists"
    assert ended.output == output and output.read_text() == "a stranger's"
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def is_stopped(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
