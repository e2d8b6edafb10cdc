"""Where the product touches the world: clock, processes, machine, disk; all of it replaced while a seed is played.

The modules themselves stay as they are: only the names are changed under which they find what is not theirs.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import batchpoint.failpoints as failpoints
from batchpoint.engine import run
from batchpoint.engine.preparation.source import Source
from batchpoint.entities.job import Job
from batchpoint.storage import atomic
from tests.simulation.world.disk import TrappedOs
from tests.simulation.world.workers import SimulatedPool

if TYPE_CHECKING:
    from tests.simulation.world.world import World


class Everything(dict[str, object]):
    """Armed at every point."""

    def __contains__(self, point: object) -> bool:
        return True


class Quiet:
    """Logs that nobody reads."""

    def __init__(self, *_: object) -> None:
        self.report = self.usage = self

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@contextlib.contextmanager
def living_in(world: "World") -> Iterator[None]:
    """Let the product live in the world inside the block."""
    clockwork = world.clockwork

    def spring(point: str) -> None:
        world.trip(point)
        if point in ("D14", "D15") and clockwork.current and world.temper.strikes(world, "disk is full"):
            world.seen["no room for the output"] += 1
            raise OSError(errno.ENOSPC, "No space left on device")

    def fsync(descriptor: int) -> None:
        world.trip("sync")
        if world.temper.strikes(world, "sync fails"):
            world.seen["sync fails"] += 1
            world.driver.job.look()
            world.driver.job.is_unsure |= world.driver.job.seen_there is not None
            raise OSError(errno.EIO, "Input/output error")
        world.disk.sync(descriptor)

    def link(source: Path, target: Path) -> None:
        world.trip("link")
        os.link(source, target)

    def open_pool(*_: object) -> SimulatedPool:
        pool = SimulatedPool(world.driver)
        world.driver.pools.append(pool)
        return pool

    def interpreter(job: Job, folder: object, settings: object, note: object, still_wanted: Callable[[], None]) -> str:
        _take(world, world.temper.build_s, still_wanted)
        return "/usr/bin/python3"

    class Preparation:
        def __init__(self, job: Job, *rest: object) -> None:
            self.job = job
            self.still_wanted: Callable[[], None] = rest[-1]  # type: ignore[assignment]

        def find(self, *_: object) -> Source:
            return Source("/i")

        def items(self, *_: object) -> list[bytes]:
            _take(world, world.temper.list_s, self.still_wanted)
            return [b"%d" % item for item in range(world.jobs[self.job.name].items)]

    def end_strays(mark: str) -> int:
        for driver in world.drivers:
            if driver.job.name == mark and driver.process.done and driver.host == world.driver.host:
                for pool in driver.pools:
                    pool.orphan(0.0)
        return 0

    def wall() -> float:
        return time.time() + world.wall_s

    names = SimpleNamespace(
        time=SimpleNamespace(sleep=world.sleep, monotonic=world.clock, time=wall),
        socket=SimpleNamespace(gethostname=lambda: world.driver.host),
        os=TrappedOs(getpid=lambda: world.driver.pid),
        uuid=SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=world.draw_nonce())),
        strays=SimpleNamespace(end_strays=end_strays, mark=lambda path: path.name),
    )
    replaced: list[tuple[object, str, object]] = [
        *((run, name, getattr(names, name)) for name in ("time", "socket", "os", "uuid", "strays")),
        (run, "JobLogs", Quiet),
        (run, "interpreter", interpreter),
        (run, "Preparation", Preparation),
        (run, "open_pool", open_pool),
        (run, "uptime", world.clock),
        (atomic, "os", TrappedOs(fsync=fsync, link=link)),
        (atomic, "time", names.time),
        (failpoints, "_armed", Everything()),
        (failpoints, "_spring", spring),
    ]
    before = [(place, name, getattr(place, name)) for place, name, _ in replaced if hasattr(place, name)]
    for place, name, value in replaced:
        if hasattr(place, name):
            setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


def _take(world: "World", seconds: float, still_wanted: Callable[[], None]) -> None:
    """Something that takes long and asks now and then whether it is still wanted."""
    until = world.clockwork.now + seconds
    while world.clockwork.now < until:
        world.sleep(min(0.9, until - world.clockwork.now))
        still_wanted()
