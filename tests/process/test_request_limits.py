"""Too many requests of one caller, and too many jobs of one workspace: told to come again, and nobody else waits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from batchpoint.client import Client
from batchpoint.errors import QueueFull
from batchpoint.local import connect
from batchpoint.server.supervisor import lock_of
from batchpoint.settings import Settings
from batchpoint.storage.lock import try_lock
from tests.process.homes import deploy
from tests.process.servers import SPACE, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("homes") / "home", BATCHPOINT_REQUESTS_PER_SECOND="0.5") as found:
        yield found


def test_a_flood_of_requests_is_slowed_down_and_the_owner_is_still_heard(server: Server) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        answers = [stranger.get("/schemas/job.schema.json") for _ in range(12)]
    refused = [one for one in answers if one.status_code == 429]
    assert 0 < len(refused) < 12
    assert refused[0].json()["error"]["code"] == "TooManyRequests"
    assert refused[0].headers["retry-after"].isdecimal()
    assert refused[0].headers["x-ms-request-id"] in refused[0].text
    with server.client() as owner:
        assert {owner.get(f"{SPACE}/jobs").status_code for _ in range(30)} == {200}


def test_another_address_is_not_made_up_where_no_proxy_is_trusted(server: Server) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        answers = [
            stranger.get("/schemas/job.schema.json", headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(20)
        ]
    assert 429 in {one.status_code for one in answers}


def test_behind_a_trusted_proxy_each_client_has_a_limit_of_its_own(tmp_path: Path) -> None:
    trusting = {"BATCHPOINT_REQUESTS_PER_SECOND": "0.2", "BATCHPOINT_TRUSTED_PROXIES": "127.0.0.1"}
    with serving(tmp_path / "home", **trusting) as server, httpx.Client(base_url=server.url) as proxy:
        said = [f"203.0.113.9, 192.0.2.{number}" for number in range(8)]
        statuses = {proxy.get("/schemas/job.schema.json", headers={"X-Forwarded-For": one}).status_code for one in said}
        assert 429 not in statuses
        same = [proxy.get("/schemas/x", headers={"X-Forwarded-For": "192.0.2.1"}).status_code for _ in range(8)]
        assert 429 in same


@pytest.fixture
def small(home: Path, tmp_path: Path) -> Iterator[Client]:
    """A home in which two jobs may wait and nobody runs any."""
    settings = replace(Settings.load(), queued_jobs_per_workspace=2)
    with try_lock(lock_of(home)), connect(settings) as client:
        yield client


def test_a_full_queue_takes_no_more_until_one_is_cancelled(small: Client, tmp_path: Path) -> None:
    invocation = deploy(small, tmp_path / "files", "good.py")
    first, _ = (small.endpoints.invoke("ep1", invocation) for _ in range(2))
    with pytest.raises(QueueFull, match="has 2 jobs that wait, and may have 2"):
        small.endpoints.invoke("ep1", invocation)
    small.jobs.cancel(first.name)
    assert small.endpoints.invoke("ep1", invocation).name
