"""Keeps drivers alive: every job that has its instances gets one driver process, and a new one when that dies.

The server runs a ``Supervisor`` in a thread; without a server ``python -m batchpoint.server.supervisor`` runs one,
detached, until nothing is left to do. Drivers are processes of their own and outlive it.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute.machine import gpus
from batchpoint.entities.job import Job, JobStatus
from batchpoint.errors import ResourceNotFound, StoreUnavailable
from batchpoint.server.capacity import Capacity
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.store.store import Store, open_store

log = logging.getLogger("batchpoint.supervisor")

_POLL_S = 0.2
#: Shortest rest after a look, as a multiple of the time that the look took.
_REST = 5.0
#: Pause before the next driver of a job whose drivers die without getting anywhere: doubled each time, up to the cap.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
#: A driver that is still there so long after a cancel is stuck in something; its successor ends what it left.
_CANCEL_PATIENCE_S = 2.5
_LOCK_NAME = "supervisor.lock"


@dataclass
class _Driver:
    """What we remember of the drivers of one job."""

    process: subprocess.Popen[bytes] | None = None
    #: How many died since the job last got further.
    deaths: int = 0
    not_before: float = 0.0
    #: What had been scored when the present driver was started.
    done: int = -1
    #: When the cancel of the job was first seen, or the last driver was killed for it; None: nobody asked for one.
    cancel_seen: float | None = None
    #: Seconds from then on in which the driver has to end the job.
    patience_s: float = _CANCEL_PATIENCE_S


class Supervisor:
    """Watches the open jobs of one home. One thread calls it.

    ``keeps_idle``: instances of computes may outlive their jobs, because it is a server's.
    """

    def __init__(self, store: Store, settings: Settings, *, keeps_idle: bool) -> None:
        self._store = store
        self._capacity = Capacity(store, settings.home, gpus(), keeps_idle=keeps_idle)
        self._settings = settings
        self._drivers: dict[str, _Driver] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()

    def wake(self) -> None:
        """There is a new job: look now. May be called from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Return from ``run`` soon; drivers go on. May be called from any thread."""
        self._stop.set()
        self._wake.set()

    def run(self, idle_s: float | None = None) -> None:
        """Supervise until stopped, or until no job has been open for ``idle_s`` seconds."""
        idle_since = time.monotonic()
        while not self._stop.is_set():
            began = time.monotonic()
            if self._look():
                idle_since = time.monotonic()
            elif idle_s is not None and time.monotonic() - idle_since >= idle_s:
                return
            # With ten thousand jobs a look takes a while, and must not take all of a core.
            self._wake.wait(max(_POLL_S, _REST * (time.monotonic() - began)))
            self._wake.clear()

    def _look(self) -> bool:
        """Give jobs their instances and those that have them a driver; True while a job or a driver of ours is left."""
        try:
            waiting = self._capacity.settle()
            jobs = self._store.placed_jobs()
        except StoreUnavailable as error:
            log.warning("store unavailable, looking again: %s", error)
            return True
        for job in jobs:
            try:
                self._attend(job)
            except OSError as error:
                # No room for a log, no more processes: the supervisor of all jobs must outlive that.
                self._note_no_start(job, error)
        open_names = {job.name for job in jobs}
        for name in [name for name, driver in self._drivers.items() if name not in open_names]:
            if not _alive(self._drivers[name]):
                del self._drivers[name]
        return bool(waiting or jobs or self._drivers)

    def _attend(self, job: Job) -> None:
        driver = self._drivers.setdefault(job.name, _Driver())
        if job.status is JobStatus.CANCEL_REQUESTED:
            self._see_cancel(job, driver)
        if _alive(driver):
            return
        if driver.process is not None:
            self._note_death(job, driver)
        # A driver that an earlier supervisor started holds the lock of its job.
        if time.monotonic() < driver.not_before or is_locked(job_folder(self._settings.home, job.name).lock):
            return
        driver.done = job.progress.mini_batches_done
        driver.process = self._start(job.name)

    def _see_cancel(self, job: Job, driver: _Driver) -> None:
        """A canceled job has no time for pauses, and its driver none for what it is stuck in."""
        now = time.monotonic()
        if driver.cancel_seen is None:
            driver.cancel_seen, driver.not_before = now, 0.0
        elif now - driver.cancel_seen >= driver.patience_s:
            driver.cancel_seen, driver.not_before = now, 0.0
            # Where everything is slow, its successor may not even have started so soon.
            driver.patience_s *= 2
            if driver.process is not None:
                driver.process.kill()
            else:
                self._kill_inherited(job.name)

    def _kill_inherited(self, name: str) -> None:
        """End the driver that an earlier supervisor started, if it is on this machine."""
        with contextlib.suppress(OSError, ResourceNotFound, StoreUnavailable):
            beat = self._store.heartbeat(name)
            command = Path(f"/proc/{beat.pid}/cmdline").read_bytes().split(b"\0")
            if beat.host == socket.gethostname() and b"batchpoint.engine" in command and name.encode() in command:
                os.kill(beat.pid, signal.SIGKILL)

    def _note_death(self, job: Job, driver: _Driver) -> None:
        got_further = job.progress.mini_batches_done > driver.done
        driver.deaths = 1 if got_further else driver.deaths + 1
        pause = 0.0 if got_further else pause_after(driver.deaths)
        driver.not_before = time.monotonic() + (0.0 if driver.cancel_seen else pause)
        status = driver.process.returncode if driver.process else None
        driver.process = None
        log.warning("driver of %s ended with %s; the next one starts in %g s", job.name, status, pause)

    def _note_no_start(self, job: Job, error: OSError) -> None:
        driver = self._drivers[job.name]
        driver.deaths += 1
        pause = pause_after(driver.deaths)
        driver.not_before = time.monotonic() + pause
        log.warning("no driver of %s can be started, trying again in %g s: %s", job.name, pause, error)

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        folder = job_folder(self._settings.home, name)
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.driver_log.open("ab") as output:
            return start_detached("batchpoint.engine", [name], self._settings, output.fileno())


def pause_after(deaths: int) -> float:
    """Seconds until the next driver of a job that lost ``deaths`` of them without getting any further."""
    return float(min(_FIRST_PAUSE_S * 2 ** min(deaths - 1, 16), _LONGEST_PAUSE_S))


def _alive(driver: _Driver) -> bool:
    return driver.process is not None and driver.process.poll() is None


def start_detached(module: str, arguments: list[str], settings: Settings, output: int) -> "subprocess.Popen[bytes]":
    """Start ``python -m module`` in a session of its own, on the home of ``settings``."""
    # -P: a random.py in the folder where the user stands must not become a module of ours.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=settings.home,
        env=settings.child_environ(),
        start_new_session=True,
    )


def lock_of(home: Path) -> Path:
    """Held by the one supervisor of a home."""
    return home / _LOCK_NAME


def supervise_until_idle(settings: Settings) -> None:
    """Be the supervisor of the home, unless another one is and does all there is to do.

    A job may arrive while the holder of the lock is on its way out. So whoever finds the lock taken waits for it
    while a job has no driver, and the holder looks once more after it has let the lock go.
    """
    with open_store(settings.home) as store:
        supervisor = Supervisor(store, settings, keeps_idle=False)
        while True:
            with try_lock(lock_of(settings.home)) as is_ours:
                if is_ours:
                    supervisor.run(settings.supervisor_idle_s)
            if not _is_job_waiting(store, settings):
                return
            if not is_ours:
                time.sleep(_POLL_S)


def _is_job_waiting(store: Store, settings: Settings) -> bool:
    """Whether a job is in no driver's hand and was seen by nobody; a store that cannot say is asked again."""
    try:
        # Queued is only what a supervisor has seen, and that one stays as long as jobs are queued.
        unseen = [job for job in store.open_jobs() if job.status is not JobStatus.QUEUED]
        return any(not is_locked(job_folder(settings.home, job.name).lock) for job in unseen)
    except StoreUnavailable as error:
        log.warning("store unavailable, looking again: %s", error)
        return True


