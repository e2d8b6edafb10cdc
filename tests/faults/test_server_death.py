"""T-C1, a server that is killed at a hundred random moments while clients submit jobs.

What it acknowledged exists exactly once, the job that runs is not disturbed, and the next server serves in no time.
"""

import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batchpoint.arm import invocation as invocation_wire
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Invocation
from batchpoint.entities.job import JobStatus
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.store.store import Store, open_store
from tests.process.homes import deploy, ended, eventually

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("SERVER_KILLS", "100"))
SUBMITTERS = 3
#: Seconds until a server that was started serves.
SERVES_WITHIN_S = 10.0


class Servers:
    """One server after the other on one port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        self._prepared = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.prepared_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
            bufsize=1,
        )
        self._pid = 0
        self.log = home.parent / "servers.log"
        #: Seconds that each took until it answered.
        self.starts: list[float] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        began = time.monotonic()
        self._pid = int(self._order(f"start {self.port} {self.log}"))
        eventually(self._answers, "a server")
        self.starts.append(time.monotonic() - began)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/anything", timeout=5).status_code == 401
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        os.kill(self._pid, 9)
        assert self._order(f"wait {self._pid}").strip() == "-9", self.log.read_text()[-2000:]
        self._pid = 0

    def _order(self, line: str) -> str:
        assert self._prepared.stdin is not None and self._prepared.stdout is not None
        self._prepared.stdin.write(line + "\n")
        return self._prepared.stdout.readline()

    def close(self) -> None:
        if self._pid:
            self.kill()
        self._prepared.communicate()


class Submitter(threading.Thread):
    """Sends one job after the other, each with its key, until it hears of it; never gives up on one."""

    def __init__(self, servers: Servers, path: str, wanted: Invocation, token: str) -> None:
        super().__init__(daemon=True)
        self._url, self._path = servers.url, path
        self._body = invocation_wire.to_json(wanted)
        self._token = token
        self.enough = threading.Event()
        #: Key → every name that the server answered for it.
        self.acknowledged: dict[str, list[str]] = {}
        self.refused: list[str] = []
        self.sent = 0

    def run(self) -> None:
        while not self.enough.is_set():
            self.submit(str(uuid.uuid4()))

    def submit(self, key: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        while True:
            self.sent += 1
            try:
                with httpx.Client(base_url=self._url, headers=headers, timeout=20) as client:
                    answer = client.post(self._path, json=self._body)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answer.is_success:
                self.acknowledged.setdefault(key, []).append(answer.json()["name"])
                return
            if answer.status_code not in (503, 507):
                self.refused.append(answer.text)
                return


@pytest.fixture
def servers(home: Path) -> Iterator[Servers]:
    servers = Servers(home)
    yield servers
    servers.close()


SLOW = """
import os, time
def init(): pass
def run(paths):
    if not os.path.exists(os.environ['FINISH']): time.sleep(0.2)
    return [os.path.basename(path) + ': ok' for path in paths]
"""


def test_what_a_server_acknowledged_before_it_was_killed_exists_once_and_drivers_go_on(
    home: Path, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, finish = random.Random(seed := int.from_bytes(os.urandom(3), "big")), tmp_path / "finish"
    print(f"server kills: seed {seed}")
    servers.start()
    with connect(Settings.load()) as client, open_store(home) as store:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "slow.py").write_text(SLOW)
        monkeypatch.setattr("tests.process.homes.SCRIPTS", tmp_path / "code")
        wanted = deploy(client, tmp_path / "files", "slow.py", files=1200, FINISH=str(finish))
        client.computes.create_or_update(Compute(name="cpu", max_instances=1))
        running = client.endpoints.invoke("ep1", wanted)
        eventually(lambda: done_of(store, running.name) > 0, "the first rows")
        submitters = [
            Submitter(servers, f"{client.endpoints._path}/ep1/jobs", wanted, (home / "token").read_text().strip())
            for _ in range(SUBMITTERS)
        ]
        for submitter in submitters:
            submitter.start()
        begun = done_of(store, running.name)
        for _ in range(KILLS):
            heard = sum(len(one.acknowledged) for one in submitters)
            if dice.random() < 0.5:
                eventually(lambda: sum(len(one.acknowledged) for one in submitters) > heard, "an answer")  # noqa: B023
            time.sleep(dice.uniform(0, 0.3))
            servers.kill()
            servers.start()
        for submitter in submitters:
            submitter.enough.set()
        for submitter in submitters:
            submitter.join(60)
            assert not submitter.is_alive() and not submitter.refused, submitter.refused[:3]
        heartbeat = store.heartbeat(running.name)
        assert heartbeat.epoch == 1, "the driver of the running job was never replaced"
        assert done_of(store, running.name) > begun + KILLS // 10, "and went on all the while"
        acknowledged = {key: names for one in submitters for key, names in one.acknowledged.items()}
        assert all(len(set(names)) == 1 for names in acknowledged.values())
        names = [job.name for job in client.jobs.list()]
        submitted = sorted({name for (name, *_) in acknowledged.values()})
        assert sorted(names) == sorted([*submitted, running.name]), "each exists, once, and no other"
        print(f"{KILLS} kills, {len(acknowledged)} jobs in {sum(one.sent for one in submitters)} requests; a server")
        median = sorted(servers.starts)[len(servers.starts) // 2]
        print(f"answers after {median:.2f} s, {max(servers.starts):.2f} s at most")
        assert len(acknowledged) > KILLS / 4
        assert max(servers.starts) < SERVES_WITHIN_S
        for name in submitted:
            client.jobs.cancel(name)
        finish.touch()
        found = ended(client, running.name)
        assert (found.status, found.progress.items_succeeded) == (JobStatus.COMPLETED, 1200)


def done_of(store: Store, job: str) -> int:
    found = store.find_job(job)
    assert found is not None
    return found.progress.mini_batches_done
