"""Models from a registry: a real tracking server, asked by MLflow's own client, and what is said of others."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.command_line import Az

FLAVOURS = next(iter(sorted(Path(__file__).parents[2].glob(".cache/flavours-*/bin/python"))), None)
pytestmark = pytest.mark.skipif(FLAVOURS is None, reason="make flavours installs MLflow's flavours")

_MLMODEL = "flavors:\n  python_function: {loader_module: nothing, env: requirements.txt}\n"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A tracking server with a registered model ``heart``: version 1, and version 2 that is ``champion``."""
    folder = tmp_path_factory.mktemp("tracking")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert FLAVOURS is not None
    command = [str(FLAVOURS), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "kept")]
    silent = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=os.environ | silent, stdout=log, stderr=log)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        try:
            _await(client, server, folder / "log")
            _register(client)
            yield client
        finally:
            server.terminate()
            server.wait(30)


def _await(client: httpx.Client, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _register(client: httpx.Client) -> None:
    """By the interface that MLflow's client uses; that client would take seconds to import."""
    _said(client, "registered-models/create", name="heart")
    for number in (1, 2):
        run = _said(client, "runs/create", experiment_id="0")["run"]["info"]
        place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for name, text in {
            "MLmodel": f"{_MLMODEL}run_id: '{number}'\n",
            "requirements.txt": f"mlflow=={number}.0\n",
        }.items():
            url = f"/api/2.0/mlflow-artifacts/artifacts/{place}/model/{name}"
            client.put(url, content=text.encode()).raise_for_status()
        source = f"{run['artifact_uri']}/model"
        _said(client, "model-versions/create", name="heart", source=source, run_id=run["run_id"])
    client.headers["run"] = run["run_id"]
    _said(client, "registered-models/alias", name="heart", alias="champion", version="2")


def _said(client: httpx.Client, what: str, **body: str) -> dict[str, dict[str, dict[str, str]]]:
    answer = client.post(f"/api/2.0/mlflow/{what}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, dict[str, dict[str, str]]] = answer.json()
    return found


@pytest.fixture
def registry(az: Az, tracking: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Az:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tracking.base_url).replace("://", "://me:geheim@"))
    az("compute create -n cluster --type amlcompute -o none")
    az("batch-endpoint create -n hearts -o none")
    return az


def deployed(az: Az, model: str, code: int = 0) -> str:
    """What the model with this reference wants, or what is said of it."""
    Path("mlflow.yml").write_text(f"name: blue\nendpoint_name: hearts\nmodel: {model}\ncompute: azureml:cluster\n")
    answer = az("batch-deployment create -f mlflow.yml", code=code)
    assert "geheim" not in answer.out + answer.err
    return answer.err if code else str(answer.json["generated"]["conda_file"]["dependencies"][-1]["pip"][0])


def test_versions_aliases_and_runs_are_looked_up_once_and_copied(registry: Az, tracking: httpx.Client) -> None:
    assert deployed(registry, "models:/heart@champion") == "mlflow==2.0"
    assert deployed(registry, f"runs:/{tracking.headers['run']}/model") == "mlflow==2.0"
    assert deployed(registry, "{path: 'models:/heart/1', name: heart}") == "mlflow==1.0"
    assert registry("model list -n heart").json[0]["type"] == "mlflow_model"
    assert deployed(registry, "models:/heart@champion") == "mlflow==2.0"
    _said(tracking, "registered-models/alias", name="heart", alias="champion", version="1")
    try:
        shown = registry("batch-deployment show -n blue -e hearts").json
        assert shown["generated"]["conda_file"]["dependencies"][-1]["pip"][0] == "mlflow==2.0"
        assert deployed(registry, "models:/heart@champion") == "mlflow==1.0"
    finally:
        _said(tracking, "registered-models/alias", name="heart", alias="champion", version="2")


def test_what_the_registry_does_not_know_is_told_in_one_line(registry: Az, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no models:/heart/7 at http://127.0.0.1" in deployed(registry, "models:/heart/7", code=1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:geheim@127.0.0.1:1")
    told = deployed(registry, "models:/heart/1", code=1)
    assert "cannot be fetched from http://127.0.0.1:1: it does not answer ([Errno 111] Connection refused)" in told
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "mlflow_tracking_uri" in deployed(registry, "models:/heart/1", code=1)


def test_only_the_owner_is_led_to_a_path_on_the_servers_machine(tracking: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "private" / "artifacts" / "model").mkdir(parents=True)
    (tmp_path / "private" / "artifacts" / "model" / "MLmodel").write_text(_MLMODEL)
    place = _said(tracking, "experiments/create", name=str(tmp_path), artifact_location=str(tmp_path / "private"))
    run = _said(tracking, "runs/create", experiment_id=str(place["experiment_id"]))["run"]["info"]
    folder = Path(run["artifact_uri"])
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "MLmodel").write_text(_MLMODEL)
    assert (
        _fetched(tracking, run["run_id"], tmp_path / "a", may_read_here=False)["error"]["code"] == "LocalPathNotAllowed"
    )
    path = _fetched(tracking, run["run_id"], tmp_path / "b", may_read_here=True)["path"]
    assert (Path(str(path)) / "MLmodel").read_text() == _MLMODEL


def _fetched(tracking: httpx.Client, run: str, into: Path, *, may_read_here: bool) -> dict[str, dict[str, str]]:
    asked = {"uri": f"runs:/{run}/model", "tracking_uri": str(tracking.base_url), "into": str(into)}
    done = subprocess.run(
        [sys.executable, "-m", "batchpoint.mlmodel.registry"],
        input=json.dumps({**asked, "may_read_here": may_read_here}).encode(),
        capture_output=True,
        check=False,
    )
    found: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_without_mlflow_the_line_that_installs_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.py").write_text("raise ImportError('not here')")
    asked = {
        "uri": "models:/heart/1",
        "tracking_uri": "http://127.0.0.1:1",
        "into": str(tmp_path),
        "may_read_here": True,
    }
    done = subprocess.run(
        [sys.executable, "-m", "batchpoint.mlmodel.registry"],
        input=json.dumps(asked).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert "pip install 'batchpoint[mlflow]'" in json.loads(done.stdout)["error"]["message"]
