"""A Ray cluster of three nodes on one machine: each in a network namespace of its own, joined by a bridge, and in a
mount namespace where home, input, code and this repository are hidden, so that whatever a node has was sent to it.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
NET = "198.51.100"
PORT = 6379
PATIENCE_S = 90.0


class Network:
    """Three nodes; the first is the head, where drivers run as well."""

    def __init__(self, folder: Path, hidden: Sequence[Path]) -> None:
        self.folder = folder
        self.name = f"bp{secrets.token_hex(3)}"
        self._hidden = hidden
        self.token = folder / "token"
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"{NET}.10:{PORT}"

    @property
    def client_address(self) -> str:
        return f"{NET}.10:10001"

    def namespace(self, node: int) -> str:
        return f"{self.name}-n{node}"

    def up(self) -> None:
        """Bring up links and nodes."""
        self.token.write_text(secrets.token_hex(32))
        self.token.chmod(0o600)
        hub = f"{self.name}-hub"
        sh("ip", "netns", "add", hub)
        within(hub, "ip", "link", "add", "br0", "type", "bridge")
        within(hub, "ip", "addr", "add", f"{NET}.254/24", "dev", "br0")
        within(hub, "ip", "link", "set", "br0", "up")
        for node in range(3):
            self._join(node, hub)
        for node in range(3):
            self._start(node)
        self._await_nodes()

    def _join(self, node: int, hub: str) -> None:
        own, port = self.namespace(node), f"p{node}"
        sh("ip", "netns", "add", own)
        within(hub, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own)
        within(hub, "ip", "link", "set", port, "master", "br0", "up")
        within(own, "ip", "link", "set", "lo", "up")
        within(own, "ip", "addr", "add", f"{NET}.{10 + node}/24", "dev", "eth0")
        within(own, "ip", "link", "set", "eth0", "up")
        within(own, "ip", "route", "add", "default", "via", f"{NET}.254")

    def _start(self, node: int) -> None:
        # The head shares its sockets with drivers; the others have a /tmp of their own, token and all.
        lines = [f"mount -t tmpfs none {path}" for path in self._hidden]
        if node:
            # The interpreter is as installed on each node, also where it lies below what is hidden.
            lines = [f"T=$(cat {self.token}); exec 9<{sys.prefix}", *lines, "mount -t tmpfs none /tmp"]
            lines.append(f"mkdir -p {self.folder} {sys.prefix}")
            lines.append(f"mount --no-canonicalize --bind /proc/self/fd/9 {sys.prefix}; exec 9<&-")
            lines.append(f"(umask 077; printf %s $T > {self.token})")
        where = (
            ["--head", f"--port={PORT}", "--include-dashboard=false"] if node == 0 else [f"--address={self.address}"]
        )
        ray = [str(Path(sys.executable).parent / "ray"), "start", "--block", *where, "--disable-usage-stats"]
        ray += [f"--node-ip-address={NET}.{10 + node}", "--num-cpus=2", "--object-store-memory=100000000"]
        ray += [f"--temp-dir={self.folder}"] if node == 0 else []
        lines.append(f"cd / && exec {' '.join(ray)}")
        with (self.folder / f"node{node}.log").open("wb") as log:
            started = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace(node), "unshare", "--mount", "sh", "-ec", "\n".join(lines)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(node),
                start_new_session=True,
            )
        self._nodes.append(started)
        if node == 0:
            self._await_log(node)

    def environment(self, node: int) -> dict[str, str]:
        own = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "BATCHPOINT_NODE_FOLDER": str(self.folder / f"node{node}"),
            "RAY_DISABLE_MEMORY_MONITOR": "1",
        }
        return {name: value for name, value in os.environ.items() if not name.startswith("BATCHPOINT_")} | own

    def _await_log(self, node: int) -> None:
        log = self.folder / f"node{node}.log"
        deadline = time.monotonic() + PATIENCE_S
        while "Ray runtime started" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def _await_nodes(self) -> None:
        for node in (1, 2):
            self._await_log(node)

    def pids(self, node: int) -> list[int]:
        said = sh("ip", "netns", "pids", self.namespace(node))
        return [int(word) for word in said.split()]

    def mend(self) -> None:
        """Start again what was killed."""
        for node in (1, 2):
            if not self.pids(node):
                self._start(node)
                self._await_log(node)

    def kill(self, node: int) -> None:
        """Everything of a node dies at once."""
        for pid in self.pids(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def cut(self, node: int) -> None:
        """Nothing reaches the node any more, and nobody is told."""
        within(f"{self.name}-hub", "ip", "link", "set", f"p{node}", "down")

    def heal(self, node: int) -> None:
        within(f"{self.name}-hub", "ip", "link", "set", f"p{node}", "up")

    def driver_command(self, *command: str) -> list[str]:
        """A command that sees this machine's files, and the network of the head."""
        return ["nsenter", f"--net=/run/netns/{self.namespace(0)}", *command]

    def clear(self) -> None:
        """Remove what killed nodes left in the memory that all of this machine share."""
        for left in Path("/dev/shm").glob(f"batchpoint-*{self.folder.name}*"):
            shutil.rmtree(left)

    def down(self) -> None:
        """Take everything away, and say what would not go."""
        deadline = time.monotonic() + 30.0
        for node in range(3):
            while left := self.pids(node):
                assert time.monotonic() < deadline, f"processes of node {node} are left: {left}"
                self.kill(node)
                time.sleep(0.05)
        for started in self._nodes:
            started.wait()
        self.clear()
        for name in [*(self.namespace(node) for node in range(3)), f"{self.name}-hub"]:
            sh("ip", "netns", "del", name)


def sh(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def within(namespace: str, *command: str) -> str:
    return sh("ip", "netns", "exec", namespace, *command)


@contextlib.contextmanager
def network(hidden: Sequence[Path]) -> Iterator[Network]:
    """A network for the length of a block. Tools that are missing are errors."""
    for tool in ("ip", "unshare", "nsenter", "mount"):
        assert shutil.which(tool), f"{tool} is needed; on Debian: apt-get install iproute2 util-linux mount"
    assert os.getuid() == 0, "network namespaces need root"
    # Ray's sockets lie deep below it, and their paths may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="bp-net-", dir="/tmp"))
    made = Network(folder, hidden)
    try:
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)
