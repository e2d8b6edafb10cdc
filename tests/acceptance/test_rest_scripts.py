"""The line sequences of the published REST scripts, run by bash with curl and jq against a server with real scoring."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batchpoint.entities.workspace import Workspace
from batchpoint.local import connect
from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from batchpoint.trust import authority_file
from tests.acceptance.typed import ROWS, SCORE
from tests.process.homes import eventually

SCRIPTS = Path(__file__).parent / "rest"
MISSING = [name for name in ("bash", "curl", "jq", "openssl") if shutil.which(name) is None]
WORKSPACE = Workspace(DEFAULT_SUBSCRIPTION, "default", "default")


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """A server on the home; its address, with TLS."""
    command = [sys.executable, "-m", "batchpoint", "serve", "--port", "0", "--http-port", "0"]
    with (home.parent / "server.err").open("wb") as said:
        server = subprocess.Popen(command, stderr=said)
    try:
        eventually(lambda: (home / "server.json").exists() or server.poll() is not None, "the server")
        yield str(json.loads((home / "server.json").read_text())["https"])
    finally:
        server.terminate()
        server.wait(60)


def fill(folder: Path) -> None:
    """What the scripts send."""
    sent = {"code/digits.py": SCORE, "model/offset.txt": "100", "conda.yml": "dependencies: [python=3.11]\n"}
    for name, text in sent.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "data").mkdir()
    for number in range(7):
        (folder / "data" / f"{number}.txt").write_text(str(number))


def environment(home: Path, address: str, folder: Path) -> dict[str, str]:
    """What the scripts read: the server, and a service principal that may do everything in the workspace."""
    with connect(Settings(home=home)) as client:
        created = client.principals.create("scripts")
        client.roles.assign("scripts", "Contributor", WORKSPACE.arm_id)
    return {
        **os.environ,
        "HOST": address,
        "CURL_CA_BUNDLE": str(authority_file(home)),
        "TENANT": created.tenant,
        "CLIENT_ID": created.principal.client_id,
        "CLIENT_SECRET": created.secret,
        "SUBSCRIPTION_ID": WORKSPACE.subscription,
        "RESOURCE_GROUP": WORKSPACE.resource_group,
        "WORKSPACE": WORKSPACE.name,
        "FILES": str(folder / "files"),
        "DOWNLOADS": str(folder),
    }


@pytest.mark.skipif(bool(MISSING), reason=f"the scripts need {', '.join(MISSING)}")
def test_the_rest_scripts_of_each_time_run_as_they_stand(home: Path, tmp_path: Path) -> None:
    fill(tmp_path / "files")
    with serving(home) as address:
        variables = environment(home, address, tmp_path)
        for year, jobs in ((2021, {"Completed": 4}), (2022, {"Completed": 4, "Canceled": 1})):
            command = ["bash", str(SCRIPTS / f"batch-score-{year}.sh")]
            ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            assert (tmp_path / "all.csv").read_text() == ROWS
            assert (tmp_path / "one.csv").read_text() == "6.txt: 106\n"
            counted = [line.split() for line in (tmp_path / "statuses.txt").read_text().splitlines()]
            assert {status: int(count) for count, status in counted} == jobs
            for name in ("all.csv", "one.csv", "statuses.txt"):
                (tmp_path / name).unlink()
