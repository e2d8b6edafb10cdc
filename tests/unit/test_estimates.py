"""What a timed sample says of a whole job: costs of calls, how sure they are, and workers that share processors."""

import random

import pytest

from batchpoint.engine.preflight.choice import Item, choose, spread_by_size
from batchpoint.engine.preflight.estimate.costs import Costs, Timed, fit, spread
from batchpoint.engine.preflight.estimate.forecast import Start, Work, doubt_of, forecast, makespan

NO_START = Start(0.0, 0.0, 0.0, 1, 0.0)


def calls(costs: Costs, sizes: list[tuple[int, int]], noise: float = 0.0) -> list[Timed]:
    dice = random.Random(3)
    return [Timed(items, size, costs.of(items, size) * (1 + noise * dice.uniform(-1, 1))) for items, size in sizes]


def work(costs: Costs, count: int, busy: float = 1.0) -> Work:
    return Work(costs, [(1, 0)] * count, busy, 0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    "costs", [Costs(0.5, 0.0, 0.0), Costs(0.0, 0.01, 0.0), Costs(0.0, 0.0, 1e-6), Costs(0.2, 0.01, 1e-6)]
)
def test_costs_of_calls_items_and_bytes_are_told_apart(costs: Costs) -> None:
    sizes = [(items, items * 1000 * (1 + items * step % 7)) for step in range(1, 5) for items in (1, 3, 10)]
    found = fit(calls(costs, sizes))
    for items, size in ((50, 10_000), (1, 900_000)):
        assert found.of(items, size) == pytest.approx(costs.of(items, size), rel=0.01)


def test_no_cost_is_negative_however_the_calls_came_out() -> None:
    found = fit([Timed(1, 100, 0.9), Timed(1, 200, 0.5), Timed(2, 900, 0.4), Timed(4, 100, 0.6)])
    assert min(found.per_call, found.per_item, found.per_byte) >= 0


def test_calls_of_one_size_cost_what_their_items_cost() -> None:
    found = fit([Timed(10, 0, 2.0)] * 5)
    assert found.of(5, 0) == pytest.approx(1.0)


def test_what_is_even_is_sure_and_what_differs_is_not() -> None:
    whole = Timed(1000, 0, 0.0)
    even = spread(calls(Costs(0.0, 0.1, 0.0), [(1, 0)] * 20), whole, 1000)
    uneven = spread(calls(Costs(0.0, 0.1, 0.0), [(1, 0)] * 20, noise=0.9), whole, 1000)
    assert even == (pytest.approx(1.0), pytest.approx(1.0))
    assert uneven[0] < 0.97 and uneven[1] > 1.03


def test_the_interval_of_a_noisy_sample_holds_the_truth_most_of_the_time() -> None:
    held = 0
    for seed in range(40):
        dice = random.Random(seed)
        truth = [dice.expovariate(10) for _ in range(600)]
        sample = [Timed(1, 0, seconds) for seconds in dice.sample(truth, 24)]
        low, high = spread(sample, Timed(600, 0, 0.0), 600)
        expected = fit(sample).per_item * 600
        held += expected * low <= sum(truth) <= expected * high
    assert held >= 26


def test_waiting_workers_share_no_processor_and_busy_ones_do() -> None:
    waiting = [forecast(NO_START, work(Costs(0, 0.1, 0), 80, busy=0.0), n, 1, 2).expected_s for n in (1, 2, 4)]
    busy = [forecast(NO_START, work(Costs(0, 0.1, 0), 80, busy=1.0), n, 1, 2).expected_s for n in (1, 2, 4)]
    assert waiting == [pytest.approx(0.3 + 8 / n) for n in (1, 2, 4)]
    assert busy == [pytest.approx(0.3 + 8 / n) for n in (1, 2, 2)]


def test_instances_of_a_cluster_bring_their_own_processors() -> None:
    seconds = [forecast(NO_START, work(Costs(0, 0.1, 0), 80), n, 2, None).expected_s for n in (1, 2)]
    assert seconds == [pytest.approx(4.3), pytest.approx(2.3)]


def test_one_long_call_is_waited_for_by_all() -> None:
    assert makespan([1.0] * 8 + [10.0], 4) == 12.0
    assert makespan([], 4) == 0.0
    assert makespan([0.001] * 60_000, 4) == pytest.approx(15.0, rel=0.01)


def test_others_on_the_machine_make_an_estimate_less_sure() -> None:
    assert doubt_of(0.0) < doubt_of(0.5) < doubt_of(1.0) == doubt_of(9.0)


def items(*sizes: int) -> list[Item]:
    return [Item(str(place).encode(), size) for place, size in enumerate(sizes)]


def test_a_sample_has_the_first_the_last_and_the_largest() -> None:
    chosen = choose(items(*range(50), 900, *range(50)), 8)
    assert len(chosen) == 8
    assert {one.name for one in chosen} >= {b"0", b"50", b"100"}
    assert chosen == sorted(chosen, key=lambda one: int(one.name))
    assert choose(items(1, 2), 8) == items(1, 2)


def test_a_timed_sample_has_items_of_all_sizes() -> None:
    sizes = [one.size for one in spread_by_size(items(*(2**place for place in range(20)), *([3] * 200)), 24)]
    assert min(sizes) == 1 and max(sizes) == 2**19
    assert len(sizes) <= 26
