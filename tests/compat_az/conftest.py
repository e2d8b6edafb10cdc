"""The real Azure CLI in a folder of its own, a server over HTTPS, and a service principal for it."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import typed
from tests.process.servers import Server, serving

ROOT = Path(__file__).parents[2]
#: Seconds that one command may take, the first of all included, which finds out what az has.
COMMAND_S = 120


@dataclass(frozen=True)
class Shell:
    """A shell with the variables of one user, in one folder; ``az`` keeps what it knows in another."""

    work: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def az(self, line: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs one command of az, and holds it to its exit code."""
        return self._run([os.environ["AZ_COMMAND"], *shlex.split(line)], code)

    def json(self, line: str) -> Any:
        return json.loads(self.az(line).stdout)

    def batchpoint(self, line: str) -> str:
        """Our own command."""
        return self._run([sys.executable, "-m", "batchpoint", *shlex.split(line)], 0).stdout

    def with_(self, **variables: str) -> "Shell":
        return Shell(self.work, {**self.variables, **variables})

    def _run(self, command: list[str], code: int) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            command,
            cwd=self.work,
            env=dict(self.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert ended.returncode == code, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served") / "home") as found:
        yield found


@pytest.fixture(scope="session")
def shell(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Nobody is signed in; the home that ``batchpoint`` would find by itself is empty and stays so."""
    work = tmp_path_factory.mktemp("work")
    typed.fill(work)
    for name in ("az", "elsewhere"):
        (work / name).mkdir()
    return Shell(
        work,
        {
            "PATH": "/usr/bin:/bin",
            "HOME": str(work),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT / "src"),
            "AZURE_CONFIG_DIR": str(work / "az"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_NO_COLOR": "yes",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
            "REQUESTS_CA_BUNDLE": str(server.home / "tls" / "bundle.pem"),
            "BATCHPOINT_COMMAND": shlex.join([sys.executable, "-m", "batchpoint"]),
            "BATCHPOINT_HOME": str(work / "elsewhere"),
        },
    )


@pytest.fixture(scope="session")
def robot(shell: Shell, server: Server) -> dict[str, str]:
    """A service principal that may do everything, with its secret."""
    owner = shell.with_(BATCHPOINT_HOME=str(server.home))
    found: dict[str, str] = json.loads(owner.batchpoint("principal create --name robot --role Owner --scope / -o json"))
    return found


@pytest.fixture(scope="session")
def registered(shell: Shell, server: Server) -> Shell:
    """The server is the cloud of az."""
    shell.az(f"cloud register --name Ours --endpoint-resource-manager {server.https}")
    shell.az("cloud set -n Ours")
    shell.az("config set core.instance_discovery=false")
    return shell


@pytest.fixture(scope="session")
def signed_in(registered: Shell, robot: dict[str, str]) -> Shell:
    """As the robot, and with the extension."""
    registered.az(login(robot, robot["tenant"]))
    registered.az(f"extension add --yes --source {wheel()}")
    return registered


def login(robot: Mapping[str, str], tenant: str) -> str:
    return f"login --service-principal -u {robot['client_id']} -p {robot['secret']} --tenant {tenant}"


def wheel() -> Path:
    """The extension, as ``make az-extension`` built it."""
    (found,) = (ROOT / "dist").glob("batchpoint_az-*.whl")
    return found
