"""How much goes wrong in one world: each seed draws its own kinds of faults, and how often they come."""

import math
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world.world import World

#: Chances at each step of a driver, each request, each sync, each start.
STEPS = {
    "kill": 0.015,
    "pause": 0.006,
    "step": 0.2,
    "request lost": 0.02,
    "request late": 0.02,
    "reply lost": 0.04,
    "sync fails": 0.02,
    "disk is full": 0.05,
    "no process": 0.2,
}
#: Events in a second.
EVENTS = {
    "store goes down": 1 / 80,
    "power cut": 1 / 100,
    "host dies": 1 / 100,
    "supervisor restarts": 1 / 60,
    "supervisor stands still": 1 / 100,
    "driver stands still": 1 / 60,
    "wall clock jumps": 1 / 50,
    "cancel": 1 / 100,
}
RUNS = ("scores", "scores too few", "raises", "exits", "is killed", "hangs", "disk is full")
INITS = ("scores", "raises", "is killed")


@dataclass(frozen=True)
class Temper:
    """What a seed has drawn."""

    hosts: int
    quiet_at: float
    steps: dict[str, float]
    events: dict[str, float]
    #: Weights of what an execution comes to, and an init().
    runs: tuple[float, ...]
    inits: tuple[float, ...]
    seconds: float
    #: Share of items that no attempt can score.
    badness: float
    #: Chance of a job that one of its items kills the driver.
    poison: float
    redrives: bool
    #: Seconds that it takes to build the environment, and to list the input.
    build_s: float
    list_s: float
    _memo: dict[str, float] = field(default_factory=dict)

    @classmethod
    def drawn(cls, dice: random.Random) -> "Temper":
        steps = {kind: rate * dice.random() * 2 for kind, rate in STEPS.items() if dice.random() < 0.5}
        events = {kind: rate * dice.random() * 2 + 1e-9 for kind, rate in EVENTS.items() if dice.random() < 0.4}
        trouble = dice.choice([0.0, 0.0, 0.05, 0.2])
        runs = (1.0, *(trouble * dice.random() * dice.choice([0, 1]) for _ in RUNS[1:]))
        inits = (1.0, *(trouble * dice.random() * dice.choice([0, 1]) for _ in INITS[1:]))
        poison = dice.choice([0.0] * 14 + [0.5])
        return cls(
            hosts=dice.choice([1, 2, 2]),
            quiet_at=dice.choice([15.0, 40.0, 90.0]),
            steps=steps,
            events=events,
            runs=runs,
            inits=inits,
            seconds=dice.choice([0.05, 0.5, 4.0]),
            badness=dice.choice([0.0, 0.0, 0.1, 0.4]),
            poison=poison,
            redrives=dice.random() < 0.3,
            build_s=dice.choice([0.0, 0.0, 5.0, 5.0 if poison else 70.0]),
            list_s=dice.choice([0.0, 1.0, 50.0]),
        )

    @property
    def is_gentle(self) -> bool:
        """No execution fails but for a bad item: the output does not depend on who scored what."""
        return sum(self.runs[1:]) + sum(self.inits[1:]) == 0 and "disk is full" not in self.steps

    def calm(self) -> "Temper":
        """The same world when nothing goes wrong any more but what items and scripts are to blame for."""
        return replace(self, steps={}, runs=(*self.runs[:5], 0.0, 0.0), quiet_at=-math.inf)

    def strikes(self, world: "World", kind: str) -> bool:
        """Whether a fault of this kind comes now."""
        rate = self.steps.get(kind, 0.0)
        return rate > 0 and world.dice.random() < rate

    def run(self, world: "World") -> tuple[str, float]:
        """What an execution comes to, and when."""
        return world.dice.choices(RUNS, self.runs)[0], self.seconds * world.dice.uniform(0.2, 2.0)

    def init(self, world: "World") -> tuple[str, float]:
        """The same of an init()."""
        return world.dice.choices(INITS, self.inits)[0], self.seconds * world.dice.uniform(0.2, 2.0)
