"""A thousand worlds in which nearly everything goes wrong: no row is lost, doubled or wrong, and every job ends.

Each seed draws jobs, machines and its own kinds and rates of faults; see ``world``. A seed that fails is told with its
last events and how to replay it; put it into ``world/corpus.txt``, whose seeds are played every time.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.simulation.world.world import played

SHARES = 10
CORPUS = Path(__file__).parent / "world" / "corpus.txt"

#: What must have happened so often in a thousand worlds, or they have gone blind.
WANTED, TIMES = (
    (
        # Faults.
        *("killed", "stopped", "request lost", "request late", "reply lost", "store down", "sync fails", "no process"),
        *("power cut", "host dies", "supervisor restarts", "supervisor stands still", "driver stands still"),
        *("wall clock jumps", "cancel", "poison", "no room for the output", "a bad item"),
        *("worker raises", "worker exits", "worker is killed", "worker scores too few", "worker disk is full"),
        # Where a driver is lost.
        *("killed at sync", "killed at link", "killed at D9", "killed at D13", "killed at D15", "killed at D16"),
        *("killed at D17", "killed at after claim", "killed at after commit", "killed at after freeze"),
        *("killed at after complete", "stopped at sync"),
        # Branches that are rarely taken.
        *("fenced: beat", "driver fenced", "late request refused", "late beat granted"),
        *("reply lost: claim", "reply lost: commit"),
        *("supervisor takes over", "claim refused", "supervisor kills", "supervisor's reply lost"),
        *("supervisor finds the store down", "driver gives the store up", "cancel comes too late"),
        # Ends.
        *(
            "ended Completed",
            "ended Canceled",
            "ended Failed (ErrorThresholdExceeded)",
            "ended Failed (DriverKeepsDying)",
        ),
        *("a job that was Completed is scored again", "a job that was Canceled is scored again", "a real store"),
    ),
    5,
)

#: What is rarer than that, and must have happened all the same.
RARE = ("stopped at before commit", "fenced: commit", "reply lost: freeze", "reply lost: complete")

seen: Counter[str] = Counter()


@pytest.fixture
def root() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("share", range(SHARES))
def test_every_job_ends_as_it_should_whatever_goes_wrong(share: int, root: Path) -> None:
    for seed in range(share, 1000, SHARES):
        seen.update(played(seed, root).seen)
        seen["worlds"] += 1


def test_everything_that_can_go_wrong_has_gone_wrong() -> None:
    if seen["worlds"] < 1000:
        pytest.skip("counts what all the worlds of this file came to, and they were not played")
    assert not {what: seen[what] for what in WANTED if seen[what] < TIMES}
    assert not [what for what in RARE if not seen[what]]


def test_seeds_that_failed_once_are_played_for_ever(root: Path) -> None:
    for line in CORPUS.read_text().splitlines():
        seed = line.partition("#")[0].strip()
        if seed:
            played(int(seed), root)


def test_a_seed_is_one_order_of_events(root: Path) -> None:
    first, again = played(3, root), played(3, root)
    assert (first.trace, first.seen) == (again.trace, again.seen)
