"""Requests of one caller: a burst, a steady rate behind it, and nobody pays for another one."""

from batchpoint.server.transport.limits.rates import Rates


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_the_rate_holds() -> None:
    clock = Clock()
    rates = Rates(10, clock)
    assert [rates.wait_s("ana") for _ in range(20)] == [0.0] * 20
    assert 0 < rates.wait_s("ana") <= 0.1
    clock.now += 0.1
    assert rates.wait_s("ana") == 0.0
    assert rates.wait_s("ana") > 0


def test_who_waits_gets_no_more_than_a_burst_and_others_are_not_touched() -> None:
    clock = Clock()
    rates = Rates(10, clock)
    for _ in range(100):
        rates.wait_s("ana")
    assert rates.wait_s("ben") == 0.0
    clock.now += 3600
    assert sum(rates.wait_s("ana") == 0.0 for _ in range(100)) == 20


def test_a_refused_request_takes_nothing_so_that_knocking_does_not_keep_a_door_shut() -> None:
    clock = Clock()
    rates = Rates(1, clock)
    while rates.wait_s("ana") == 0.0:
        pass
    for _ in range(50):
        rates.wait_s("ana")
    clock.now += 1
    assert rates.wait_s("ana") == 0.0


def test_zero_is_no_limit_and_callers_are_not_remembered_without_end() -> None:
    assert all(Rates(0).wait_s("ana") == 0.0 for _ in range(1000))
    rates = Rates(1)
    for number in range(10_050):
        rates.wait_s(str(number))
    assert len(rates._left) == 10_000
