"""A real Ray node for tests: its own folder and ports, a token, nothing shared with any other, gone at the end."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.entities.compute import Place

START_S = 60.0
GONE_S = 20.0


@dataclass
class RayCluster:
    """A cluster of one node."""

    #: Everything of it: sessions, token, and what agents keep on the node.
    folder: Path
    cpus: int = 4
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    address: str = ""

    @property
    def port(self) -> int:
        """Where it was before, if it was."""
        return int(self.address.rpartition(":")[2] or 0)

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def node_folder(self) -> Path:
        """What the agents keep on the node."""
        return self.folder / "node"

    @property
    def memory(self) -> Path:
        """Where they keep small files of input."""
        return Path(f"/dev/shm/batchpoint-{os.getuid()}{str(self.node_folder).replace('/', '-')}")

    @property
    def log(self) -> Path:
        return self.folder / "start.log"

    def place(self, **wanted: object) -> Place:
        chosen = {"address": self.address, "token_path": str(self.token), "compute": "farm", "cpus": 1, **wanted}
        return Place(type="ray", **chosen)  # type: ignore[arg-type]

    def start(self) -> None:
        if not self.token.exists():
            self.token.write_text(secrets.token_hex(32))
            self.token.chmod(0o600)
        ray = Path(sys.executable).parent / "ray"
        command = [str(ray), "start", "--head", "--block", f"--port={self.port}", "--include-dashboard=false"]
        command += [f"--temp-dir={self.folder}", f"--num-cpus={self.cpus}"]
        command += ["--object-store-memory=100000000", "--disable-usage-stats"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment(), cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while "--address" not in (said := self.log.read_text()):
            assert self.process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.05)
        self.address = said.partition("--address='")[2].partition("'")[0]

    def environment(self) -> dict[str, str]:
        own = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "BATCHPOINT_NODE_FOLDER": str(self.node_folder),
            "RAY_DISABLE_MEMORY_MONITOR": "1",
        }
        return {name: value for name, value in os.environ.items() if not name.startswith("BATCHPOINT_")} | own

    def processes(self) -> list[int]:
        """Whatever runs for this cluster, workers of jobs included."""
        wanted = b"RAY_AUTH_TOKEN_PATH=" + os.fsencode(self.token)
        node = os.fsencode(self.node_folder)
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            with contextlib.suppress(OSError):
                environ = Path(f"/proc/{pid}/environ").read_bytes()
                if pid != os.getpid() and (wanted in environ.split(b"\0") or node in environ):
                    found.append(pid)
        return found

    def workers(self) -> list[int]:
        """Worker processes of jobs, and what they started."""
        mark = b"BATCHPOINT_WORKER=" + os.fsencode(self.node_folder)
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
        return found

    def jobs(self) -> list[Path]:
        """Folders of instances on the node."""
        folders = (self.node_folder / "jobs", self.memory)
        return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]

    def die(self) -> None:
        """Everything of it is killed; the bridges of drivers, which are not part of it, live on."""
        self._kill(lambda: [pid for pid in self.processes() if b"ray.bridge" not in command_line(pid)])

    def stop(self) -> None:
        """End it, and say what would not go."""
        self._kill(self.processes)

    def _kill(self, processes: Callable[[], list[int]]) -> None:
        deadline = time.monotonic() + GONE_S
        while left := processes():
            assert time.monotonic() < deadline, f"processes of Ray are left: {left}"
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        if self.process is not None:
            self.process.wait()


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextlib.contextmanager
def ray_cluster(cpus: int = 4) -> Iterator[RayCluster]:
    """A cluster for the length of a block."""
    # Ray's sockets lie deep below it, and their paths may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="bp-ray-", dir="/tmp"))
    cluster = RayCluster(folder, cpus)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        for left in (folder, cluster.memory):  # what was killed in the memory, no next instance will remove
            shutil.rmtree(left, ignore_errors=True)
