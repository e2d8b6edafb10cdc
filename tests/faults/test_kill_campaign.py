"""Hundreds of kills and pauses, at moments of every kind: no row lost, doubled or changed, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from tests.process.engine_jobs import ROOT, Engine, eventually, workers_of
from tests.process.kill_campaign import Campaign

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_thirty_kills_of_drivers_and_workers(engine: Engine, seed: int) -> None:
    campaign = Campaign(engine, seed=100 + seed, items=4000)
    campaign.fire(drivers=20, workers=10)
    campaign.check()
    assert campaign.kills == {"driver": 20, "worker": 10}


#: Drives a job without its lock, as a driver on another host would.
ELSEWHERE = """
import sys
from batchpoint.engine.run import JobRun
from batchpoint.errors import Fenced
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.store import open_store
settings = Settings.load()
with open_store(settings.home) as store:
    try:
        JobRun(sys.argv[1], store, job_folder(settings.home, sys.argv[1]), settings).execute()
    except Fenced as error:
        print("fenced:", error, file=sys.stderr)
"""


def driver_elsewhere(engine: Engine, name: str = "job") -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "BATCHPOINT_HOME": str(engine.home)}
    with (engine.outside / "elsewhere.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, name], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    engine.drivers.append(process)
    return process


@pytest.mark.parametrize("seed", SEEDS)
def test_paused_drivers_come_back_while_others_drive(engine: Engine, seed: int) -> None:
    campaign = Campaign(engine, seed=200 + seed, items=2400)
    eventually(lambda: engine.store.ledger("job", 0), "no first commit")
    zombies = []
    for _ in range(8):
        campaign.wait_a_while()
        campaign.look()
        assert campaign.status is JobStatus.RUNNING
        engine.pause(campaign.driver)
        zombies.append(campaign.driver)
        campaign.driver = driver_elsewhere(engine)
        if campaign.dice.random() < 0.5:
            zombies.pop(campaign.dice.randrange(len(zombies))).send_signal(signal.SIGCONT)
    campaign.finish.touch()
    for zombie in zombies[::2]:
        zombie.send_signal(signal.SIGCONT)
    # One that was stopped before its claim may make it now, and end the job in place of the driver started last.
    eventually(lambda: campaign.status.is_terminal, "the job does not end")
    for driver in engine.drivers:
        driver.send_signal(signal.SIGCONT)
        assert driver.wait(60) == 0
    assert not workers_of(campaign.folder)
    campaign.check()
    logs = engine.driver_log() + (engine.outside / "elsewhere.log").read_text()
    assert "taken job" in logs, "whoever had claimed the job is told that it is another's"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_driver_is_killed_at_any_moment_from_its_first_breath_to_its_last(engine: Engine, seed: int) -> None:
    campaign = Campaign(engine, seed=300 + seed, items=600, sleep_s=0.002)
    campaign.finish.touch()
    kills = 0
    while not campaign.status.is_terminal and kills < 40:
        time.sleep(campaign.dice.uniform(0, 0.9))
        if campaign.driver.poll() is not None:
            break
        campaign.look()
        campaign.kill_driver()
        kills += 1
    ended = campaign.check()
    assert list(ended.output.parent.iterdir()) == [ended.output]


def test_a_driver_is_killed_while_it_gathers(engine: Engine) -> None:
    script = engine.script("import os\ndef init(): pass\ndef run(paths): return ['x' * 4_000_000 for path in paths]\n")
    engine.job(script, engine.items(60), mini_batch_size=1, max_concurrency_per_instance=2)
    kills = 0
    while kills < 15:
        driver = engine.start_driver("job")
        eventually(lambda: engine.ended().status in (JobStatus.FINALIZING, JobStatus.COMPLETED))
        if engine.ended().status is JobStatus.COMPLETED:
            break
        time.sleep(kills * 0.02)
        driver.kill()
        driver.wait()
        kills += 1
    assert kills, "it was never met while it gathered"
    ended = engine.wait(engine.start_driver("job"))
    assert ended.output.stat().st_size == 60 * 4_000_001
    assert os.listdir(ended.output.parent) == [ended.output.name]
    assert Path(ended.output).read_bytes().count(b"\n") == 60
