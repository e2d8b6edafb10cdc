"""The server as a process: one per home, found by clients, stopped cleanly, spoken to from other homes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.client.inputs import InputResolver
from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.data import DataAsset, Input
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import JobStatus
from batchpoint.errors import AccessDenied, ReferenceInvalid, ResourceConflict, ResourceNotFound, ServerUnreachable
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.storage.lock import is_locked
from tests.process.homes import deploy, ended, eventually, expected_rows

StartServer = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings.load()


@pytest.fixture
def serve(settings: Settings) -> Iterator[StartServer]:
    """Starts servers on the home and stops those that are left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "batchpoint.server", *arguments]
        environ = settings.child_environ()
        started.append(subprocess.Popen(command, env=environ, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def server(serve: StartServer, settings: Settings) -> "subprocess.Popen[bytes]":
    process = serve()
    eventually(lambda: (settings.home / "server.json").exists() or process.poll() is not None, "the server")
    return process


@pytest.fixture
def stranger(server: object, settings: Settings, tmp_path: Path) -> Iterator[Client]:
    """A client from another home."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    url = json.loads((settings.home / "server.json").read_text())["url"]
    token = (settings.home / "token").read_text().strip()
    with connect(Settings(home=elsewhere, server=url, token=token)) as client:
        yield client
    assert list(elsewhere.iterdir()) == []


def test_a_client_finds_the_server_of_its_home(server: object, settings: Settings, tmp_path: Path) -> None:
    url = json.loads((settings.home / "server.json").read_text())["url"]
    with connect(settings) as client:
        assert (client.base_url, client.shares_home) == (url, True)
        job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "good.py"))
        assert ended(client, job.name).status is JobStatus.COMPLETED
        assert client.endpoints.get("ep1").scoring_uri == f"{url}/endpoints/ep1/jobs"


def test_a_second_server_on_the_home_is_refused_with_a_sentence(server: object, serve: StartServer) -> None:
    second = serve()
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    assert b"A server runs on" in said
    assert b"http://127.0.0.1:" in said


def test_a_port_that_is_taken_is_refused_with_a_sentence(
    server: object, serve: StartServer, settings: Settings, tmp_path: Path
) -> None:
    port = json.loads((settings.home / "server.json").read_text())["url"].rpartition(":")[2]
    environ = {**settings.child_environ(), "BATCHPOINT_HOME": str(tmp_path / "other")}
    command = [sys.executable, "-m", "batchpoint.server", "--port", port]
    refused = subprocess.run(command, env=environ, capture_output=True, timeout=60)
    assert refused.returncode == 1
    assert f"port {port}: another program does already. Choose another with --port".encode() in refused.stderr
    assert not is_locked(tmp_path / "other" / "server.lock")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_told_to_stop_leaves_its_jobs_running(
    server: "subprocess.Popen[bytes]", settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    with connect(settings) as client:
        wanted = deploy(
            client, tmp_path / "files", "sleeps_in_run.py", files=6, SLEEP_S="0.3", CALLS=str(tmp_path / "c")
        )
        job = client.endpoints.invoke("ep1", wanted)
        eventually((tmp_path / "c").exists, "the first run()")
        server.send_signal(number)
        _, said = server.communicate(timeout=60)
        assert server.returncode == 0, said
        assert not (settings.home / "server.json").exists()
        with pytest.raises(ServerUnreachable, match="batchpoint serve"):
            client.jobs.get(job.name)
    with connect(settings) as client:
        found = ended(client, job.name)
        assert (found.status, found.progress.items_succeeded) == (JobStatus.COMPLETED, 6)


def test_after_a_server_was_killed_clients_work_without_it(
    server: "subprocess.Popen[bytes]", settings: Settings
) -> None:
    server.kill()
    server.wait(timeout=60)
    assert (settings.home / "server.json").exists()
    with connect(settings) as client:
        assert client.base_url == "http://localhost:8787"
        client.endpoints.create_or_update(Endpoint(name="ep1"))


def test_a_stranger_sends_what_it_has_and_gets_its_output(stranger: Client, tmp_path: Path) -> None:
    wanted = deploy(stranger, tmp_path / "files", "good.py")
    assert not stranger.shares_home
    job = stranger.endpoints.invoke("ep1", wanted)
    assert ended(stranger, job.name).status is JobStatus.COMPLETED
    assert "LocalUpload" in job.settings.input.path
    (file,) = stranger.jobs.download(job.name, tmp_path / "out")
    assert file.read_text() == expected_rows(4)
    assert any(log.path == "logs/azureml/executionlogs.txt" for log in stranger.jobs.logs(job.name))


def test_content_is_sent_by_a_stranger_once(stranger: Client, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w" * (3 << 20))
    (tmp_path / "model" / "odd name#?%.bin").write_bytes(b"x")
    first = stranger.models.create_or_update(Model(name="m", path=str(tmp_path / "model")))
    again = stranger.models.create_or_update(Model(name="m", path=str(tmp_path / "model")))
    assert (first.version, again.version, first.path) == ("1", "2", again.path)
    stored = list((settings.home / "datastores/workspaceblobstore/LocalUpload").glob("*/model/*"))
    assert sorted(path.name for path in stored) == ["odd name#?%.bin", "weights"]


def test_data_of_a_stranger_is_copied_and_data_of_the_home_is_read_in_place(
    stranger: Client, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    sent = stranger.data.create_or_update(DataAsset(name="d", path=str(tmp_path / "in")))
    assert sent.path.startswith("azureml://datastores/workspaceblobstore/paths/LocalUpload/")
    with connect(settings) as client:
        in_place = client.data.create_or_update(DataAsset(name="e", path=str(tmp_path / "in")))
    assert in_place.path == str(tmp_path / "in")


def test_a_wrong_token_is_refused_and_no_token_is_sent_to_other_machines(server: object, settings: Settings) -> None:
    url = json.loads((settings.home / "server.json").read_text())["url"]
    with connect(Settings(home=settings.home, server=url, token="wrong")) as client, pytest.raises(AccessDenied):
        client.endpoints.list()
    with connect(Settings(home=settings.home, server=url)) as client:
        assert client.endpoints.list() == []
        assert client.shares_home
    with pytest.raises(AccessDenied, match="BATCHPOINT_TOKEN"):
        connect(Settings(home=settings.home, server="https://elsewhere.example"))


def test_an_address_without_a_server_is_answered_with_what_to_do(home: Path) -> None:
    settings = Settings(home=home, server="http://127.0.0.1:9", token="x")
    said = r"127\.0\.0\.1:9.*BATCHPOINT_SERVER"
    with connect(settings) as client, pytest.raises(ServerUnreachable, match=said):
        client.endpoints.list()


def test_versions_are_chosen_by_name(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "f").write_text("1")
    with connect(settings) as client:
        model = Model(name="m", path=str(tmp_path / "m"))
        assert [client.models.create_or_update(model).version for _ in range(2)] == ["1", "2"]
        assert client.models.create_or_reuse(model).version == "2"
        (tmp_path / "m" / "f").write_text("2")
        assert client.models.create_or_reuse(model).version == "3"
        assert client.models.get("m", label="latest").version == "3"
        assert [m.version for m in client.models.list("m")] == ["3", "2", "1"]
        assert [(m.name, m.version, m.latest_version) for m in client.models.list()] == [("m", None, "3")]
        with pytest.raises(ResourceConflict):
            client.models.create_or_update(model.model_copy(update={"version": "1"}))
        with pytest.raises(ResourceNotFound, match="no file or folder"):
            client.models.create_or_update(Model(name="m", path=str(tmp_path / "none")))
        with pytest.raises(ReferenceInvalid, match="version or a label"):
            client.models.get("m", "1", "latest")
        named = Environment(name="e", image="i", conda_file={"name": "x"})
        assert client.environments.create_or_reuse(named).version == "1"
        assert client.environments.create_or_reuse(named).version == "1"
        anonymous = client.environments.create_or_reuse(Environment(image="i", conda_file={"name": "x"}))
        assert anonymous.name == "CliV2AnonymousEnvironment"


@pytest.fixture
def resolver(settings: Settings) -> Iterator[InputResolver]:
    with connect(settings) as client:
        yield client.endpoints._inputs


def test_what_is_typed_as_input_is_read_in_the_documented_order(
    resolver: InputResolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a:b@c.txt").write_text("x")
    monkeypatch.chdir(tmp_path)

    def resolved(path: str, kind: str | None = None) -> tuple[str, str]:
        given = Input.model_validate({"path": path} | ({"type": kind} if kind else {}))
        found = resolver.resolve(given)
        return found.path.rpartition("/")[2] if "/data/" in found.path else found.path, found.type

    unchanged = [
        "https://host.example/a.png",
        "azureml:d:1",
        "azureml:d@latest",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/data/d/versions/1",
        "azureml://datastores/workspaceblobstore/paths/x/",
    ]
    for path in unchanged:
        assert resolver.resolve(Input(path=path)).path == path
    assert resolved("https://host.example/a.png")[1] == "uri_file"
    assert resolved("https://host.example/a/")[1] == "uri_folder"
    assert resolver.resolve(Input(path="folder:azureml://datastores/d/paths/x")).type == "uri_folder"
    assert resolver.resolve(Input(path="file:azureml://datastores/d/paths/x")).type == "uri_file"
    assert resolved(str(tmp_path / "in"))[1] == "uri_folder"
    assert resolved("in")[1] == "uri_folder"
    assert resolved("./in/a:b@c.txt")[1] == "uri_file"
    # The same place is registered once, and again under the same name.
    assert resolver.resolve(Input(path="in")) == resolver.resolve(Input(path=str(tmp_path / "in")))
    with pytest.raises(ReferenceInvalid, match="no folder or file"):
        resolver.resolve(Input(path="nowhere"))
    with pytest.raises(ReferenceInvalid, match="empty"):
        resolver.resolve(Input(path=""))
    with pytest.raises(ReferenceInvalid, match="is a folder"):
        resolved("in", "uri_file")


def test_a_folder_may_take_the_place_of_a_file_that_was_scored(resolver: InputResolver, tmp_path: Path) -> None:
    place = tmp_path / "thing"
    place.write_text("x")
    first = resolver.resolve(Input(path=str(place)))
    place.unlink()
    place.mkdir()
    second = resolver.resolve(Input(path=str(place)))
    assert (first.type, second.type) == ("uri_file", "uri_folder")
    assert first.path != second.path


def test_an_upload_is_forced_when_asked_for(resolver: InputResolver, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("x")
    with connect(settings) as client:
        in_place = client.data.get(resolver.resolve(Input(path=str(tmp_path / "in"))).path.split("/")[-3], "1")
        copied = client.data.get(
            resolver.resolve(Input(path=str(tmp_path / "in")), upload=True).path.split("/")[-3], "1"
        )
    assert in_place.path == str(tmp_path / "in")
    assert "LocalUpload" in copied.path
