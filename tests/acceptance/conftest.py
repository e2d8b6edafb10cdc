"""What every acceptance test shares."""

from collections.abc import Iterator

import pytest

from batchpoint import local


@pytest.fixture(scope="session", autouse=True)
def supervisors_are_waited_for() -> Iterator[None]:
    """A command line leaves its supervisor to the system; commands that ran in this process leave it to us."""
    yield
    for process in local._supervisors:
        process.wait(30)
