"""Drivers die, lose replies and come back as zombies: each mini-batch has one row, whose bytes were durable first."""

from collections import Counter
from pathlib import Path

import pytest

from batchpoint.engine.preparation.plan import Plan, write_plan
from batchpoint.entities.job import JobStatus
from tests.simulation.succession import MAX_TRIES, NAME, Succession

SEEDS = 300
MINI_BATCHES = 25

WANTED = {
    *("dead", "store unavailable", "fenced", "late request fenced", "request lost", "request late"),
    *("dies at score", "dies at sync", "dies at commit", "dies at freeze", "dies at gather", "dies at complete"),
    *("paused at score", "paused at sync", "paused at commit", "paused at freeze", "paused at complete"),
    "tried again by another driver",
    *("reply lost: commit", "reply lost: freeze", "reply lost: complete", "reply lost: start"),
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    paths = [b"%d" % number for number in range(2 * MINI_BATCHES)]
    return write_plan(tmp_path / "plan.items", tmp_path / "plan.json", "/i", paths, 2)


def test_rows_are_unique_and_durable_whoever_drives(tmp_path: Path, plan: Plan) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen += played(seed, tmp_path, plan).seen
    assert set(seen) >= WANTED, f"never happened: {WANTED - set(seen)}"


def played(seed: int, folder: Path, plan: Plan) -> Succession:
    succession = Succession(seed, folder, plan)
    try:
        succession.run()
        check(succession)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return succession


def check(succession: Succession) -> None:
    assert succession.status is JobStatus.COMPLETED
    rows = succession.ledger.ledger(NAME, 0)
    assert [row.mini_batch for row in rows] == list(range(MINI_BATCHES))
    assert rows == succession.rows_at_freeze
    parts = [(part.segment, part.offset) for row in rows for part in row.parts]
    assert len(parts) == len(set(parts)), "no two rows point to the same bytes"
    assert all(row.attempt <= MAX_TRIES for row in rows)
