"""Who gets the instances of a compute, who waits and is told what, and which idle instances go."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from batchpoint.store.allotment import (
    Decision,
    Instance,
    Limits,
    Situation,
    Waiting,
    choose,
    decide,
    leaving,
    lowest_free_gpus,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def held(number: int, job: str, endpoint: str = "a") -> Instance:
    return Instance(number, f"node-{number}", job, "Running", endpoint, NOW)


def idle(number: int, for_s: float = 0.0) -> Instance:
    return Instance(number, f"node-{number}", "", "", "", NOW - timedelta(seconds=for_s))


def waits(job: str, instances: int = 1, endpoint: str = "a", *, is_next: bool = False, sentence: str = "") -> Waiting:
    return Waiting(job, endpoint, instances, is_next, sentence)


def compute(
    *waiting: Waiting,
    there: tuple[Instance, ...] = (),
    minimum: int = 0,
    maximum: int = 4,
    idle_s: float = 120,
    deleted: bool = False,
) -> Situation:
    limits = None if deleted else Limits(minimum, maximum, idle_s)
    return Situation("w", "cluster", limits, there, waiting)


def due(situation: Situation, *, server: bool = True) -> Decision:
    return decide(situation, NOW, keeps_idle=server)


# --- all or nothing


def test_a_job_gets_all_of_its_instances_at_once() -> None:
    decision = due(compute(waits("j", 3)))
    assert decision.grants == {"j": (0, 1, 2)}
    assert (decision.next_job, decision.sentences) == ("", {})


def test_a_job_that_does_not_fit_gets_none_and_is_told_what_it_waits_for() -> None:
    there = (held(0, "big"), held(1, "big"), held(2, "big"))
    decision = due(compute(waits("j", 2), there=there))
    assert not decision.grants
    assert decision.next_job == "j"
    assert decision.sentences == {"j": "Waits for 2 instances of compute cluster: 3 of 4 are used by big."}


def test_instances_that_are_there_are_used_before_new_ones_come() -> None:
    decision = due(compute(waits("j", 3), there=(held(0, "other"), idle(2))))
    assert decision.grants == {"j": (1, 2, 3)}


def test_who_uses_the_instances_is_named_and_many_are_counted() -> None:
    there = tuple(held(number, f"j{number}") for number in range(5))
    decision = due(compute(waits("late"), there=there, maximum=5))
    assert decision.sentences["late"].endswith("5 of 5 are used by j0, j1, j2 and 2 more.")


def test_the_sentence_of_a_long_queue_is_written_once() -> None:
    there = (held(0, "first"),)
    queue = [waits(f"j{number}") for number in range(3)]
    told = due(compute(*queue, there=there, maximum=1)).sentences
    assert told["j1"] == told["j2"] == "Waits for 1 instance of compute cluster: other jobs are before it."
    again = [waits(one.job, is_next=one.job == "j0", sentence=told[one.job]) for one in queue]
    situation = compute(*again, there=there, maximum=1)
    assert not due(situation).changes(situation)
    others = compute(*again, there=(held(0, "second"),), maximum=1)
    assert set(due(others).sentences) == {"j0"}


# --- whose turn


def test_the_endpoint_that_holds_fewest_is_next_then_the_oldest_job() -> None:
    queue = [waits("a1", endpoint="a"), waits("b1", endpoint="b"), waits("b2", endpoint="b")]
    chosen = choose(queue, {"a": 2, "b": 1}, 4)
    assert chosen and chosen.job == "b1"
    chosen = choose(queue, {"a": 1, "b": 1}, 4)
    assert chosen and chosen.job == "a1"


def test_a_busy_endpoint_leaves_room_to_the_others() -> None:
    """Ten jobs of one endpoint came before the one of another: the two alternate."""
    queue = [*(waits(f"a{number}", endpoint="a") for number in range(10)), waits("b0", endpoint="b")]
    assert list(due(compute(*queue, maximum=3)).grants) == ["a0", "b0", "a1"]


def test_the_next_job_is_not_overtaken_by_a_smaller_one_that_comes_later() -> None:
    there = (held(0, "other"), held(1, "other"))
    queue = [waits("big", 4, is_next=True), waits("small", 1, endpoint="fresh")]
    decision = due(compute(*queue, there=there))
    assert not decision.grants
    assert decision.next_job == "big"


def test_a_job_that_asks_for_more_than_there_can_be_stops_nobody() -> None:
    queue = [waits("big", 5, is_next=True), waits("small")]
    decision = due(compute(*queue, maximum=4))
    assert decision.grants == {"small": (0,)}
    assert decision.next_job == ""
    assert "which may have 4 now" in decision.sentences["big"]
    assert "compute update --name cluster --max-instances 5" in decision.sentences["big"]
    assert "job cancel --name big" in decision.sentences["big"]


def test_jobs_that_wait_for_a_deleted_compute_are_hopeless() -> None:
    decision = due(compute(waits("j"), there=(held(0, "other"), idle(1)), deleted=True))
    assert (decision.hopeless, decision.removed, decision.grants) == (("j",), (1,), {})


# --- fewer and more


def test_lowering_the_maximum_takes_nothing_from_who_runs() -> None:
    there = (held(0, "j"), held(1, "j"), held(2, "j"), idle(3))
    decision = due(compute(waits("late"), there=there, maximum=2))
    assert (decision.grants, decision.removed) == ({}, (3,))
    assert "3 of 2 are used by j" in decision.sentences["late"]


def test_an_idle_instance_goes_when_its_time_is_up() -> None:
    there = (idle(0, for_s=121), idle(1, for_s=119))
    assert due(compute(there=there)).removed == (0,)
    assert leaving(compute(there=there), NOW) == {0}


def test_the_minimum_stays_however_long_it_is_idle() -> None:
    there = (idle(0, for_s=500), idle(1, for_s=900), idle(2, for_s=700))
    assert due(compute(there=there, minimum=2)).removed == (1,)


def test_the_minimum_is_there_without_a_job_while_a_server_runs() -> None:
    assert due(compute(minimum=2)).added == (0, 1)
    assert due(compute(there=(held(0, "j"),), minimum=3)).added == (1, 2)
    assert due(compute(minimum=2), server=False).added == ()


def test_without_a_server_instances_end_with_their_job() -> None:
    there = (held(0, "j"), idle(1))
    assert due(compute(there=there, minimum=2), server=False).removed == (1,)


def test_a_job_that_comes_in_time_takes_the_idle_instances_over() -> None:
    decision = due(compute(waits("j", 2), there=(idle(0, for_s=500), idle(1, for_s=1))))
    assert (decision.grants, decision.removed) == ({"j": (0, 1)}, ())


def test_gpus_are_the_lowest_that_nobody_has() -> None:
    assert lowest_free_gpus(2, (), 4) == (0, 1)
    assert lowest_free_gpus(2, (0, 2), 4) == (1, 3)
    assert lowest_free_gpus(3, (0, 1), 4) == (2, 3)
    assert lowest_free_gpus(1, (), 0) == ()


# --- whatever comes


names = st.sampled_from("abc")


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    numbers = draw(st.lists(st.integers(0, 7), unique=True, max_size=6).map(sorted))
    there = tuple(
        held(number, f"r{number}", draw(names)) if draw(st.booleans()) else idle(number, draw(st.integers(0, 300)))
        for number in numbers
    )
    count = draw(st.integers(0, 6))
    marked = draw(st.integers(-1, 6))
    queue = [
        waits(f"w{index}", draw(st.integers(1, 6)), draw(names), is_next=index == marked) for index in range(count)
    ]
    maximum = draw(st.integers(0, 6))
    return compute(*queue, there=there, minimum=draw(st.integers(0, maximum)), maximum=maximum)


def carried_out(situation: Situation, decision: Decision) -> Situation:
    """The situation after the decision."""
    endpoints = {one.job: one.endpoint for one in situation.waiting}
    there = {one.number: one for one in situation.instances if one.number not in decision.removed}
    there |= {number: idle(number) for number in decision.added}
    for job, numbers in decision.grants.items():
        there |= {number: held(number, job, endpoints[job]) for number in numbers}
    queue = [
        waits(
            one.job,
            one.instances,
            one.endpoint,
            is_next=one.job == decision.next_job,
            sentence=decision.sentences.get(one.job, one.sentence),
        )
        for one in situation.waiting
        if one.job not in decision.grants
    ]
    return Situation("w", "cluster", situation.limits, tuple(there[number] for number in sorted(there)), tuple(queue))


@given(situations(), st.booleans())
def test_every_decision_keeps_the_promises(situation: Situation, server: bool) -> None:
    decision = due(situation, server=server)
    limits = situation.limits
    assert limits
    wanted = {one.job: one.instances for one in situation.waiting}
    busy = [one.number for one in situation.instances if one.job]
    given_out = [number for numbers in decision.grants.values() for number in numbers]
    assert len(set(busy + given_out)) == len(busy) + len(given_out), "an instance has one job"
    assert all(len(numbers) == wanted[job] for job, numbers in decision.grants.items()), "all or nothing"
    assert not decision.grants or len(busy) + len(given_out) <= limits.maximum
    assert not set(decision.removed) & {*busy, *given_out}, "nothing is taken from a job"
    after = carried_out(situation, decision)
    held_now = len(busy) + len(given_out)
    assert len(after.instances) <= max(limits.maximum, held_now)
    if server:
        assert len(after.instances) >= limits.minimum
    else:
        assert len(after.instances) == held_now
    again = due(after, server=server)
    assert not again.changes(after), "what is decided is decided"


@given(situations())
def test_the_next_job_is_the_next_to_be_placed_whatever_else_arrives(situation: Situation) -> None:
    before = carried_out(situation, due(situation))
    chosen = next((one for one in before.waiting if one.is_next), None)
    if chosen is None:
        return
    newcomers = tuple(waits(f"new{index}", 1, f"fresh{index}") for index in range(3))
    later = Situation(before.workspace, before.compute, before.limits, before.instances, before.waiting + newcomers)
    assert not due(later).grants
    freed = tuple(idle(one.number) for one in later.instances)
    placed = due(Situation(later.workspace, later.compute, later.limits, freed, later.waiting)).grants
    assert next(iter(placed)) == chosen.job


@given(st.lists(st.tuples(names, st.integers(1, 4)), max_size=12))
def test_every_job_that_can_run_is_placed_in_the_end(wanted: list[tuple[str, int]]) -> None:
    queue = [waits(f"w{index}", count, endpoint) for index, (endpoint, count) in enumerate(wanted)]
    situation = compute(*queue)
    placed: Counter[str] = Counter()
    for _ in range(len(queue) + 1):
        decision = due(situation)
        placed.update(decision.grants.keys())
        situation = carried_out(situation, decision)
        # The job that has run longest ends.
        running = [one.job for one in situation.instances if one.job]
        oldest = min(running, key=lambda job: list(placed).index(job), default="")
        there = tuple(idle(one.number) if one.job == oldest else one for one in situation.instances)
        situation = Situation("w", "cluster", situation.limits, there, situation.waiting)
    assert placed == Counter(one.job for one in queue)
