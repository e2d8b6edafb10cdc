"""Drivers that cost no imports: a prepared process forks one for each life. Only for tests; the product never forks so.

Started as a program it reads orders from its standard input and answers each with a line: ``start`` with the process id
of a driver of a job, ``wait`` with how that one ended.
"""

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint.storage.job_folder import job_folder

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


@dataclass
class Life:
    """One driver, from its first breath on."""

    server: "ForkServer"
    pid: int
    returncode: int | None = None

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """None while it lives."""
        return self.returncode if self.state() != "Z" else self.wait()

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Its exit status, or minus the signal that it died of."""
        if self.returncode is None:
            watch = os.pidfd_open(self.pid)
            ready, _, _ = select.select([watch], [], [], timeout)
            os.close(watch)
            assert ready, "a driver does not end"
            self.returncode = int(self.server.order("wait", pid=self.pid))
        return self.returncode

    def state(self) -> str:
        """The letter of ``/proc/<pid>/stat``: R, S, T for stopped, Z for dead and not yet waited for."""
        if self.returncode is not None:
            return ""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


class ForkServer:
    """The prepared process."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
            bufsize=1,
        )
        self.lives: list[Life] = []

    def start(
        self,
        home: Path,
        job: str,
        *,
        is_elsewhere: bool = False,
        waits: bool = False,
        commit_every_s: float = 0.02,
        **environment: str,
    ) -> Life:
        """A driver of a job.

        ``is_elsewhere``: it asks for no lock, as if it ran on another host. ``waits``: it stops before it begins.
        """
        pid = self.order(
            "start",
            job=job,
            log=str(job_folder(home, job).driver_log),
            is_elsewhere=is_elsewhere,
            waits=waits,
            commit_every_s=commit_every_s,
            env={**environment, "BATCHPOINT_HOME": str(home)},
        )
        self.lives.append(Life(self, int(pid)))
        return self.lives[-1]

    def order(self, verb: str, **words: Any) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"verb": verb, **words}) + "\n")
        answer = self.process.stdout.readline()
        assert answer, "the fork server has died"
        return answer

    def bury(self) -> None:
        """End every driver that is still there."""
        for life in self.lives:
            if life.returncode is None:
                life.kill()
                life.wait()
        self.lives = []

    def close(self) -> None:
        """End it and what it started."""
        self.bury()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _serve() -> None:
    _prepare()
    for line in sys.stdin:
        order = json.loads(line)
        if order["verb"] == "start":
            answer = os.fork() or _live(order)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["pid"], 0)[1])
        print(answer, flush=True)


def _prepare() -> None:
    """Import all that a driver does, also what it imports late, and start no thread."""
    import importlib
    import tempfile

    from batchpoint.store.store import open_store

    for module in ("batchpoint.engine.__main__", "batchpoint.compute.local"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as nowhere, open_store(Path(nowhere)):
        pass


def _live(order: dict[str, Any]) -> int:
    """The child: it never returns."""
    status = 70
    try:
        os.setsid()
        log = os.open(order["log"], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        for mine, theirs in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
            os.dup2(theirs, mine)
        os.environ.update(order["env"])
        if order["waits"]:
            os.kill(os.getpid(), signal.SIGSTOP)
        status = _drive(order)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _drive(order: dict[str, Any]) -> int:
    import contextlib

    from batchpoint.engine import __main__, ledger

    ledger.COMMIT_EVERY_S = order["commit_every_s"]
    if order["is_elsewhere"]:

        @contextlib.contextmanager
        def granted(_: Path) -> Any:
            yield True

        __main__.try_lock = granted  # type: ignore[assignment]
    return __main__.main([order["job"]])


if __name__ == "__main__":
    _serve()
