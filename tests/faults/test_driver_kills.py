"""T-A2: a thousand drivers are killed at random moments; nothing that was committed is lost, doubled or changed.

The drivers are forked from a prepared process, so that a life costs hardly more than what the driver does with it. A
hundred with processes of their own are killed in ``test_kill_campaign``.
"""

import itertools
import random
import time
from functools import partial

import pytest

from tests.process.driver_deaths import Patient
from tests.process.engine_jobs import Engine
from tests.process.fork_server import ForkServer
from tests.process.kill_campaign import Campaign

#: 75 kills each, all of them between the first commit and the publish.
SEEDS = range(8)
KILLS = 75
#: 100 kills each at any moment, of drivers of small jobs.
SEEDS_ANYWHERE = range(400, 404)
KILLS_ANYWHERE = 100


def campaign(engine: Engine, server: ForkServer, seed: int, *, tokens: bool, name: str = "job") -> Campaign:
    start = partial(server.start, engine.home)
    return Campaign(engine, seed, items=3000, name=name, tokens=tokens, sleep_s=0.01, rest_s=0.05, start=start)


@pytest.mark.parametrize("seed", SEEDS)
def test_t_a2_drivers_are_killed_while_they_score(engine: Engine, fork_server: ForkServer, seed: int) -> None:
    print(f"seed {seed}")
    disturbed = campaign(engine, fork_server, seed, tokens=seed % 2 == 0)
    disturbed.fire(drivers=KILLS, workers=0)
    output = disturbed.check().output.read_bytes()
    assert disturbed.kills == {"driver": KILLS}
    assert disturbed.drivers_that_committed() > KILLS / 4
    assert disturbed.executed_again(), "no kill met a mini-batch that was executed and not yet committed"
    if not disturbed.tokens:
        quiet = campaign(engine, fork_server, seed, tokens=False, name="quiet")
        quiet.finish.touch()
        assert quiet.check().output.read_bytes() == output


@pytest.mark.parametrize("seed", SEEDS_ANYWHERE)
def test_t_a2_drivers_are_killed_at_any_moment_of_their_lives(
    engine: Engine, fork_server: ForkServer, seed: int
) -> None:
    print(f"seed {seed}")
    dice, kills, jobs = random.Random(seed), 0, 0
    while kills < KILLS_ANYWHERE:
        patient = Patient(engine, fork_server, name=f"job{jobs}")
        jobs += 1
        for life in itertools.count():
            driver = patient.driver()
            # The more were killed, the longer one may live: on a busy machine no job may take for ever.
            time.sleep(dice.uniform(0.0, 0.12 + 0.01 * life))
            driver.kill()
            if driver.wait() == 0:
                break
            kills += 1
            patient.look()
        patient.check()
    print(f"{kills} kills, {jobs} jobs")