@contextlib.contextmanager
def supervising(store: Store, settings: Settings) -> Iterator[Supervisor]:
    """A supervisor in a thread of this process, for a server. It takes over when a detached one has gone."""
    supervisor = Supervisor(store, settings, keeps_idle=True)
    stopping = threading.Event()
    thread = threading.Thread(
        target=_supervise_when_free, args=(supervisor, settings, stopping), name="supervisor", daemon=True
    )
    thread.start()
    try:
        yield supervisor
    finally:
        stopping.set()
        supervisor.stop()
        thread.join()


@contextlib.contextmanager
def succeeded(store: Store, settings: Settings) -> Iterator[None]:
    """Leave a detached supervisor behind when a server ends while jobs are open."""
    try:
        yield
    finally:
        if store.open_jobs():
            with (settings.home / "supervisor.log").open("ab") as output:
                start_detached("batchpoint.server.supervisor", [], settings, output.fileno())


def _supervise_when_free(supervisor: Supervisor, settings: Settings, stopping: threading.Event) -> None:
    while not stopping.is_set():
        with try_lock(lock_of(settings.home)) as is_ours:
            if is_ours:
                supervisor.run()
        stopping.wait(_POLL_S)


def main() -> int:
    """The detached supervisor; its home and patience come with the environment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    supervise_until_idle(Settings.load())
    return 0


if __name__ == "__main__":
    sys.exit(main())
