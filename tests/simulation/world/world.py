"""One world: jobs, two machines with a supervisor each, their drivers, and faults that the seed has drawn.

Driver, dispatcher, group commit, publishing, the patience with the store and the supervisor's decisions are the
product's own. What must hold is checked where it may break; after a while all faults end, and then every job has to.
"""

import logging
import os
import random
import shutil
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from batchpoint.engine.patience.ledger import PatientLedger
from batchpoint.engine.run import JobRun
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import Fenced, ResourceConflict, StoreUnavailable
from batchpoint.server.supervision.watch import Patience, Watch
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.store.records import Claimed, Fence, Heartbeat, LedgerRow, Tally
from batchpoint.store.store import open_store
from tests.simulation.world.clockwork import Clockwork, Killed, Process
from tests.simulation.world.disk import Disk
from tests.simulation.world.registry import Line, MemoryRecords, Records, Registry, SqlRecords
from tests.simulation.world.temper import Temper
from tests.simulation.world.workers import LINGERS_S, SimulatedPool, row_of

LEASE_S = 30.0
DEATHS_MAX = 10
HOSTS = ("here", "there")
MAX_TRIES = 3
#: Steps around which an output may appear.
PUBLISHING = frozenset({"link", "sync", "D14", "D15", "D16", "D17", "before complete", "after complete"})
#: The last steps are few, and the most is to be lost there: a kill is so many times as likely.
LAST_STEPS = frozenset({"D13", "link", "D15", "D16", "D17", "after freeze", "after complete"})
LAST_TIMES = 15
#: Seconds after the last fault within which every job must have ended.
PATIENCE_S = 2500.0


