"""One of several processes on the same store; ``test_shared_store`` starts it and says what it does."""

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

from batchpoint.entities.job import Progress
from batchpoint.errors import Fenced
from batchpoint.store.records import LedgerRow
from batchpoint.store.store import Store, open_store
from tests.contract.made import W, job, row

GROUP = 20


def say(word: str) -> None:
    print(word, flush=True)


def opens(home: Path, name: str) -> None:
    """Open the home when told to, and leave a job there."""
    say("ready")
    sys.stdin.readline()
    with open_store(home) as store:
        store.create_job(W, job(name))


def commits(home: Path, name: str) -> None:
    """Take the job over and commit group after group, each announced once it stands, until fenced or killed."""
    with open_store(home) as store:
        granted = store.claim("j", store.epoch_of("j"), name, "host", os.getpid())
        assert granted
        store.start(granted.fence, 1_000_000, 10_000_000)
        for number in range(1_000_000):
            rows = group(number, name)
            try:
                standing = store.commit(granted.fence, rows, progress(number))
            except Fenced:
                say("fenced")
                return
            say(f"{number} {len(standing)}")


def group(number: int, name: str) -> list[LedgerRow]:
    return [row(GROUP * number + n, segment=name) for n in range(GROUP)]


def progress(number: int) -> Progress:
    return Progress(mini_batches_done=GROUP * (number + 1))


def holds(home: Path, seconds: str) -> None:
    """Lock the whole file for so long, or until a line arrives."""
    connection = sqlite3.connect(home / "batchpoint.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    say("held")
    if seconds == "until told":
        sys.stdin.readline()
    else:
        time.sleep(float(seconds))
    connection.execute("ROLLBACK")
    connection.close()


def dies(home: Path, _: str) -> None:
    """Be killed in the middle of a transaction that has reached the file already."""
    store: Store = open_store(home)
    with store._database.writing() as connection:
        connection.exec_driver_sql("PRAGMA cache_size=1")
        connection.exec_driver_sql("UPDATE jobs SET status = 'Completed', beat = 99")
        for number in range(200):
            filler = {"workspace": W, "name": f"c{number}", "document": "x" * 4000}
            connection.exec_driver_sql("INSERT INTO computes VALUES (:workspace, :name, :document)", filler)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    {act.__name__: act for act in (opens, commits, holds, dies)}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
