"""One small job whose driver is struck at a failpoint, and what must be true of it afterwards.

A driver comes from the fork server; what was committed and executed is read from store and files, not from the engine.
"""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.entities.job import Job, JobStatus
from batchpoint.store.records import LedgerRow
from tests.process.engine_jobs import Ended, Engine, eventually, good, workers_of
from tests.process.fork_server import ForkServer, Life

ITEMS, SIZE = 12, 2
SCRIPT = """
import os, time
def init(): pass
def run(paths):
    names = [os.path.basename(path) for path in paths]
    log = os.open(os.environ['CALLS'], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(log, (' '.join([str(os.getpid())] + names) + '\\n').encode())
    os.close(log)
    time.sleep(0.01)
    return [name + ': ok' for name in names]
"""


@dataclass
class Patient:
    """The job."""

    engine: Engine
    server: ForkServer
    name: str = "job"
    items: int = ITEMS
    #: Seconds of the lease of its drivers.
    lease_s: float = 30.0
    before: list[LedgerRow] = field(default_factory=list)
    calls_before: int = 0

    def __post_init__(self) -> None:
        source = self.engine.items(self.items, folder=f"in{self.items}")
        self.expected = [f"{number:03}.txt" for number in range(self.items)]
        script = self.engine.script(SCRIPT)
        self.job: Job = self.engine.job(
            script, source, name=self.name, mini_batch_size=SIZE, max_concurrency_per_instance=1
        )

    def driver(self, armed: str = "", *, is_elsewhere: bool = False) -> Life:
        """A driver that this is to befall, or nothing."""
        return self.server.start(
            self.engine.home,
            self.name,
            is_elsewhere=is_elsewhere,
            BATCHPOINT_FAILPOINT=armed,
            BATCHPOINT_DRIVER_LEASE_S=str(self.lease_s),
        )

    def dies_at(self, point: str, time: int = 1) -> None:
        """Kill a driver there, and leave its segments as a worker leaves them that died while it appended."""
        driver = self.driver(f"{point}:kill:{time}")
        assert driver.wait() == -signal.SIGKILL, self.engine.driver_log(self.name)
        eventually(lambda: not workers_of(self.ended().folder), "a worker outlives its driver")
        self.look()
        self.tear()

    def stops_at(self, point: str, time: int = 1) -> Life:
        """A driver that stands still there."""
        driver = self.driver(f"{point}:stop:{time}")
        eventually(lambda: driver.state() == "T", "the driver never came there")
        self.look()
        return driver

    def look(self) -> None:
        """Remember what is committed now, and what was executed until now."""
        self.before = self.ended().rows
        self.calls_before = len(self.ended().called())

    def tear(self) -> None:
        segments = self.ended().folder.segments
        for segment in segments.iterdir() if segments.exists() else ():
            with segment.open("ab") as file:
                file.write(b"half a r")

    def carry_on(self) -> Ended:
        """Another driver ends the job."""
        driver = self.driver()
        assert driver.wait() == 0, self.engine.driver_log(self.name)
        return self.ended()

    def ended(self) -> Ended:
        return self.engine.ended(self.name)

    # ---- judge ----------------------------------------------------------------------------------------------------

    def check(self) -> Ended:
        """The job is whole, as if nothing had been, and nothing of what befell it is left."""
        ended = self.ended()
        assert ended.lines == good(self.expected)
        covered = [range(row.first_item, row.first_item + row.items) for row in ended.rows]
        assert [item for one in covered for item in one] == list(range(self.items)), "every item once, in order"
        assert set(self.before) <= set(ended.rows), "a committed row is never changed"
        committed = {self.expected[row.first_item] for row in self.before}
        again = {call[0] for call in ended.called()[self.calls_before :]} & committed
        assert not again, "what is committed is not executed again"
        assert ended.progress.items_succeeded == self.items and ended.progress.failed_attempts == 0
        self.check_clean()
        return ended

    def check_clean(self) -> None:
        """No process of the job and no half of a file is left."""
        ended = self.ended()
        eventually(lambda: not workers_of(ended.folder), "a worker is left")
        folder = Path(ended.job.settings.output_folder)
        half = [name for name in os.listdir(folder) if name.startswith(".")] if folder.exists() else []
        assert not half, "something unfinished is left beside the output"
        if ended.status is JobStatus.FAILED and ended.output.exists():
            assert "The output stands, complete" in ended.error.message, "a job that failed publishes nothing"
            assert ended.output.read_text().splitlines() == good(self.expected)
