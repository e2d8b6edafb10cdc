"""Workers in containers of this machine, each in one of its own, started by Docker or Podman.

It handles the runtime's command as ``local`` handles a worker, and kills what is in a container as ``local`` kills
processes: they carry the mark of their worker, and are seen from here.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from batchpoint.compute import oom, strays
from batchpoint.compute.containers import leftovers
from batchpoint.compute.containers.channels import Channels
from batchpoint.compute.containers.command import Box, without_gaps, work_command
from batchpoint.compute.local import LocalPool, Process
from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerSpec

#: Exit status of the runtime where it could not start the container; above ``_SIGNALED`` stands a signal.
RUNTIME_FAILED, _SIGNALED = 125, 128
_READY = b'{"t":"Ready","pid":'
#: Seconds that the runtime may take to forget containers.
_TIDY_S = 30.0


class ContainerPool(LocalPool):
    """A WorkerPool of containers; see ``compute.pool`` for the contract."""

    def __init__(
        self, box: Box, job_folder: Path, channels: Path, log_limit_bytes: int, environ: Mapping[str, str]
    ) -> None:
        """``environ``: for the runtime, not for workers."""
        super().__init__(job_folder, log_limit_bytes)
        # The runtime's monitors come to us as orphans and must live on: they tidy up. Nothing else leaves a container.
        self._others = None
        self._box, self._channels, self._environ = box, channels, environ
        self._open: dict[int, Channels] = {}
        self._removals: list[subprocess.Popen[bytes]] = []
        self._is_untidy = True
        self._tidy()

    def start(self, worker: int, spec: WorkerSpec) -> None:
        """Run a container whose only work is ``python -m batchpoint_worker``."""
        channels = Channels(self._channels / f"{self._name}.{worker}")
        mark = strays.mark(self._job_folder, self._name, worker)
        variables = dict(spec.environment)
        # A container sees only its own devices, and counts them anew.
        gpus = variables.pop("CUDA_VISIBLE_DEVICES") if variables.get("CUDA_VISIBLE_DEVICES") else ""
        descriptors = channels.open(variables)
        command = work_command(
            self._box,
            self._name_of(worker),
            f"{strays.MARK}={mark}",
            channels.folder,
            spec.python,
            gpus,
            spec.worker_package,
        )
        oom_before = oom.machine_kills()
        try:
            with channels.said.open("wb") as said:
                popen = subprocess.Popen(
                    without_gaps(command),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    env={**self._environ, strays.MARK: mark},
                    # Podman's monitor leaves a file called oom where it stands when memory has run out.
                    cwd=self._channels,
                    start_new_session=True,
                )
        except OSError:
            for number in descriptors:
                os.close(number)
            raise
        self._open[worker] = channels
        self._register(worker, popen, descriptors, spec, oom_before)

    def _name_of(self, worker: int) -> str:
        return f"batchpoint-{self._name}-{worker}"

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        """Lines and exits; the number of a process is told as this machine counts it."""
        self._removals = [removal for removal in self._removals if removal.poll() is None]
        return [self._as_seen_here(event) for event in super().receive(timeout_s)]

    def _as_seen_here(self, event: PoolEvent) -> PoolEvent:
        if not isinstance(event, Said) or not event.line.startswith(_READY):
            return event
        inside, comma, rest = event.line.removeprefix(_READY).partition(b",")
        found = strays.marked(strays.mark(self._job_folder, self._name, event.worker))
        pid = next((pid for pid in found if _number_inside(pid) == inside), None)
        return event if pid is None else replace(event, line=_READY + b"%d" % pid + comma + rest)

    def _how_it_ended(self, process: Process, returned: int, peak: int) -> Exited:
        ended = int(returned) - _SIGNALED
        if returned == RUNTIME_FAILED or returned < 0:
            words = self._open[process.worker].words() or "the container runtime ended without a word"
            return Exited(process.worker, returned if returned >= 0 else None, None, words=words)
        if not 0 < ended < signal.NSIG:
            return Exited(process.worker, returned, None)
        out_of_memory = ended == signal.SIGKILL and oom.machine_kills() > process.oom_kills_before
        limit = (self._box.memory or oom.limit_bytes()) if out_of_memory else 0
        return Exited(process.worker, None, ended, out_of_memory, limit_bytes=limit)

    def kill(self, worker: int) -> None:
        """SIGKILL to what is in the container; the runtime forgets it in its own time."""
        if worker not in self._processes:
            return
        super().kill(worker)
        self._is_untidy = True
        with contextlib.suppress(OSError):
            self._removals.append(
                subprocess.Popen(
                    leftovers.removal(self._box.runtime, [self._name_of(worker)]),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=dict(self._environ),
                    start_new_session=True,
                )
            )

    def _forget(self, process: Process) -> None:
        super()._forget(process)
        for fd in process.prints:
            os.close(fd)

    def close(self) -> None:
        """End every worker, and let the runtime forget their containers. Safe to repeat."""
        super().close()
        self._tidy()
        for channels in self._open.values():
            channels.remove()

    def _tidy(self) -> None:
        """No container of the job is left, of this pool or of an earlier driver's."""
        for removal in self._removals:
            with contextlib.suppress(subprocess.TimeoutExpired):
                removal.wait(_TIDY_S)
        self._removals = []
        if self._is_untidy:
            found = leftovers.left(self._box.runtime, self._box.job, self._environ)
            leftovers.remove(self._box.runtime, list(found), self._environ)
            self._is_untidy = False


def _number_inside(pid: int) -> bytes:
    """What the process is called in its own namespace."""
    with contextlib.suppress(OSError):
        for line in Path("/proc", str(pid), "status").read_bytes().splitlines():
            if line.startswith(b"NSpid:"):
                return line.split()[-1]
    return b""
