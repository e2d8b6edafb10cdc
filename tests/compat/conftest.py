"""A server over HTTPS on a home of its own, and sessions of the official SDK against it, each a fresh process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from tests.conftest import left_of
from tests.process.homes import eventually
from tests.websites import site

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SESSION_S = 150

SCORE = """\
import os, time

def init():
    global offset
    found = os.environ["AZUREML_MODEL_DIR"]
    while os.path.isdir(found):
        found = os.path.join(found, sorted(os.listdir(found))[0])
    offset = int(open(found).read())

def run(mini_batch):
    time.sleep(float(os.environ.get("SLEEP_S", "0")))
    return [f"{os.path.basename(path)}: {offset + int(open(path).read())}" for path in mini_batch]
"""
FILES = 6
#: What ``SCORE`` makes of the folder ``data``.
ROWS = "".join(f"{number}.txt: {100 + number}\n" for number in range(FILES))

_FILES = {
    "config.json": json.dumps(
        {"subscription_id": DEFAULT_SUBSCRIPTION, "resource_group": "default", "workspace_name": "default"}
    ),
    "model.yml": "name: from-file\npath: model\ntype: custom_model\n",
    "environment.yml": "name: from-file\nimage: any\nconda_file: conda.yml\n",
    "conda.yml": "name: plain\ndependencies:\n  - python={version}\n",
    "endpoint.yml": "name: from-files\ndescription: From YAML\nauth_mode: aad_token\n",
    "flat.yml": """\
name: flat
endpoint_name: from-files
model: azureml:from-file@latest
environment: azureml:from-file@latest
code_configuration:
  code: code
  scoring_script: score.py
compute: azureml:batch-cluster
resources:
  instance_count: 1
mini_batch_size: 4
output_action: append_row
retry_settings:
  max_retries: 1
  timeout: 30
""",
    "settings.yml": """\
name: nested
endpoint_name: from-files
type: model
model: azureml:from-file@latest
environment: azureml:from-file@latest
code_configuration:
  code: code
  scoring_script: score.py
compute: azureml:batch-cluster
resources:
  instance_count: 1
settings:
  mini_batch_size: 5
  output_action: append_row
""",
}


@dataclass(frozen=True)
class Sdk:
    """The official SDK, pointed at a server of ours by the variables that ``batchpoint connect`` prints."""

    python: Path
    #: Where sessions run: a model, code, data and YAML files.
    work: Path
    environ: dict[str, str]
    #: The environment of the server, for commands of ours.
    ours: dict[str, str]

    def speaking_for(self, principal: str, role: str) -> "Sdk":
        """The SDK of a new service principal with this role in the workspace."""
        _typed(self.ours, "principal", "create", "--name", principal, "--role", role)
        return replace(self, environ=_connected(self.ours, self.work.parent, principal))

    def session(self, name: str, *arguments: str) -> dict[str, Any]:
        """What the session of this name told."""
        script = HERE / "sessions" / f"{name}.py"
        done = subprocess.run(
            [self.python, script, *arguments],
            cwd=self.work,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=SESSION_S,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
        assert done.returncode == 0 and lines, f"{done.stdout}\n{done.stderr}"
        told: dict[str, Any] = json.loads(lines[-1].removeprefix("TOLD "))
        return told


def sdk_python() -> Path:
    """The interpreter that has the SDK of the lock file."""
    lock = (HERE / "requirements.txt").read_bytes()
    for stamp in sorted((ROOT / ".cache").glob("compat-*/.ready")):
        if stamp.read_bytes() == lock:
            return stamp.parent / "bin" / "python"
    pytest.fail("the official SDK of the lock file is not installed: make compat", pytrace=False)


def filled(work: Path) -> Path:
    """What the sessions upload."""
    (work / "model").mkdir(parents=True)
    (work / "model" / "offset.txt").write_text("100")
    (work / "code").mkdir()
    (work / "code" / "score.py").write_text(SCORE)
    for folder in ("data", "bad"):
        (work / folder).mkdir()
        for number in range(FILES):
            (work / folder / f"{number}.txt").write_text(str(number))
    (work / "bad" / "2.txt").write_text("no number")
    for name, text in _FILES.items():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        (work / name).write_text(text.replace("{version}", version))
    return work


@pytest.fixture(scope="module")
def website() -> Iterator[str]:
    """A folder ``numbers`` behind an HTML index."""

    def answer(path: str) -> tuple[int, str, bytes]:
        folder, _, name = path.partition("?")[0].rpartition("/")
        if folder == "/numbers" and name:
            return 200, "text/plain", name.removesuffix(".txt").encode()
        links = "".join(f'<a href="{number}.txt">{number}.txt</a>' for number in range(FILES))
        return (404, "text/plain", b"") if "?" in path else (200, "text/html", f"<html>{links}</html>".encode())

    with site(answer) as host:
        yield f"http://{host}"


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory, website: str) -> Iterator[Sdk]:
    """A server on an empty home; when the tests are over no process of it may be left."""
    python, folder = sdk_python(), tmp_path_factory.mktemp("compat")
    home = folder / "home"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AZURE", "ARM_", "IDENTITY_"))},
        **Settings(home=home).child_environ(),
        "BATCHPOINT_INPUT_HOSTS_ALLOWED": website.partition("://")[2].partition(":")[0],
        "BATCHPOINT_SUPERVISOR_IDLE_S": "0.2",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    with _served(folder, home, environ):
        yield Sdk(python, filled(folder / "work"), _connected(environ, folder), environ)
    assert not (left := left_of(home)), f"processes left behind: {left}"


@contextmanager
def _served(folder: Path, home: Path, environ: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "batchpoint", "serve", "--port", "0", "--http-port", "0"]
    with (folder / "server.err").open("wb") as said:
        server = subprocess.Popen(command, env=environ, stderr=said, stdout=said)
    try:
        eventually(lambda: server.poll() is not None or (home / "server.json").exists(), "the server")
        assert server.poll() is None, (folder / "server.err").read_text()
        yield
    finally:
        server.terminate()
        server.wait(60)


def _typed(environ: dict[str, str], *words: str) -> str:
    """What a command of ours prints."""
    command = [sys.executable, "-m", "batchpoint", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def _connected(environ: dict[str, str], folder: Path, principal: str = "") -> dict[str, str]:
    """What a shell has in its environment that has evaluated what ``connect`` prints."""
    speaking = ["--principal", principal] if principal else []
    printed = _typed(environ, "connect", "--shell", "bash", *speaking)
    shell = ["bash", "-c", f"{printed}\nenv -0"]
    found = subprocess.run(shell, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}).stdout
    exported = dict(line.split("=", 1) for line in found.split("\0") if re.match(r"[A-Z_]+=", line))
    return {
        **exported,
        "HOME": str(folder),
        # The first pause between two looks at a job that is streamed; it grows from there.
        "AZUREML_RUN_POLLING_INTERVAL_MIN": "0",
        "PYTHONDONTWRITEBYTECODE": "",
    }
