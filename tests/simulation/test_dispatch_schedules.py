"""Thousands of random schedules through the unmodified dispatcher: each item is settled once.

In every third world certain items are guilty of all that goes wrong: they are lost, no other is, and a mini-batch of
``b`` items with ``k`` guilty ones takes ``max_tries + 2 * k * ceil(log2(b))`` executions at most.
"""

from collections import Counter

import pytest

from tests.simulation.dispatch_world import HAPPENINGS, World

SEEDS = 10_000
SHARES = 10

#: What the schedules must have come to in some world, or they prove nothing.
WANTED = {
    *HAPPENINGS,
    *("Keep", "GiveUp", "deadline", "stale", "lie"),
    *("init comes up", "init raises", "init dies", "init is killed", "init hangs"),
    *("completed", "canceled", "InitFailed", "ErrorThresholdExceeded", "NoSuccessfulItems"),
    *("WorkersKeepDying", "SegmentUnwritable"),
    *("isolated", "RetireWorker", "shutdown hangs"),
}


def played(seed: int) -> World:
    world = World(seed)
    try:
        world.run()
        world.check_end()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return world


@pytest.mark.parametrize("share", range(SHARES))
def test_every_schedule_ends_with_each_item_settled_once(share: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(share, SEEDS, SHARES):
        seen += played(seed).seen
    assert set(seen) >= WANTED, f"never happened: {WANTED - set(seen)}"


def test_a_seed_is_a_schedule() -> None:
    assert [played(11).seen, played(11).now] == [played(11).seen, played(11).now]
