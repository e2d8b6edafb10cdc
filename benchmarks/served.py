"""The server that ``server`` measures: a process on a home of its own, with a job that runs for as long as it does."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import httpx

from batchpoint.client import Client
from batchpoint.entities.assets import Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Input, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import JobStatus
from batchpoint.local import connect
from batchpoint.server.serve import running_server
from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked
from batchpoint.store.store import open_store
from benchmarks import load
from benchmarks.load import Answers, Ask
from benchmarks.measure import high_water_mb

SPACE = (
    f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/default"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)
#: The same workspace as the store knows it.
SPACE_KEY = f"{DEFAULT_SUBSCRIPTION}/default/default"
VERSION = "?api-version=2023-04-01-preview"
SCRIPTS = Path(__file__).parent / "scripts"
#: Seconds of processor time that the running job's script takes for each of its files.
BUSY_S, FILES = "0.05", 20_000

_FLOOR = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
async def answer(request):
    await request.body()
    return Response(b'{"value":"' + b"x" * 1000 + b'"}', media_type="application/json")
app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PUT", "POST"])])
uvicorn.run(app, fd=int(sys.argv[1]), http="h11", log_level="error", access_log=False)
"""


class Served:
    """A server on a home in ``folder``; leave it and everything of it ends."""

    endpoint = "scores"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = Settings(home=folder / "home")

    def __enter__(self) -> Self:
        self._settings.home.mkdir()
        command = [sys.executable, "-m", "batchpoint.server"]
        with (self._folder / "server.err").open("wb") as said:
            self._process = subprocess.Popen(command, env=self._settings.child_environ(), stderr=said)
        while not (url := running_server(self._settings.home)):
            if self._process.poll() is not None:
                raise SystemExit((self._folder / "server.err").read_text())
            time.sleep(0.05)
        self.url = url
        token = (self._settings.home / "token").read_text().strip()
        self.headers = {"Authorization": f"Bearer {token}"}
        return self

    def __exit__(self, *_: object) -> None:
        # Killed, it leaves nobody behind who would begin the jobs that wait.
        self._process.kill()
        self._process.wait()
        with open_store(self._settings.home) as store:
            for job in store.placed_jobs():
                store.request_cancel(SPACE_KEY, job.name)
                _until(partial(_is_free, job_folder(self._settings.home, job.name).lock))

    def prepare(self) -> None:
        """An endpoint with a deployment, some assets, and a job that is running."""
        folder = self._folder / "files"
        (folder / "in").mkdir(parents=True)
        for number in range(FILES):
            (folder / "in" / f"{number:05}.txt").touch()
        (folder / "model").write_text("w")
        self._input = str(folder / "in")
        with connect(self._settings) as client:
            client.endpoints.create_or_update(Endpoint(name=self.endpoint))
            client.computes.create_or_update(Compute(name="cpu", max_instances=1))
            client.data.create_or_update(DataAsset(name="images", version="1", path=self._input))
            client.deployments.create_or_update(self._deployment(folder), set_default=True, skip_script_validation=True)
            self._running = client.endpoints.invoke(self.endpoint, Invocation(input=Input(path=self._input))).name
            _until(lambda: _is_under_way(client, self._running))

    def _deployment(self, folder: Path) -> Deployment:
        return Deployment(
            name="blue",
            endpoint_name=self.endpoint,
            model=Model(path=str(folder / "model")),
            code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script="steady.py"),
            compute="azureml:cpu",
            mini_batch_size=2,
            environment_variables={"BUSY_S": BUSY_S},
        )

    # ---- requests -------------------------------------------------------------------------------------------------

    def load(self, clients: int, rate: float, seconds: float, next_ask: Callable[[int], Ask | None]) -> Answers:
        return load.run(self.url, self.headers, clients, rate, seconds, next_ask)

    def reads(self) -> list[Ask]:
        ours = f"/batchpoint/v1/jobs/{self._running}"
        paths = {
            "job": f"{SPACE}/jobs/{self._running}{VERSION}",
            "jobs": f"{SPACE}/jobs{VERSION}",
            "jobs of endpoint": f"/endpoints/{self.endpoint}/jobs{VERSION}",
            "endpoint": f"{SPACE}/batchEndpoints/{self.endpoint}{VERSION}",
            "deployments": f"{SPACE}/batchEndpoints/{self.endpoint}/deployments{VERSION}",
            "logs": f"{ours}/logs",
            "log": f"{ours}/logs/logs/azureml/executionlogs.txt",
            "data": f"{SPACE}/data/images/versions/1{VERSION}",
        }
        return [Ask(kind, "GET", path) for kind, path in paths.items()]

    def put_endpoint(self, name: str, turn: int) -> Ask:
        body = {"location": "local", "properties": {"description": f"written {turn} times", "authMode": "AADToken"}}
        return Ask("put endpoint", "PUT", f"{SPACE}/batchEndpoints/{name}{VERSION}", json.dumps(body).encode())

    def put_data(self, name: str, version: str) -> Ask:
        body = {"properties": {"dataType": "uri_folder", "dataUri": self._input}}
        return Ask("put data", "PUT", f"{SPACE}/data/{name}/versions/{version}{VERSION}", json.dumps(body).encode())

    def invoke(self, job: str) -> Ask:
        given = {"score": {"jobInputType": "UriFolder", "uri": self._input}}
        body = {"properties": {"name": job, "inputData": given}}
        return Ask("invoke", "POST", f"/endpoints/{self.endpoint}/jobs", json.dumps(body).encode())

    def link_of_page(self, number: int) -> str:
        """The path of that page of the workspace's jobs, as a client gets to it."""
        path = f"{SPACE}/jobs{VERSION}"
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            for _ in range(number):
                link = client.get(path).json().get("nextLink")
                if not link:
                    break
                path = httpx.URL(link).raw_path.decode()
        return path

    # ---- the process ----------------------------------------------------------------------------------------------

    def idle_share(self, seconds: float = 10.0) -> float:
        """Share of a core that the server takes while nobody asks it anything, once it has caught up with the queue."""
        time.sleep(5)
        before = self._cpu_s()
        time.sleep(seconds)
        return (self._cpu_s() - before) / seconds

    def memory_mb(self) -> float:
        return high_water_mb(self._process.pid)

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def idle_application() -> Iterator[str]:
    """Where an application answers that does nothing, on the same web server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", _FLOOR, str(listener.fileno())]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()])
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            # Until it listens, its connections wait.
            httpx.get(url, timeout=60)
            yield url
        finally:
            process.terminate()
            process.wait()


def _is_under_way(client: Client, job: str) -> bool:
    found = client.jobs.get(job)
    return found.status is JobStatus.RUNNING and found.progress.items_succeeded > 0


def _is_free(lock: Path) -> bool:
    return not is_locked(lock)


def _until(look: Callable[[], bool]) -> None:
    while not look():
        time.sleep(0.1)
