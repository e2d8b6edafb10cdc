"""A world that finds nothing must be able to find something: each planted bug is noticed within so many seeds."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.simulation.world.mutants import MUTANTS
from tests.simulation.world.world import played

SEEDS = 600
#: Bugs that few worlds meet, and about where the first one does: those are played first, the others if need be.
RARE = {"rows_after_the_freeze": 490}


@pytest.fixture
def root() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


def test_bugs_are_planted_in_every_layer() -> None:
    assert len(MUTANTS) >= 8


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_noticed(name: str, root: Path) -> None:
    first = RARE.get(name, 0)
    for seed in (*range(first, SEEDS), *range(first)):
        try:
            with MUTANTS[name]():
                played(seed, root)
        except AssertionError as error:
            print(str(error).splitlines()[0])
            played(seed, root)  # without the bug there is nothing to notice
            return
    pytest.fail(f"nobody noticed within {SEEDS} seeds: {name}")
