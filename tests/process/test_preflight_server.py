"""Preflights over the routes: nothing is created, nobody else sees them, and none outlives who has asked for it."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batchpoint.client import Client
from batchpoint.compute import strays
from batchpoint.entities.assets import Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Input, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment, Resources
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import JobSettings
from batchpoint.errors import LimitExceeded, ResourceNotFound
from batchpoint.local import connect
from batchpoint.server.preflight.processes import Preflights
from batchpoint.server.preflight.wishes import Asked
from batchpoint.settings import Settings
from tests.conftest import left_of
from tests.process.homes import eventually
from tests.process.servers import serving

HANGS = "import time\ndef init(): time.sleep(60)\ndef run(batch): return batch\n"
GOOD = "def init(): pass\ndef run(batch): return [len(path) for path in batch]\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a home in it, and what deployments are made of."""
    folder = tmp_path_factory.mktemp("preflights")
    (folder / "home").mkdir()
    (folder / "in").mkdir()
    for number in range(3):
        (folder / "in" / f"{number}.txt").write_text(str(number))
    (folder / "model").write_text("")
    for name, script in (("good", GOOD), ("hangs", HANGS)):
        (folder / name).mkdir()
        (folder / name / "s.py").write_text(script)
    yield folder
    assert left_of(folder / "home") == {}


@pytest.fixture
def client(town: Path) -> Iterator[Client]:
    with connect(Settings(home=town / "home", supervisor_idle_s=0.2)) as found:
        yield found


def deployment(
    town: Path, code: str = "good", endpoint: str = "ep1", compute: str = "cpu", count: int = 1
) -> Deployment:
    return Deployment(
        name="dp1",
        endpoint_name=endpoint,
        model=Model(path=str(town / "model")),
        code_configuration=CodeConfiguration(code=str(town / code), scoring_script="s.py"),
        compute=f"azureml:{compute}",
        resources=Resources(instance_count=count),
    )


def deployed(client: Client, town: Path, code: str = "good") -> Invocation:
    client.endpoints.create_or_update(Endpoint(name="ep1"))
    client.computes.create_or_update(Compute(name="cpu"))
    client.deployments.create_or_update(deployment(town, code), set_default=True)
    return Invocation(input=Input(path=str(town / "in")))


def codes(lines: list[dict[str, object]], *severities: str) -> set[object]:
    return {line["code"] for line in lines if line["line"] == "finding" and line["severity"] in (severities or "error")}


def test_all_that_is_missing_is_named_at_once_and_nothing_is_created(client: Client, town: Path) -> None:
    wanted = deployment(town, endpoint="nowhere", compute="none")
    lines = list(client.preflights.deployment(wanted, Input(path=str(town / "in"))))
    missing = [str(line["message"]) for line in lines if line["line"] == "finding" and line["severity"] == "error"]
    assert [message.split(" in ")[0] for message in missing] == [
        "There is no endpoint nowhere",
        "There is no compute none",
    ]
    checks = {line["name"]: line["state"] for line in lines if line["line"] == "check"}
    # What is missing around it does not keep the script from being tried.
    assert (checks["deployment"], checks["sample"]) == ("error", "ok")
    assert not client.models.list() and not client.codes.list() and not client.endpoints.list()
    assert not (town / "home" / "preflights").exists()


def test_an_invocation_is_checked_and_starts_no_job(client: Client, town: Path) -> None:
    invocation = deployed(client, town)
    data = len(client.data.list())
    lines = list(client.preflights.invocation("ep1", invocation))
    assert lines[-1] == {"line": "end", "error": 0, "warning": 0, "note": 0}
    assert list(client.jobs.list()) == []
    assert len(client.data.list()) == data


def test_an_invocation_that_would_be_refused_says_why(client: Client, town: Path) -> None:
    invocation = deployed(client, town)
    many = invocation.model_copy(update={"instance_count": 9})
    assert codes(list(client.preflights.invocation("ep1", many)), "error") == {"ComputeTooSmall"}
    other = invocation.model_copy(update={"deployment_name": "green"})
    assert codes(list(client.preflights.invocation("ep1", other)), "error") == {"ResourceNotFound"}


def test_what_is_wrong_in_the_folder_of_a_model_is_told_with_its_place(client: Client, town: Path) -> None:
    deployed(client, town)
    (town / "broken").mkdir()
    (town / "broken" / "MLmodel").write_text("flavors: {\n")
    model = Model(path=str(town / "broken"), type="mlflow_model")
    wanted = Deployment(name="dp2", endpoint_name="ep1", model=model, compute="azureml:cpu")
    said = [str(line["message"]) for line in client.preflights.deployment(wanted) if line["line"] == "finding"]
    assert [message.partition(": ")[0] for message in said] == ["broken/MLmodel line 2"]


def test_a_deployment_that_asks_for_too_much_says_so(client: Client, town: Path) -> None:
    deployed(client, town)
    lines = list(client.preflights.deployment(deployment(town, count=9)))
    assert codes(lines, "error") == {"ComputeTooSmall"}