@dataclass
class SimulatedJob:
    """A job, and what its user knows about it."""

    world: "World"
    name: str
    items: int
    folder: JobFolder
    final: Path
    settings: JobSettings
    #: Items that no attempt can score, and one that kills the driver of whoever tries.
    bad: set[int]
    poison: int | None = None
    #: What stands at the final path, as last seen: inode and content.
    seen_there: tuple[int, bytes] | None = None
    #: How often the path was written for each revision.
    writes: Counter[int] = field(default_factory=Counter)
    #: What the latest Completed revision has published.
    published: bytes | None = None
    #: Its output has its name, and the disk would not say whether it keeps it.
    is_unsure: bool = False
    executions: Counter[tuple[int, int]] = field(default_factory=Counter)
    drivers: int = 0

    def is_bad(self, items: range) -> bool:
        return any(item in self.bad for item in items)

    def is_good(self, item: int) -> bool:
        """Whether a run without faults scores the item."""
        size = self.settings.mini_batch_size
        first = item // size * size
        return not self.is_bad(range(item, item + 1) if self.settings.isolate_failures else range(first, first + size))

    def look(self) -> None:
        """Look at the final path; it may change only while the job may publish, and once for each revision."""
        try:
            inode = os.stat(self.final).st_ino
        except FileNotFoundError:
            inode = 0
        if inode == (self.seen_there[0] if self.seen_there else 0):
            return
        violated = self.world.clockwork.violated
        job = self.world.registry.records.job(self.name)
        if not inode:
            if not self.is_unsure or job.status is not JobStatus.FINALIZING:
                violated(f"I5: the output of {self.name} is gone")
            self.world.seen["an output is taken back"] += 1
            self.seen_there = None
            self.writes[job.revision] -= 1
            return
        self.seen_there = inode, self.final.read_bytes()
        self.writes[job.revision] += 1
        self.world.note(f"{self.name}: the output appears, {len(self.seen_there[1])} bytes")
        if job.status not in (JobStatus.FINALIZING, JobStatus.COMPLETED):
            violated(f"I5: an output of {self.name} appears while it is {job.status}")
        if self.writes[job.revision] > 1:
            violated(f"I5: the output of {self.name} was written twice")
        expected = self.expected(self.world.registry.frozen[self.name, job.revision])
        if self.seen_there[1] != expected:
            violated(f"I6: the output of {self.name} is not what its ledger says")

    def expected(self, rows: list[LedgerRow]) -> bytes:
        return b"".join(
            row_of(self.name, item) for row in rows for item in range(row.first_item, row.first_item + row.succeeded)
        )

    def turned(self, job: Job, rows: list[LedgerRow]) -> None:
        """The job has another status."""
        self.look()
        violated, there = self.world.clockwork.violated, self.seen_there[1] if self.seen_there else None
        if job.status is JobStatus.COMPLETED:
            if there is None or there != self.expected(rows):
                violated(f"I6: {self.name} is Completed without its output")
            if not self.world.disk.holds(self.final, len(there)):
                violated(f"I6: {self.name} is Completed and its output would not outlive a power cut")
            self.published = there
            good = b"".join(row_of(self.name, item) for item in range(self.items) if self.is_good(item))
            if self.world.temper.is_gentle and there != good:
                violated(f"I6: the output of {self.name} is not that of a run without faults")
        self.check_unpublished(job)
        if job.status.is_terminal:
            # Four items are halved twice until each stands alone.
            if any(row.attempt > MAX_TRIES + 2 * job.settings.isolate_failures for row in rows):
                violated(f"I9: a mini-batch of {self.name} has more tries than it may")
            code = job.error.code if job.error else ""
            if code == "InternalServerError" and "Input/output error" not in str(job.error):
                violated(f"a fault of ours in {self.name}: {job.error.message if job.error else ''}")
            self.world.seen[f"ended {job.status}{f' ({code})' if code else ''}"] += 1
            self.world.ended(job, self)

    def check_unpublished(self, job: Job) -> None:
        """A job that failed has not published anything; an output of an earlier revision stands as it was."""
        there = self.seen_there[1] if self.seen_there else None
        is_void = job.status in (JobStatus.FAILED, JobStatus.CANCELED)
        if is_void and there != self.published and not self.may_have_published(job):
            self.world.clockwork.violated(f"I7: {self.name} is {job.status} and has published")

    def may_have_published(self, job: Job) -> bool:
        """Whether the output of a failed job may stand there all the same, as its message says.

        A driver dies between the output and the last word, and the next one finds a broken or a full disk, or dies too.
        """
        code = job.error.code if job.error else ""
        rows = self.world.registry.frozen.get((self.name, job.revision))
        is_whole = rows is not None and self.seen_there is not None and self.seen_there[1] == self.expected(rows)
        return is_whole and code in (
            "DriverKeepsDying",
            "OutputUnwritable",
            "NoSpaceLeft",
            "DiskFailed",
            "InternalServerError",
        )

    def after_power_cut(self) -> None:
        there = self.final.stat().st_ino if self.final.exists() else 0
        if there != (self.seen_there[0] if self.seen_there else 0):
            self.seen_there = None
            self.writes.clear()
            if there:
                self.seen_there = there, self.final.read_bytes()


class DriverProcess:
    """One driver: the real run on a line to the store."""

    def __init__(self, world: "World", job: SimulatedJob, host: str, pid: int, observed_epoch: int) -> None:
        self.world = world
        self.job = job
        self.host = host
        self.pid = pid
        self.observed_epoch = observed_epoch
        self.status: int | None = None
        self.pools: list[SimulatedPool] = []
        self.process = Process(f"{job.name}/{pid}", self._body)

    def wait(self, seconds: float, listens: bool = False) -> None:
        self.world.clockwork.wait(seconds, listens)

    def executes(self, mini_batch: int, items: range) -> None:
        """A worker of this driver begins with these items."""
        job, registry = self.job, self.world.registry
        if registry.holds(self) and registry.covers(job.name, items):
            self.world.clockwork.violated(f"items {items} of {job.name} are committed, and executed again")
        if job.poison in items and not self.process.killed:
            self.world.seen["poison"] += 1
            self.world.kill(self)
        job.executions[mini_batch, items.start] += 1
        # Attempts that a driver has not told its successor of are lost with it.
        allowed = (MAX_TRIES + 6) * (job.drivers + 1)
        if job.executions[mini_batch, items.start] > allowed:
            self.world.clockwork.violated(f"I9: mini-batch {mini_batch} of {job.name} is executed again and again")

    def _body(self) -> None:
        world, key = self.world, (self.host, self.job.name)
        try:
            if key in world.locks:
                world.seen["found the lock taken"] += 1
                self.status = 0
                return
            world.locks[key] = self
            self.status = self._drive()
            if any(not pool.closed for pool in self.pools):
                world.clockwork.violated(f"I13: a driver of {self.job.name} left its workers behind")
        finally:
            if self.process.killed:
                self.status = -9
            if world.locks.get(key) is self:
                del world.locks[key]

    def _drive(self) -> int:
        world = self.world
        ledger = PatientLedger(Line(self), world.lease_s, world.clock, world.sleep)
        try:
            settings, folder = world.settings, self.job.folder
            run = JobRun(self.job.name, ledger, folder, settings, clock=world.clock, observed_epoch=self.observed_epoch)
            run.execute()
        except Fenced:
            world.seen["driver fenced"] += 1
            return 0
        except StoreUnavailable:
            world.seen["driver gives the store up"] += 1
            return 75
        except Exception:
            world.seen["driver fails"] += 1
            return 70
        return 0


