"""Workers as processes of this machine: spawned, spoken to over private pipes, killed with all that they started.

The driver calls it from its one thread; everything is non-blocking and waits in one selector.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.compute import orphans, strays
from batchpoint.compute.oom import limit_bytes, oom_kills, prefer_to_kill
from batchpoint.compute.pipes import Capture, Lines, Outgoing, read_ready
from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerSpec

#: Seconds to wait for a killed process to be gone; longer only in an uninterruptible sleep.
REAP_S = 2.0


@dataclass(slots=True)
class Process:
    """A worker that was started, and all that belongs to it here."""

    worker: int
    popen: "subprocess.Popen[bytes]"
    outgoing: Outgoing
    incoming: int
    prints: dict[int, Capture]
    pidfd: int | None
    oom_kills_before: int
    lines: Lines = field(default_factory=Lines)

    def descriptors(self) -> list[int]:
        return [self.incoming, *self.prints, *([] if self.pidfd is None else [self.pidfd])]


class LocalPool:
    """A WorkerPool of local processes; see ``compute.pool`` for the contract."""

    def __init__(self, job_folder: Path, log_limit_bytes: int) -> None:
        self._job_folder = job_folder
        self._log_limit_bytes = log_limit_bytes
        self._name = uuid.uuid4().hex[:8]
        self._processes: dict[int, Process] = {}
        #: Children of this process that are no workers; None where orphans come to somebody else.
        self._others = set(orphans.children()) if orphans.adopts() else None
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._bell_rope, False)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def start(self, worker: int, spec: WorkerSpec) -> None:
        """Spawn ``python -m batchpoint_worker`` in a session of its own."""
        their_read, our_write = os.pipe()
        our_read, their_write = os.pipe()
        oom_before = oom_kills()
        environment = {**spec.environment, strays.MARK: strays.mark(self._job_folder, self._name, worker)}
        try:
            popen = subprocess.Popen(
                [spec.python, "-m", "batchpoint_worker", str(their_read), str(their_write)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=spec.worker_package,  # "-m" looks in the working directory first
                pass_fds=(their_read, their_write),
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            os.close(our_write)
            os.close(our_read)
            raise
        finally:
            os.close(their_read)
            os.close(their_write)
        assert popen.stdout is not None and popen.stderr is not None
        prefer_to_kill(popen.pid)
        prints = (popen.stdout.fileno(), popen.stderr.fileno())
        self._register(worker, popen, (our_write, our_read, *prints), spec, oom_before)

    def _register(
        self,
        worker: int,
        popen: "subprocess.Popen[bytes]",
        descriptors: tuple[int, int, int, int],
        spec: WorkerSpec,
        oom_before: int,
    ) -> None:
        """``descriptors``: what is written to the worker, and read from it: its answers, its stdout and stderr."""
        write, read, stdout, stderr = descriptors
        prints = {
            stdout: Capture(spec.stdout, self._log_limit_bytes),
            stderr: Capture(spec.stderr, self._log_limit_bytes),
        }
        pidfd = os.pidfd_open(popen.pid) if hasattr(os, "pidfd_open") else None
        process = Process(worker, popen, Outgoing(write), read, prints, pidfd, oom_before)
        self._processes[worker] = process
        os.set_blocking(write, False)
        for fd in process.descriptors():
            if fd != pidfd:
                os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, process)

    def send(self, worker: int, line: bytes) -> None:
        """Queue one line."""
        process = self._processes.get(worker)
        if process is None:
            return
        process.outgoing.send(line)
        if process.outgoing.waiting:
            with contextlib.suppress(KeyError):
                self._selector.register(process.outgoing.fd, selectors.EVENT_WRITE, process)

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        """Lines and exits; prints are put in their files on the way."""
        events: list[PoolEvent] = []
        gone: list[Process] = []
        for key, _ in self._selector.select(max(0.0, timeout_s)):
            process: Process = key.data
            if key.fd == self._bell:
                for _block in read_ready(self._bell):
                    continue
                continue
            if key.fd == process.incoming:
                self._read_lines(process, events)
            elif key.fd in process.prints:
                self._read_prints(process, key.fd)
            elif key.fd == process.outgoing.fd:
                process.outgoing.flush()
                if not process.outgoing.waiting:
                    self._selector.unregister(key.fd)
            else:
                gone.append(process)
        if not hasattr(os, "pidfd_open"):
            gone = [process for process in self._processes.values() if process.popen.poll() is not None]
        for process in gone:
            self._exited(process, events)
        if self._others is not None:
            orphans.reap(self._not_orphans(self._others))
        return events

    def _not_orphans(self, others: set[int]) -> set[int]:
        return others | {process.popen.pid for process in self._processes.values()}

    def _read_lines(self, process: Process, events: list[PoolEvent]) -> None:
        for block in read_ready(process.incoming):
            events.extend(Said(process.worker, line) for line in process.lines.feed(block))
            return
        self._stop_watching(process.incoming)

    def _read_prints(self, process: Process, fd: int) -> None:
        for block in read_ready(fd):
            process.prints[fd].write(block)
            return
        self._stop_watching(fd)

    def _stop_watching(self, fd: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def _exited(self, process: Process, events: list[PoolEvent]) -> None:
        """Deliver what the pipe still holds, then the exit."""
        for block in read_ready(process.incoming):
            events.extend(Said(process.worker, line) for line in process.lines.feed(block))
        # Its group outlives it if the script left children there; the number is ours until it is waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        returned, peak = _wait(process.popen)
        self._forget(process)
        strays.end_strays(strays.mark(self._job_folder, self._name, process.worker))
        events.append(self._how_it_ended(process, returned, peak))

    def _how_it_ended(self, process: Process, returned: int, peak: int) -> Exited:
        """``returned`` as Popen says it; ``peak`` in bytes."""
        out_of_memory = returned == -signal.SIGKILL and oom_kills() > process.oom_kills_before
        return Exited(
            process.worker,
            status=returned if returned >= 0 else None,
            signal=-returned if returned < 0 else None,
            out_of_memory=out_of_memory,
            peak_bytes=peak if out_of_memory else 0,
            limit_bytes=limit_bytes() if out_of_memory else 0,
        )

    def kill(self, worker: int) -> None:
        """SIGKILL to the worker's group and to whatever carries its mark."""
        process = self._processes.get(worker)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        strays.end_strays(strays.mark(self._job_folder, self._name, worker))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.popen.wait(REAP_S)
        self._forget(process)

    def _forget(self, process: Process) -> None:
        del self._processes[process.worker]
        for fd in process.descriptors():
            self._stop_watching(fd)
        self._stop_watching(process.outgoing.fd)
        for fd, capture in process.prints.items():
            for block in read_ready(fd):
                capture.write(block)
            capture.close()
        for stream in (process.popen.stdout, process.popen.stderr):
            if stream is not None:
                stream.close()
        for number in (process.incoming, process.outgoing.fd, process.pidfd):
            if number is not None:
                os.close(number)

    def wake(self) -> None:
        """Let a waiting ``receive`` return. May be called from any thread."""
        with contextlib.suppress(OSError):
            os.write(self._bell_rope, b"!")

    def close(self) -> None:
        """End every worker, then whatever they left. Safe to repeat."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.popen.pid, signal.SIGKILL)
        for worker in list(self._processes):
            self.kill(worker)
        strays.end_strays(strays.mark(self._job_folder, self._name))
        if self._others is not None:
            orphans.end(self._not_orphans(self._others))
        self._selector.close()
        for fd in (self._bell, self._bell_rope):
            if fd >= 0:
                os.close(fd)
        self._bell = self._bell_rope = -1


def _wait(popen: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """How a process that has ended came to its end, as Popen says it, and the most memory that it had."""
    if popen.returncode is not None:
        return popen.returncode, 0
    try:
        _, status, usage = os.wait4(popen.pid, 0)
    except ChildProcessError:  # whoever runs this process does not want to know of its children
        return popen.wait(), 0
    popen.returncode = os.waitstatus_to_exitcode(status)
    return popen.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
