"""``LocalDrivers``: driver processes of this machine, started and ended for the supervisor.

It knows processes, locks and log files; which job needs a driver is decided in ``watch``.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from batchpoint.compute import strays
from batchpoint.observability.job_logs import JobLogs
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked
from batchpoint.store.records import Heartbeat

_MODULE = "batchpoint.engine"


class LocalDrivers:
    """The drivers of one home on this machine; they outlive whoever started them. See ``watch.Drivers``."""

    def __init__(self, settings: Settings) -> None:
        self.host = socket.gethostname()
        self._settings = settings
        #: The driver of each job that was started last and is not known to have ended.
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: str, observed_epoch: int) -> None:
        folder = job_folder(self._settings.home, job)
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.driver_log.open("ab") as output:
            arguments = [job, str(observed_epoch)]
            self._started[job] = start_detached(_MODULE, arguments, self._settings, output.fileno())

    def poll(self, job: str) -> int | None:
        status = self._started[job].poll()
        if status is not None:
            del self._started[job]
        return status

    def is_held(self, job: str) -> bool:
        return is_locked(job_folder(self._settings.home, job).lock)

    def kill(self, job: str, beat: Heartbeat) -> None:
        if job in self._started:
            self._started[job].kill()
        others = {*_holders(job_folder(self._settings.home, job).lock)}
        others |= {beat.pid} if beat.host == self.host and beat.pid else set()
        for pid in others:
            with contextlib.suppress(OSError):
                if _is_driver(pid, job):
                    os.kill(pid, signal.SIGKILL)

    def close(self, job: str, sentence: str) -> None:
        folder = job_folder(self._settings.home, job)
        # One that is stuck outside of Python does not notice that its driver is gone, and no driver comes any more.
        strays.end_strays(strays.mark(folder.path))
        JobLogs(folder).result(sentence)


def _holders(lock: Path) -> Iterator[int]:
    """Processes that hold the lock, where the kernel says so: a driver may be stopped before it has claimed its job."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = lock.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4242 08:01:131 0 EOF
            fields = line.split()
            if fields[1] == "FLOCK" and int(fields[5].rpartition(":")[2]) == inode:
                yield int(fields[4])


def _is_driver(pid: int, job: str) -> bool:
    """Whether this process drives the job: numbers are used again. False where there is no /proc."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return _MODULE.encode() in command and job.encode() in command


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
