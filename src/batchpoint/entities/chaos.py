"""How much harm a job under fire does to itself: ``kill=2%,slow=1%`` becomes chances by kind.

Invocations and job settings hold the result; ``compute/chaos.py`` does the harm.
"""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

#: Ends a worker, and now and then the driver, with SIGKILL.
KILL = "kill"
#: Stops a worker for a part of a second.
SLOW = "slow"
#: No chance but a number: where the dice begin.
SEED = "seed"
KINDS = {KILL: "workers and drivers are killed", SLOW: "workers are stopped for a moment"}
#: With more, little else would happen.
CHANCE_MAX = 0.5
SEED_MAX = 2**31 - 1
_HOW = "write kill=2%,slow=1%"


def _chances(value: object) -> object:
    """A map of numbers, from one with percentages or from the text of a flag."""
    if value is None or value == {}:
        return value
    given = _pairs(value) if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise _wrong(f"is no map of chances; {_HOW}")
    chances = {str(kind): _number(str(kind), one) for kind, one in given.items()}
    if not chances.keys() & KINDS.keys():
        raise _wrong(f"names no kind of harm; {_HOW}")
    return chances


def _pairs(text: str) -> dict[str, str]:
    pairs = [word.strip().partition("=") for word in text.split(",") if word.strip()]
    kinds = [kind.strip() for kind, _, _ in pairs]
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice is not None:
        raise _wrong(f"names {twice} twice; keep one of them")
    return {kind.strip(): amount.strip() for kind, _, amount in pairs}


def _number(kind: str, value: object) -> float:
    if kind == SEED:
        return _seed(value)
    if kind not in KINDS:
        known = " and ".join(f"{name} ({what})" for name, what in KINDS.items())
        raise _wrong(f"does not know the harm {kind!r}; there are {known}")
    chance = _chance(value)
    if chance is None or not 0 <= chance <= CHANCE_MAX:
        raise _wrong(f"{kind}={value} is no chance between 0 % and {CHANCE_MAX * 100:.0f} %; {_HOW}")
    return chance


def _chance(value: object) -> float | None:
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return None
    if not math.isfinite(number) or isinstance(value, bool):
        return None
    return number / 100 if text.endswith("%") else number


def _seed(value: object) -> float:
    try:
        seed = float(str(value))
    except ValueError:
        seed = -1.0
    if not (0 <= seed <= SEED_MAX and seed.is_integer()):
        raise _wrong(f"seed={value} is no whole number from 0 to {SEED_MAX}")
    return seed


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("noun", "{message}", {"message": message})


#: Chances from 0 to a half by kind of harm, and the ``seed``; empty: no harm.
Chances = Annotated[dict[str, float], BeforeValidator(_chances)]
