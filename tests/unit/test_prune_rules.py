"""What may go, by age, size and need; nothing here touches a file."""

from pathlib import Path

import pytest

from batchpoint.cli.commands.machine.upkeep import _measured, _size
from batchpoint.errors import CommandLineInvalid
from batchpoint.upkeep.inventory import Inventory, JobFiles, Thing
from batchpoint.upkeep.rules import Kind, Limits, removals, shown_age

NOW = 1_000_000_000.0
DAY = 86400.0
EVERYTHING = frozenset(Kind)


def thing(name: str, age_s: float, size: int = 10, *, is_needed: bool = False) -> Thing:
    return Thing(name, Path("/home", name), NOW - age_s, size, is_needed)


def job(name: str, age_s: float, segments: int = 100) -> JobFiles:
    return JobFiles(name, "w", NOW - age_s, segments, logs=20, rest=3)


def having(**things: tuple[Thing | JobFiles, ...]) -> Inventory:
    kinds = ("jobs", "environments", "uploads", "orphans", "leftovers", "logs")
    return Inventory(**{kind: things.get(kind, ()) for kind in kinds})  # type: ignore[arg-type]


def going(inventory: Inventory, **limits: object) -> list[tuple[str, str]]:
    chosen = Limits(**limits)  # type: ignore[arg-type]
    return [(str(removal.kind), removal.name) for removal in removals(inventory, chosen, NOW)]


def test_segments_go_when_their_job_ended_long_enough_ago_and_logs_stay_unless_chosen() -> None:
    inventory = having(jobs=(job("old", 31 * DAY), job("new", 29 * DAY), job("empty", 99 * DAY, segments=0)))
    assert going(inventory) == [("segments", "old")]
    assert going(inventory, kinds=frozenset({Kind.LOGS})) == [("logs", "old"), ("logs", "empty")]
    assert going(inventory, older_than_s=0) == [("segments", "old"), ("segments", "new")]


def test_a_job_that_goes_as_a_whole_is_not_named_again_for_its_parts() -> None:
    found = removals(having(jobs=(job("old", 31 * DAY),)), Limits(EVERYTHING), NOW)
    assert [(one.kind, one.size, one.workspace) for one in found] == [(Kind.JOBS, 123, "w")]
    assert found[0].reason == "ended 31 days ago"


def test_environments_go_when_nobody_used_them_and_nobody_needs_them() -> None:
    inventory = having(
        environments=(thing("old", 31 * DAY), thing("new", DAY), thing("used", 99 * DAY, is_needed=True))
    )
    assert going(inventory) == [("environments", "old")]


def test_beyond_their_size_the_least_recently_used_environments_go_first() -> None:
    inventory = having(
        environments=(
            thing("b", 2 * DAY, 30),
            thing("a", 3 * DAY, 30, is_needed=True),
            thing("d", 0, 30),
            thing("c", DAY, 30),
        )
    )
    assert going(inventory, max_bytes=120) == []
    assert going(inventory, max_bytes=119) == [("environments", "b")]
    assert going(inventory, max_bytes=60) == [("environments", "b"), ("environments", "c")]
    assert going(inventory, max_bytes=0) == [("environments", "b"), ("environments", "c"), ("environments", "d")]


def test_content_goes_when_nothing_refers_to_it_but_never_within_the_hour() -> None:
    inventory = having(
        uploads=(
            thing("old", 31 * DAY),
            thing("kept", 99 * DAY, is_needed=True),
            thing("fresh", 3599),
            thing("hour", 3600),
        )
    )
    assert going(inventory) == [("uploads", "old")]
    assert going(inventory, older_than_s=0) == [("uploads", "old"), ("uploads", "hour")]


def test_what_dead_processes_left_always_goes_but_never_within_the_day() -> None:
    inventory = having(
        leftovers=(thing("aside", DAY), thing("busy", DAY - 1)), orphans=(thing("job", 2 * DAY), thing("young", 60))
    )
    assert going(inventory, kinds=frozenset({Kind.JOBS})) == [("leftovers", "aside")]
    assert going(inventory, kinds=frozenset(), older_than_s=0) == [("leftovers", "job"), ("leftovers", "aside")]


def test_the_logs_of_the_home_go_by_their_age() -> None:
    inventory = having(logs=(thing("server.log", 31 * DAY), thing("supervisor.log", DAY)))
    assert going(inventory, kinds=frozenset({Kind.LOGS})) == [("logs", "server.log")]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59, "less than a minute"), (60, "1 minute"), (7200, "2 hours"), (DAY, "1 day"), (45.5 * DAY, "45 days")],
)
def test_ages_are_told_in_words(seconds: float, words: str) -> None:
    assert shown_age(seconds) == words


def test_ages_and_sizes_are_read_with_their_units() -> None:
    ages = {"s": 1.0, "h": 3600.0, "d": DAY}
    assert [_measured(text, "--older-than", ages, "d", "30d") for text in ("30d", "12 H", "0", "1.5")] == [
        30 * DAY,
        12 * 3600,
        0,
        1.5 * DAY,
    ]
    for text in ("", "d", "-1d", "3x", "1e3", "30 days"):
        with pytest.raises(CommandLineInvalid, match=r"--older-than .* as in 30d"):
            _measured(text, "--older-than", ages, "d", "30d")
    assert [_size(count) for count in (0, 999, 1500, 2_000_000, 3_400_000_000, 5e12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.0 MB",
        "3.4 GB",
        "5.0 TB",
    ]