class Machine:
    """The drivers of one host, as its supervisor sees them."""

    def __init__(self, world: "World", host: str) -> None:
        self.world = world
        self.host = host
        self._started: dict[str, DriverProcess] = {}

    def start(self, job: str, observed_epoch: int) -> None:
        if self.world.temper.strikes(self.world, "no process"):
            self.world.seen["no process"] += 1
            raise OSError(11, "Resource temporarily unavailable")
        self._started[job] = self.world.start_driver(job, self.host, observed_epoch)

    def poll(self, job: str) -> int | None:
        return self._started[job].status

    def is_held(self, job: str) -> bool:
        return (self.host, job) in self.world.locks

    def kill(self, job: str, beat: Heartbeat) -> None:
        self.world.seen["supervisor kills"] += 1
        for driver in list(self.world.drivers):
            is_meant = driver is self._started.get(job) or (self.host, driver.pid) == (beat.host, beat.pid)
            if (is_meant or self.world.locks.get((self.host, job)) is driver) and driver.host == self.host:
                self.world.kill(driver)

    def close(self, job: str, sentence: str) -> None:
        self.world.note(f"{job}: {sentence}")


class SupervisorLine:
    """The way from a supervisor to the store; it asks at once or not at all."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._registry = world.registry

    def placed_jobs(self) -> list[Job]:
        if self._world.is_store_down():
            raise StoreUnavailable("down")
        return self._registry.records.placed_jobs()

    def heartbeats(self) -> dict[str, Heartbeat]:
        return self._registry.records.heartbeats()

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        if any(self._world.temper.strikes(self._world, "reply lost") for _ in range(5)):
            self._registry.claim(job, observed_epoch, nonce, host, pid, None)
            self._world.seen["supervisor's reply lost"] += 1
            raise StoreUnavailable("reply lost")
        claimed = self._registry.claim(job, observed_epoch, nonce, host, pid, None)
        self._world.seen["supervisor takes over" if claimed else "supervisor comes too late"] += 1
        return claimed

    def tally(self, job: str, revision: int) -> Tally:
        return self._registry.records.tally(job, revision)

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: tuple[object, ...]) -> None:
        self._registry.deliver("fail", fence, lambda records: records.fail(fence, error, progress, ()))

    def canceled(self, fence: Fence, progress: Progress) -> None:
        self._world.seen["supervisor cancels"] += 1
        self._registry.deliver("canceled", fence, lambda records: records.canceled(fence, progress))


class World:
    """Everything that one seed is about; ``play`` raises AssertionError when something does not hold."""

    def __init__(self, seed: int, root: Path) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.temper = Temper.drawn(self.dice)
        self.root = root
        self.lease_s = LEASE_S
        self.seen: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=200)
        self.clockwork = Clockwork()
        self.disk = Disk(root, self.dice)
        self.settings = Settings(home=root, resource_monitor_interval_s=1e12, driver_lease_s=LEASE_S)
        self.registry = Registry(self, self._records())
        self.locks: dict[tuple[str, str], DriverProcess] = {}
        self.drivers: list[DriverProcess] = []
        self.pids = 0
        self.nonces = 0
        self.wall_s = 0.0
        self.store_down_until = 0.0
        self.jobs: dict[str, SimulatedJob] = {}
        self.watches: dict[str, Watch] = {}
        self.supervisor_stopped_until = dict.fromkeys(HOSTS, 0.0)
        self.clock: Callable[[], float] = lambda: self.clockwork.now
        self.sleep: Callable[[float], None] = self.clockwork.wait

    def _records(self) -> Records:
        if self.seed % 20 == 7:
            self.seen["a real store"] += 1
            store = open_store(self.root)
            store.__class__ = SqlRecords
            return store  # type: ignore[return-value]
        return MemoryRecords()

    # ---- play -----------------------------------------------------------------------------------------------------

    def play(self) -> None:
        # A store of files takes ten times as long.
        for number in range(self.dice.choice([1, 1, 2, 3]) if isinstance(self.registry.records, MemoryRecords) else 1):
            self._submit(f"j{number}")
        for number, host in enumerate(HOSTS[: self.temper.hosts]):
            self._new_watch(host)
            self._later(0.1 * number, lambda host=host: self._look(host))
        for kind, rate in self.temper.events.items():
            self._plan_event(kind, rate)
        self._later(self.temper.quiet_at, self._quiet)
        self._later(self.temper.quiet_at + PATIENCE_S, self._too_late)
        try:
            self.clockwork.run()
        finally:
            if isinstance(self.registry.records, SqlRecords):
                self.registry.records.close()
        for job in self.jobs.values():
            self._check_end(job)

    def _check_end(self, job: SimulatedJob) -> None:
        found = self.registry.records.job(job.name)
        assert found.status.is_terminal, f"I12: {job.name} is {found.status} when all is over"
        there = job.final.read_bytes() if job.final.exists() else None
        assert there == job.published or job.may_have_published(found), (
            f"I7: {job.name} is {found.status}, and its output is another"
        )

    def _submit(self, name: str) -> None:
        dice, size = self.dice, self.dice.randint(1, 4)
        items = dice.randint(1, 10) * size - dice.randrange(size)
        output = self.root / "out" / name
        output.mkdir(parents=True)
        settings = JobSettings(
            code_path="/c",
            scoring_script="s.py",
            input=Input(path="/i"),
            output_folder=str(output),
            mini_batch_size=size,
            max_retries=MAX_TRIES,
            timeout_s=10,
            max_concurrency_per_instance=dice.randint(1, 3),
            error_threshold=dice.choice([-1, -1, -1, 0, items // 2]),
            isolate_failures=dice.random() < 0.7,
        )
        bad = {item for item in range(items) if dice.random() < self.temper.badness}
        poison = dice.randrange(items) if dice.random() < self.temper.poison else None
        folder = job_folder(self.root, name)
        folder.path.mkdir(parents=True)
        job = SimulatedJob(self, name, items, folder, output / settings.output_file_name, settings, bad, poison)
        self.jobs[name] = job
        self.registry.records.create(Job(name=name, endpoint_name="e", deployment_name="d", settings=settings))

    def _new_watch(self, host: str) -> None:
        patience = Patience(self.lease_s, DEATHS_MAX)
        line = SupervisorLine(self)
        self.watches[host] = Watch(line, Machine(self, host), patience, self.clock, self.draw_nonce)

    def _look(self, host: str) -> None:
        if self.clockwork.now >= self.supervisor_stopped_until[host]:
            try:
                self.watches[host].look()
            except StoreUnavailable:
                self.seen["supervisor finds the store down"] += 1
        self._later(self.dice.uniform(2.0, 5.0), lambda: self._look(host))

    def _quiet(self) -> None:
        """From here on nothing goes wrong any more."""
        self.note("all faults end")
        self.temper = self.temper.calm()
        self.store_down_until = 0.0
        self.supervisor_stopped_until = dict.fromkeys(HOSTS, 0.0)

    def _too_late(self) -> None:
        for job in self.registry.records.placed_jobs():
            self.clockwork.violated(f"I12: {job.name} is still {job.status} long after the last fault")

    def ended(self, job: Job, simulated: SimulatedJob) -> None:
        """A job has come to an end; perhaps somebody has it scored again."""
        is_early = self.clockwork.now < 300
        if job.revision < 2 and is_early and self.temper.redrives and self.dice.random() < 0.7:
            self._later(self.dice.uniform(0, 40), lambda: self._redrive(simulated))
        elif not self.registry.records.placed_jobs():
            # What is late may still arrive.
            self._later(4 * self.lease_s, self._finish_if_idle)

    def _finish_if_idle(self) -> None:
        self.clockwork.over = self.clockwork.over or not self.registry.records.placed_jobs()

    def _redrive(self, job: SimulatedJob) -> None:
        found = self.registry.records.job(job.name)
        if not found.status.is_terminal:
            return
        self.seen[f"a job that was {found.status} is scored again"] += 1
        job.bad = {item for item in job.bad if self.dice.random() < 0.3}
        job.poison = None
        try:
            self.registry.records.next_revision(job.name, job.settings)
        except ResourceConflict:
            return
        self.registry.reopened(job.name)
        self.note(f"{job.name}: next revision")

    # ---- drivers --------------------------------------------------------------------------------------------------

    def start_driver(self, job: str, host: str, observed_epoch: int) -> DriverProcess:
        self.pids += 1
        driver = DriverProcess(self, self.jobs[job], host, self.pids, observed_epoch)
        self.jobs[job].drivers += 1
        self.drivers = [one for one in self.drivers if not one.process.done]
        self.drivers.append(driver)
        self.seen["driver"] += 1
        self.note(f"{job}: driver {driver.pid} starts on {host}, has seen claim {observed_epoch}")
        self.clockwork.start(driver.process, self.dice.uniform(0.3, 2.0))
        return driver

    def kill(self, driver: DriverProcess, lingers_s: float = LINGERS_S) -> None:
        if driver.process.done or driver.process.killed:
            return
        self.note(f"{driver.process.name} is killed")
        for pool in driver.pools:
            pool.orphan(self.dice.uniform(0, lingers_s))
        self._spare_asides(driver.job)
        if driver.process.thread is None:
            driver.status = -9
        self.clockwork.kill(driver.process)

    def _spare_asides(self, job: SimulatedJob) -> None:
        """A process that is killed tidies nothing up; the thread that plays it would."""
        spared = [(path, path.with_name(f"spared-{self.nonces}-{number}")) for number, path in self._asides(job)]
        for path, spare in spared:
            os.link(path, spare)
        self._later(0.0, lambda: [_put_back(path, spare) for path, spare in spared])

    def _asides(self, job: SimulatedJob) -> list[tuple[int, Path]]:
        self.nonces += 1
        names = sorted(name for name in os.listdir(job.final.parent) if name.endswith(".aside"))
        return [(number, job.final.parent / name) for number, name in enumerate(names)]

    @property
    def driver(self) -> DriverProcess:
        """Whose code runs now."""
        return next(one for one in self.drivers if one.process is self.clockwork.current)

    def draw_nonce(self) -> str:
        self.nonces += 1
        return f"n{self.nonces}"

    # ---- faults ---------------------------------------------------------------------------------------------------

    def trip(self, where: str) -> None:
        """A driver does a step: it may die here, or stand still while others go on."""
        current = self.clockwork.current
        if current is None:
            return
        if current.killed:
            raise Killed
        driver = self.driver
        if where in PUBLISHING:
            driver.job.look()
        if any(self.temper.strikes(self, "kill") for _ in range(LAST_TIMES if where in LAST_STEPS else 1)):
            self.seen["killed"] += 1
            self.seen[f"killed at {where}"] += 1
            self.kill(driver)
        if self.temper.strikes(self, "pause"):
            self.seen["stopped"] += 1
            self.seen[f"stopped at {where}"] += 1
            self.note(f"{current.name} is stopped at {where}")
            self.clockwork.wait(self.dice.uniform(0, 4) * self.lease_s)
            self.note(f"{current.name} goes on")
        elif self.temper.strikes(self, "step"):
            self.clockwork.wait(self.dice.uniform(0, 0.2))

    def fate_of_request(self) -> str:
        if self.is_store_down():
            return "store down"
        kinds = ("request lost", "request late", "reply lost")
        return next((kind for kind in kinds if self.temper.strikes(self, kind)), "")

    def is_store_down(self) -> bool:
        return self.clockwork.now < self.store_down_until

    def _later(self, seconds: float, event: Callable[[], object]) -> None:
        self.clockwork.at(self.clockwork.now + seconds, event)  # type: ignore[arg-type]

    def _plan_event(self, kind: str, rate: float) -> None:
        """Events of a kind come so often in a second, on the average, until all is quiet."""

        def happen() -> None:
            if self.clockwork.now < self.temper.quiet_at:
                self.seen[kind] += 1
                self.note(kind)
                getattr(self, "_" + kind.replace(" ", "_"))()
                self._plan_event(kind, rate)

        self._later(self.dice.expovariate(rate), happen)

    def _store_goes_down(self) -> None:
        self.store_down_until = self.clockwork.now + self.dice.uniform(0, 2) * self.lease_s

    def _power_cut(self) -> None:
        for driver in self.drivers:
            self.kill(driver, 0.0)
        # Their threads have ended when the next event comes.
        self._later(0.0, lambda: self._later(0.0, self._lose_power))

    def _lose_power(self) -> None:
        for job in self.jobs.values():
            self.disk.lose_power([job.folder.path, job.folder.segments, job.folder.tries, job.final.parent])
            job.after_power_cut()
        for host in self.watches:
            self._new_watch(host)

    def _host_dies(self) -> None:
        host = self.dice.choice(list(self.watches))
        for driver in self.drivers:
            if driver.host == host:
                self.kill(driver, 0.0)
        self._new_watch(host)
        self.supervisor_stopped_until[host] = self.clockwork.now + self.dice.uniform(0, 4) * self.lease_s

    def _supervisor_restarts(self) -> None:
        self._new_watch(self.dice.choice(list(self.watches)))

    def _supervisor_stands_still(self) -> None:
        host = self.dice.choice(list(self.watches))
        self.supervisor_stopped_until[host] = self.clockwork.now + self.dice.uniform(0, 4) * self.lease_s

    def _driver_stands_still(self) -> None:
        living = [driver for driver in self.drivers if not driver.process.done]
        if living:
            # Now and then for good: it hangs, and only a kill can end it.
            seconds = self.dice.choice([0.5, 1, 2, 4, 1e6]) * self.lease_s
            self.clockwork.stop(self.dice.choice(living).process, seconds)

    def _wall_clock_jumps(self) -> None:
        self.wall_s += self.dice.uniform(-3600, 3600)

    def _cancel(self) -> None:
        job = self.dice.choice(list(self.jobs.values()))
        try:
            self.registry.records.cancel(job.name)
        except ResourceConflict:
            self.seen["cancel comes too late"] += 1
            return
        found = self.registry.records.job(job.name)
        if found.status.is_terminal:
            job.turned(found, self.registry.records.ledger(job.name, found.revision))

    # ---- telling --------------------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        self.trace.append(f"{self.clockwork.now:9.2f}  {what}")

    def fail(self, error: BaseException) -> NoReturn:
        lines = "\n".join(self.trace)
        raise AssertionError(
            f"seed {self.seed}: {error}\nreplay: python -m tests.simulation.world --seed {self.seed} --trace\n{lines}"
        ) from error


def _put_back(path: Path, spare: Path) -> None:
    if spare.exists():
        if path.exists():
            spare.unlink()
        else:
            spare.rename(path)


def played(seed: int, root: Path) -> World:
    """The world of a seed after its last event."""
    from tests.simulation.world.seams import living_in

    folder = root / f"seed-{seed}"
    world = World(seed, folder)
    was_disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with living_in(world):
            world.play()
    except AssertionError as error:
        world.fail(error)
    finally:
        logging.disable(was_disabled)
        shutil.rmtree(folder, ignore_errors=True)
    return world