def test_an_estimate_tells_items_and_durations(client: Client, town: Path) -> None:
    invocation = deployed(client, town)
    lines = list(client.preflights.invocation("ep1", invocation, estimate=True))
    said = next(line for line in lines if line["line"] == "estimate")
    assert (said["items"], said["mini_batches"]) == (3, 1)
    assert [one["instances"] for one in said["durations"]] == [1, 2, 3, 4]
    assert all(0 < one["low_s"] <= one["expected_s"] <= one["high_s"] for one in said["durations"])
    assert list(client.jobs.list()) == []


def test_whoever_stops_listening_ends_it_and_all_that_it_started(client: Client, town: Path) -> None:
    deployed(client, town)
    lines = client.preflights.deployment(deployment(town, "hangs"), Input(path=str(town / "in")))
    for line in lines:
        if line.get("name") == "start":
            break
    eventually(lambda: strays.marked(f"{town}/home/preflights"), "the worker")
    lines.close()  # type: ignore[attr-defined]
    assert not strays.marked(f"{town}/home/preflights")
    assert not (town / "home" / "preflights").exists()


def test_a_preflight_that_takes_too_long_is_ended_and_says_so(town: Path) -> None:
    with connect(Settings(home=town / "home", preflight_limit_s=1.5, supervisor_idle_s=0.2)) as client:
        deployed(client, town)
        lines = list(client.preflights.deployment(deployment(town, "hangs"), Input(path=str(town / "in"))))
    assert codes(lines, "error") == {"PreflightTooLong"}
    assert not strays.marked(f"{town}/home/preflights")


def test_it_dies_with_the_server_that_has_started_it(town: Path) -> None:
    home = town / "home"
    with connect(Settings(home=home, supervisor_idle_s=0.2)) as client:
        deployed(client, town, "hangs")
    with serving(home) as server, connect(Settings(home=home)) as client:
        for line in client.preflights.invocation("ep1", Invocation(input=Input(path=str(town / "in")))):
            if line.get("name") == "start":
                eventually(lambda: strays.marked(f"{home}/preflights"), "the worker")
                server.kill()
                break
        eventually(lambda: not strays.marked(f"{home}/preflights"), "the end of the worker")
        eventually(lambda: not any((home / "preflights").glob("*/work")), "the end of its files")


def test_a_client_on_another_machine_sends_what_is_to_be_checked(town: Path, tmp_path: Path) -> None:
    with serving(town / "home") as server:
        token = (town / "home" / "token").read_text().strip()
        away = Settings(home=tmp_path / "other", server=server.url, token=token)
        with connect(away) as client:
            assert not client.shares_home
            lines = list(client.preflights.deployment(deployment(town), Input(path=str(town / "in"))))
            checks = {line["name"]: line["state"] for line in lines if line["line"] == "check"}
            assert checks["sample"] == "ok"
            assert checks["input"] == "ok"


def test_nobody_else_sees_it_and_so_many_may_be_at_once(tmp_path: Path) -> None:
    here = Preflights(Settings(home=tmp_path, preflights_at_once=0))
    with pytest.raises(LimitExceeded, match="preflights_at_once"):
        here.start(Asked(), "ana")
    here = Preflights(Settings(home=tmp_path))
    name = here.start(Asked(), "ana")
    with pytest.raises(ResourceNotFound):
        here.lines(name, "bob", 0)
    with pytest.raises(ResourceNotFound):
        here.end(name, "bob")
    lines, until, has_ended = here.lines(name, "ana", 0)
    assert ([line["name"] for line in lines], has_ended) == (["deployment"], True)
    assert here.lines(name, "ana", until) == ([], until, True)
    here.end(name, "ana")
    assert not (tmp_path / "preflights").exists()


def test_what_a_killed_process_left_goes_when_the_next_one_starts(tmp_path: Path) -> None:
    old = tmp_path / "preflights" / "old"
    old.mkdir(parents=True)
    long_ago = time.time() - 10_000
    os.utime(old, (long_ago, long_ago))
    here = Preflights(Settings(home=tmp_path))
    here.end(here.start(Asked(), "ana"), "ana")
    assert not old.exists()


class Slow(Preflights):
    """Begins nothing until it is told to."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.began, self.may_go_on = threading.Event(), threading.Event()

    def _begun(self, folder: Path, asked: Asked, *, estimate: bool) -> "subprocess.Popen[bytes]":
        self.began.set()
        assert self.may_go_on.wait(60)
        return subprocess.Popen(["/bin/true"], stdin=subprocess.PIPE)


def test_requests_that_come_side_by_side_start_no_more_than_may_be(tmp_path: Path) -> None:
    here = Slow(Settings(home=tmp_path, preflights_at_once=1))
    asked = Asked(settings=JobSettings.model_construct())
    names: list[str] = []
    first = threading.Thread(target=lambda: names.append(here.start(asked, "ana")))
    first.start()
    assert here.began.wait(60)
    with pytest.raises(LimitExceeded, match="1 preflights are under way"):
        here.start(asked, "bob")
    here.may_go_on.set()
    first.join()
    here.end(names[0], "ana")


def test_a_place_beyond_every_file_is_refused(town: Path) -> None:
    with serving(town / "home") as server:
        token = (town / "home" / "token").read_text().strip()
        answer = httpx.get(
            f"{server.url}/batchpoint/v1/preflights/none?since=1{'0' * 30}",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 400
