"""T-G14: a job fails exactly when more items failed than error_threshold allows, whatever order answers come in and
however often they come.
"""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from batchpoint.engine.messages import Failed, Keep, Scored
from tests.unit.dispatch_hall import RAISED, Hall

SIZE = 4
#: What becomes of each mini-batch: it fails, or so many of its items have results.
FATES = st.lists(st.none() | st.integers(0, SIZE + 2), min_size=1, max_size=12)


@given(FATES, st.integers(-1, 30), st.randoms(use_true_random=False), st.integers(1, 3))
def test_a_job_fails_exactly_when_more_items_fail_than_it_allows(
    fates: list[int | None], threshold: int, chance: random.Random, slots: int
) -> None:
    hall = Hall(slots, max_tries=1, error_threshold=threshold)
    hall.plan(len(fates), SIZE)
    hall.ready(*range(slots))
    failed, said = 0, []
    while hall.end is None:
        if said and chance.random() < 0.3:
            # Said once more, by a worker that was replaced meanwhile: nobody listens.
            before = hall.dispatcher.items_failed
            hall.tell(replace(chance.choice(said), worker=10**6))
            assert hall.dispatcher.items_failed == before
            continue
        worker = chance.choice([hand.worker for hand in hall.dispatcher.workers() if hand.assigned])
        (mini_batch, _, items), attempt = hall.running(worker)
        fate = fates[mini_batch]
        if fate is None:
            said.append(Failed(worker, mini_batch, attempt, RAISED, 1.0))
            failed += items
        else:
            said.append(Scored(worker, mini_batch, attempt, fate, fate, 0, 5, 7, 1.0))
            failed += max(0, items - fate)
        hall.tell(said[-1])
        if threshold >= 0 and failed > threshold:
            assert hall.end is not None, "one item too many"
    kept = [action.scored.mini_batch for action in hall.done if isinstance(action, Keep)]
    assert len(kept) == len(set(kept))
    exceeded = threshold >= 0 and failed > threshold
    code = hall.end.failure.code if hall.end.failure else ""
    assert (code == "ErrorThresholdExceeded") == exceeded or code == "NoSuccessfulItems"
    if not exceeded:
        assert hall.dispatcher.items_failed == failed
