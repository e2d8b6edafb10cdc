"""Kills drivers and workers of one job at random moments, and remembers what was committed before each kill.

A kill counts only between the job's first commit and its publish. What was committed is read from the store and the
segments themselves, what was executed from a file outside that run() appends to; neither asks the engine.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from batchpoint.entities.job import JobStatus
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.records import LedgerRow, Part
from tests.process.engine_jobs import Driver, Ended, Engine, eventually, workers_of

#: Takes its time until FINISH exists, and holds the last mini-batch until then. TOKENS=1: no row comes out twice.
SCRIPT = """
import os, time
def init(): pass
def run(paths):
    names = [os.path.basename(path) for path in paths]
    log = os.open(os.environ['CALLS'], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(log, (' '.join([str(os.getpid())] + names) + '\\n').encode())
    os.close(log)
    if not os.path.exists(os.environ['FINISH']): time.sleep(float(os.environ['SLEEP_S']))
    while os.environ['LAST'] in names and not os.path.exists(os.environ['FINISH']): time.sleep(0.01)
    return [name + ' ' + (os.urandom(8).hex() if os.environ.get('TOKENS') else 'x' * 16) for name in names]
"""


@dataclass
class Committed:
    """One look at what stands in the ledger."""

    rows: dict[int, LedgerRow]
    #: Length of the file of calls right after; whatever comes later was called after the commit.
    calls_length: int


@dataclass
class Campaign:
    """One job under fire."""

    engine: Engine
    seed: int
    items: int = 2400
    size: int = 2
    name: str = "job"
    tokens: bool = True
    sleep_s: float = 0.02
    #: Longest rest between two kills, in seconds.
    rest_s: float = 0.3
    #: Starts a driver of a job; None: a process of its own.
    start: Callable[[str], Driver] | None = None
    kills: Counter[str] = field(default_factory=Counter)
    #: Bytes of each mini-batch as they were when its row was first seen.
    contents: dict[int, bytes] = field(default_factory=dict)
    looks: list[Committed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.finish = self.engine.outside / f"finish-{self.name}"
        self.folder = job_folder(self.engine.home, self.name)
        environment = {
            "FINISH": str(self.finish),
            "SLEEP_S": str(self.sleep_s),
            "LAST": f"{self.items - 1:06}.txt",
            "TOKENS": "1" if self.tokens else "",
        }
        self.names = [f"{number:06}.txt" for number in range(self.items)]
        self.engine.job(
            self.engine.script(SCRIPT),
            self.engine.files(self.names),
            name=self.name,
            mini_batch_size=self.size,
            max_concurrency_per_instance=2,
            environment=environment,
        )
        self.driver: Driver = self.start_driver()

    def start_driver(self) -> Driver:
        return (self.start or self.engine.start_driver)(self.name)

    # ---- fire -----------------------------------------------------------------------------------------------------

    def fire(self, drivers: int, workers: int) -> None:
        """Kill so many of each in random order, then let the job finish."""
        eventually(self.committed, "no first commit")
        shots = ["driver"] * drivers + ["worker"] * workers
        self.dice.shuffle(shots)
        for shot in shots:
            self.wait_a_while()
            assert self.status is JobStatus.RUNNING
            self.look()
            self.kill_driver() if shot == "driver" else self.kill_worker()
        self.finish.touch()

    def wait_a_while(self) -> None:
        """Mostly until whoever was started last has got somewhere; else it is met while it starts."""
        if self.dice.random() < 0.7:
            done = self.committed()
            eventually(lambda: self.committed() > done, "no progress")
        time.sleep(self.dice.uniform(0, self.rest_s))

    def committed(self) -> int:
        """Mini-batches in the ledger."""
        return self.engine.store.tally(self.name, 0).mini_batches

    def kill_driver(self) -> None:
        self.driver.kill()
        self.driver.wait()
        self.kills["driver"] += 1
        self.driver = self.start_driver()

    def kill_worker(self) -> None:
        eventually(lambda: self._shot_a_worker(), "no worker to kill")
        self.kills["worker"] += 1

    def _shot_a_worker(self) -> bool:
        living = workers_of(self.folder)
        if not living:
            return False
        try:
            os.kill(self.dice.choice(sorted(living)), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    # ---- look -----------------------------------------------------------------------------------------------------

    @property
    def status(self) -> JobStatus:
        job = self.engine.store.find_job(self.name)
        assert job is not None
        return job.status

    def look(self) -> None:
        """Remember what is committed now."""
        rows = {row.mini_batch: row for row in self.engine.store.ledger(self.name, 0)}
        calls = self.engine.calls(self.name)
        self.looks.append(Committed(rows, calls.stat().st_size if calls.exists() else 0))
        for mini_batch in rows.keys() - self.contents.keys():
            self.contents[mini_batch] = b"".join(map(self._bytes, rows[mini_batch].parts))

    def _bytes(self, part: Part) -> bytes:
        with (self.folder.segments / part.segment).open("rb") as segment:
            segment.seek(part.offset)
            return segment.read(part.length)

    # ---- judge ----------------------------------------------------------------------------------------------------

    def check(self) -> Ended:
        """The job is complete, holds what was committed, and executed nothing again that was."""
        ended = self.engine.wait(self.driver, self.name)
        assert [line.split()[0] for line in ended.lines] == self.names
        self.look()
        output = ended.output.read_bytes()
        assert output == b"".join(self.contents[index] for index in range(len(ended.rows)))
        final = self.looks[-1].rows
        for look in self.looks:
            assert look.rows.items() <= final.items(), "a committed row is never changed"
            self._check_no_call_again(look)
        assert not workers_of(self.folder)
        assert ended.progress.items_succeeded == self.items and ended.progress.failed_attempts == 0
        assert not (self.folder.logs / "user" / "error.txt").exists(), "a kill from outside is nobody's failure"
        if self.tokens:
            assert len({line.split()[1] for line in ended.lines}) == self.items
        return ended

    def _check_no_call_again(self, look: Committed) -> None:
        with self.engine.calls(self.name).open("rb") as calls:
            calls.seek(look.calls_length)
            later = {int(line.split()[1][:6]) // self.size for line in calls.read().decode().splitlines()}
        assert not later & look.rows.keys(), "what is committed is not executed again"

    def drivers_that_committed(self) -> int:
        """Drivers of which rows stand in the ledger."""
        parts = [part for row in self.looks[-1].rows.values() for part in row.parts]
        return len({part.segment.rsplit(".", 1)[0] for part in parts})

    def executed_again(self) -> int:
        """Mini-batches that were executed more than once: not yet committed when their driver or worker died."""
        calls = Counter(line[0] for line in self.engine.ended(self.name).called())
        return sum(count > 1 for count in calls.values())
