"""A thousand worlds more, beside the others on another core; see ``test_worlds``."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.simulation.world.world import played

SHARES = 10


@pytest.fixture
def root() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("share", range(SHARES))
def test_every_job_ends_as_it_should_whatever_goes_wrong(share: int, root: Path) -> None:
    for seed in range(1000 + share, 2000, SHARES):
        played(seed, root)
