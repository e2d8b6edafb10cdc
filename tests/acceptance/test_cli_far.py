"""The same verbs from another machine: a client with a home of its own speaks to a server over HTTP alone."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.command_line import Az, with_deployment
from tests.acceptance.typed import ROWS


@pytest.fixture
def far(az: Az, server: subprocess.Popen[bytes], home: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    """Types for a client that shares no home with the server."""
    monkeypatch.setenv("BATCHPOINT_TOKEN", (home / "token").read_text().strip())
    url = json.loads((home / "server.json").read_text())["url"]
    return lambda line, code=0: az(f"{line} --server {url} --home elsewhere", code)


def test_models_jobs_and_workspaces_are_worked_with_from_afar(far: Az, home: Path) -> None:
    with_deployment(far)
    far("model create --name m --path model -o none")
    assert far("model show --name m --version 1").json["path"].startswith("azureml://datastores/workspaceblobstore/")
    far("model update --name m --version 1 --set tags.a=b -o none")
    far("model download --name m --version 1 --download-path got")
    assert Path("got/m/offset.txt").read_text() == "100"
    far("model archive --name m")
    assert [one["name"] for one in far("model list --archived-only").json] == ["m"]
    far("data create --name d --path data -o none")
    far("data update --name d --version 1 --description Far -o none")
    name = far("batch-endpoint invoke -n digits --input azureml:d:1 --query name -o tsv").out.strip()
    far(f"job stream --name {name}")
    far(f"job download --name {name} --all --download-path all")
    assert Path("all/predictions.csv").read_text() == ROWS
    assert Path("all/artifacts/logs/azureml/executionlogs.txt").is_file()
    far(f"job archive --name {name}")
    assert far("job list").json == []
    far("workspace create --name vision -o none")
    assert far("compute list -w vision").json == []
    far("workspace delete --name vision --yes")
    assert far("rest --url /batchpoint/v1/info --query home").json == (home / "id").read_text().strip()
    assert not Path("elsewhere/batchpoint.db").exists()
