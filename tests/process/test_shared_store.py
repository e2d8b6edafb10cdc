"""Several processes on one store: opening at once, committing at once, waiting for each other, being killed."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus, Progress
from batchpoint.errors import StoreUnavailable
from batchpoint.store.schema import REVISIONS
from batchpoint.store.store import open_store
from tests.contract.made import W, job, row
from tests.contract.test_store import await_first_migration
from tests.process.store_actor import GROUP, group

ROOT = Path(__file__).parents[2]
Start = Callable[[str, Path, str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts actors; whoever is still there at the end is killed."""
    actors: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}

    def begin(act: str, home: Path, word: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.process.store_actor", act, str(home), word]
        actor = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        actors.append(actor)
        return actor

    yield begin
    for actor in actors:
        actor.kill()
        actor.communicate()


def heard(actor: "subprocess.Popen[str]") -> str:
    assert actor.stdout
    return actor.stdout.readline().strip()


def told(actor: "subprocess.Popen[str]") -> None:
    assert actor.stdin
    actor.stdin.write("go\n")
    actor.stdin.flush()


@pytest.mark.parametrize("state", ["no home", "fresh home", "old file"])
def test_four_processes_may_open_a_home_at_once(home: Path, start: Start, state: str) -> None:
    store_home = home if state == "fresh home" else home / "store"
    if state == "old file":
        await_first_migration(store_home)
    actors = [start("opens", store_home, f"j{n}") for n in range(4)]
    assert [heard(actor) for actor in actors] == ["ready"] * 4
    for actor in actors:
        told(actor)
    assert [actor.wait(60) for actor in actors] == [0] * 4
    with open_store(store_home) as store:
        assert {one.name for one in store.list_jobs(W)} == {"j0", "j1", "j2", "j3"}
    connection = sqlite3.connect(store_home / "batchpoint.db")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]
    connection.close()


def test_a_driver_that_was_replaced_while_it_commits_keeps_what_stands_and_adds_nothing(
    home: Path, start: Start
) -> None:
    with open_store(home) as store:
        store.create_job(W, job("j"))
        first = start("commits", home, "first")
        acknowledged = [heard(first) for _ in range(5)]
        second = start("commits", home, "second")
        while (line := heard(first)) != "fenced":
            acknowledged.append(line)
        counts = [int(heard(second).split()[1]) for _ in range(len(acknowledged) + 5)]
        second.kill()
        second.wait()
        rows = store.ledger("j", 0)
        assert store.heartbeat("j").epoch == 2
    assert acknowledged == [f"{n} {GROUP}" for n in range(len(acknowledged))]
    mine = GROUP * len(acknowledged)
    assert rows[:mine] == [one for n in range(len(acknowledged)) for one in group(n, "first")]
    assert {part.segment for one in rows[mine:] for part in one.parts} == {"second"}
    assert counts == [0] * len(acknowledged) + [GROUP] * 5


def test_drivers_killed_while_they_commit_leave_whole_groups_and_everything_acknowledged(
    home: Path, start: Start
) -> None:
    with open_store(home) as store:
        store.create_job(W, job("j"))
        for life in range(1, 6):
            driver = start("commits", home, f"life{life}")
            lines = [heard(driver) for _ in range(7 * life)]
            os.kill(driver.pid, signal.SIGKILL)
            assert driver.wait() == -signal.SIGKILL
            assert driver.stdout
            lines += [line for line in driver.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
            rows = store.ledger("j", 0)
            assert [one.mini_batch for one in rows] == list(range(len(rows)))
            assert len(rows) % GROUP == 0, "a group was torn"
            assert len(rows) >= GROUP * len(lines), "what was acknowledged is gone"
            found = store.find_job("j")
            assert found and found.status is JobStatus.RUNNING
            assert store.heartbeat("j").epoch == life
        granted = store.claim("j", 5, "last", "host", 1)
        assert granted and granted.driver_deaths == 5
    assert integrity(home) == "ok"


def test_a_process_killed_in_the_middle_of_a_transaction_is_rolled_back(home: Path, start: Start) -> None:
    with open_store(home) as store:
        store.create_job(W, job("j"))
    before = (home / "batchpoint.db").read_bytes()
    assert start("dies", home, "").wait(60) == -signal.SIGKILL
    assert (home / "batchpoint.db").read_bytes() != before, "the transaction never reached the file"
    with open_store(home) as store:
        assert store.find_job("j") == job("j")
        assert store.list_computes(W) == []
    assert integrity(home) == "ok"


def integrity(home: Path) -> str:
    connection = sqlite3.connect(home / "batchpoint.db")
    answer = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    connection.close()
    return answer


def test_who_finds_the_file_locked_waits(home: Path, start: Start) -> None:
    with open_store(home) as store:
        store.create_job(W, job("j"))
        assert heard(start("holds", home, "0.5")) == "held"
        assert store.claim("j", 0, "mine", "host", 7)


def test_who_has_waited_long_enough_says_so_and_may_repeat(home: Path, start: Start) -> None:
    with open_store(home) as store:
        store.create_job(W, job("j"))
    with open_store(home, busy_timeout_s=0.1) as store:
        granted = store.claim("j", 0, "mine", "host", 7)
        assert granted
        store.start(granted.fence, 1, 10)
        holder = start("holds", home, "until told")
        assert heard(holder) == "held"
        with pytest.raises(StoreUnavailable, match="locked"):
            store.commit(granted.fence, [row(0)], Progress())
        with pytest.raises(StoreUnavailable, match="locked"):
            store.find_job("j")
        with pytest.raises(StoreUnavailable, match="locked"):
            open_store(home, busy_timeout_s=0.1)
        told(holder)
        assert holder.wait(60) == 0
        assert store.commit(granted.fence, [row(0)], Progress()) == {(0, 0)}
        assert store.ledger("j", 0) == [row(0)]
