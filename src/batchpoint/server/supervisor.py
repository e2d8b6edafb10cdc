"""Keeps drivers alive: every job that has its instances gets one driver process, and a new one when that dies.

The server runs a ``Supervisor`` in a thread; without a server ``python -m batchpoint.server.supervisor`` runs one,
detached, until nothing is left to do. Drivers are processes of their own and outlive it.
"""

import contextlib
import logging
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from batchpoint.compute.machine import gpus
from batchpoint.entities.job import JobStatus
from batchpoint.errors import StoreDamaged, StoreUnavailable
from batchpoint.server.capacity import Capacity
from batchpoint.server.supervision.drivers import LocalDrivers, start_detached
from batchpoint.server.supervision.watch import Patience, Watch
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.store.store import Store, open_store

log = logging.getLogger("batchpoint.supervisor")

_POLL_S = 0.2
#: Rest after a look, as a multiple of the time that the look took; and how much of it there is although jobs arrive.
_REST, _REST_AT_LEAST = 20.0, 4.0
_LONGEST_REST_S = 2.0
_LOCK_NAME = "supervisor.lock"


class Supervisor:
    """Watches the open jobs of one home. One thread calls it.

    ``keeps_idle``: instances of computes may outlive their jobs, because it is a server's.
    """

    def __init__(self, store: Store, settings: Settings, *, keeps_idle: bool) -> None:
        self._store = store
        self._is_a_servers = keeps_idle
        self._capacity = Capacity(store, settings.home, gpus(), keeps_idle=keeps_idle)
        patience = Patience(settings.driver_lease_s, settings.driver_deaths_max)
        drivers = LocalDrivers(settings)
        self._watch = Watch(store, drivers, patience, time.monotonic, lambda: f"supervisor-{uuid.uuid4().hex[:12]}")
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
            # With ten thousand jobs a look takes a while, and must not take all of a core: not even while they arrive.
            took_s = time.monotonic() - began
            self._stop.wait(min(_POLL_S, _REST_AT_LEAST * took_s))
            self._wake.wait(max(_POLL_S, min(_REST * took_s, _LONGEST_REST_S)))
            self._wake.clear()

    def _look(self) -> bool:
        """Give jobs their instances and those that have them a driver; True while a job or a driver of ours is left."""
        try:
            waiting = self._capacity.settle()
            return self._watch.look() or waiting
        except StoreUnavailable as error:
            if isinstance(error, StoreDamaged) and not self._is_a_servers:
                raise
            log.warning("store unavailable, looking again: %s", error)
            return True


def lock_of(home: Path) -> Path:
    """Held by the one supervisor of a home."""
    return home / _LOCK_NAME


def supervise_until_idle(settings: Settings) -> None:
    """Be the supervisor of the home, unless another one is and does all there is to do.

    A job may arrive while the holder of the lock is on its way out. So whoever finds the lock taken waits for it
    while a job has no driver, and the holder looks once more after it has let the lock go.
    """
    with open_store(settings.home, settings.store_busy_timeout_s) as store:
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
        if store.has_open_jobs():
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
    try:
        supervise_until_idle(Settings.load())
    except StoreDamaged as error:
        log.error("nothing can be supervised: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
