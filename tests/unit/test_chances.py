"""Chances of harm, as flags, files and requests give them."""

import pytest
from pydantic import ValidationError

from batchpoint.arm import invocation as wire
from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.data import Invocation
from batchpoint.errors import ValidationFailed


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("kill=2%,slow=1%", {"kill": 0.02, "slow": 0.01}),
        (" kill = 2 %".replace(" %", "%"), {"kill": 0.02}),
        ("slow=0.5,seed=7", {"slow": 0.5, "seed": 7.0}),
        ({"kill": "2%", "slow": 0.25}, {"kill": 0.02, "slow": 0.25}),
        ("kill=0", {"kill": 0.0}),
        ({}, {}),
    ],
)
def test_percentages_and_fractions_are_chances(given: object, meant: dict[str, float]) -> None:
    assert Invocation.model_validate({"chaos": given}).chaos == pytest.approx(meant)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("kill=60%", "kill=60% is no chance between 0 % and 50 %"),
        ("kill=2", "kill=2 is no chance"),
        ("kill=-1%", "kill=-1% is no chance"),
        ("kill=nan", "kill=nan is no chance"),
        ("kill=much", "kill=much is no chance"),
        ("kill", "kill= is no chance"),
        ("burn=2%", "does not know the harm 'burn'; there are kill (workers and drivers are killed) and slow"),
        ("kill=1%,kill=2%", "names kill twice"),
        ("seed=7", "names no kind of harm; write kill=2%,slow=1%"),
        ("", "names no kind of harm"),
        ("kill=1%,seed=1.5", "seed=1.5 is no whole number"),
        ({"kill": True}, "kill=True is no chance"),
        (["kill"], "is no map of chances"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(given: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Invocation.model_validate({"chaos": given})
    assert said in caught.value.errors()[0]["msg"]


def test_a_request_carries_them_and_is_refused_by_its_own_words() -> None:
    sent = wire.to_json(Invocation.model_validate({"chaos": "kill=2%"}))
    assert sent["properties"]["chaos"] == {"kill": 0.02}
    assert wire.from_json(Body(sent)).chaos == {"kill": 0.02}
    with pytest.raises(ValidationFailed, match="no chance between"):
        wire.from_json(Body({"properties": {"chaos": {"kill": 3}}}))
