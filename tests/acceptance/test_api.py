"""The whole application on a real home: each route changes something and another one reads it back."""

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from batchpoint.arm.envelope import ids
from batchpoint.entities.job import Job, JobError, JobStatus, Progress
from batchpoint.entities.workspace import Workspace
from batchpoint.entities.workspace_record import WorkspaceRecord
from batchpoint.in_process import InProcessTransport
from batchpoint.server.app import create_app
from batchpoint.server.identity.home import token_of
from batchpoint.server.identity.openings import is_open_route
from batchpoint.settings import Settings
from batchpoint.storage.content import content_hash
from batchpoint.storage.datastores import default_datastore
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.published import remember
from batchpoint.store.records import LedgerRow
from batchpoint.store.store import Store, open_store

WS = Workspace("sub", "group", "ws")
BASE = WS.arm_id
UPLOADS = f"/batchpoint/v1/uploads/{WS.subscription}/{WS.resource_group}/{WS.name}"
OURS = "/batchpoint/v1"


@dataclass
class Api:
    """The application of one home, and how to speak to it."""

    http: httpx.Client
    store: Store
    home: Path
    routes: list[APIRoute]
    arrived: list[int] = field(default_factory=list)

    @property
    def blobs(self) -> Path:
        """The folder of the default datastore."""
        return Path(default_datastore(self.home, WS).path or "")

    def put(self, path: str, body: dict[str, Any] | str, status: int = 201) -> dict[str, Any]:
        """What was made, without the address of the operation that made it."""
        content = {"content": body} if isinstance(body, str) else {"json": body}
        made = self.answered(self.http.put(path, **content), status)
        made.get("properties", {}).get("properties", {}).pop("AzureAsyncOperationUri", None)
        return made

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        return self.answered(self.http.get(path), status)

    def post(self, path: str, body: dict[str, Any] | str, status: int = 201, **headers: str) -> dict[str, Any]:
        content = {"content": body} if isinstance(body, str) else {"json": body}
        return self.answered(self.http.post(path, headers=headers, **content), status)

    @staticmethod
    def answered(response: httpx.Response, status: int) -> dict[str, Any]:
        assert response.status_code == status, response.text
        found = response.json() if response.content else {}
        assert isinstance(found, dict)
        return found


@pytest.fixture
def api(home: Path) -> Iterator[Api]:
    settings, store, arrived = Settings(home=home), open_store(home), []
    store.put_workspace(WS.key, WorkspaceRecord(name=WS.name, resource_group=WS.resource_group))
    app = create_app(settings, store, lambda: arrived.append(1))
    transport = InProcessTransport(app, store)
    headers = {"Authorization": f"Bearer {token_of(home)}"}
    with httpx.Client(transport=transport, base_url="http://localhost", headers=headers) as http:
        routes = [route for route in _flat(app.routes) if isinstance(route, APIRoute)]
        yield Api(http, store, home, routes, arrived)


def _flat(routes: Any) -> Iterator[Any]:
    """Routes of included routers too, however the framework keeps them."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from _flat(inner.routes) if inner is not None else [route]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A model, code and an input folder."""
    folder = tmp_path / "files"
    for path, text in {
        "model/weights.txt": "w",
        "code/score.py": "def init(): pass\n\ndef run(batch): return batch\n",
        "in/a.txt": "a",
        "in/b.txt": "b",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def deployed(api: Api, files: Path) -> Api:
    """An endpoint ``ep1`` with the default deployment ``dp1``."""
    api.put(f"{BASE}/batchEndpoints/ep1", {"properties": {"authMode": "aadToken"}})
    scale = {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT2M"}
    api.put(
        f"{BASE}/computes/cpu", {"properties": {"computeType": "AmlCompute", "properties": {"scaleSettings": scale}}}
    )
    api.put(f"{BASE}/models/m/versions/1", {"properties": {"modelUri": str(files / "model")}})
    api.put(f"{BASE}/codes/c/versions/1", {"properties": {"codeUri": str(files / "code")}})
    api.put(f"{BASE}/batchEndpoints/ep1/deployments/dp1", deployment_body())
    default = {"properties": {"defaults": {"deploymentName": "dp1"}}}
    assert api.answered(api.http.patch(f"{BASE}/batchEndpoints/ep1", json=default), 200)
    return api


def deployment_body(**changes: Any) -> dict[str, Any]:
    return {
        "properties": {
            "model": {"referenceType": "Id", "assetId": "azureml:m:1"},
            "codeConfiguration": {"codeId": f"{BASE}/codes/c/versions/1", "scoringScript": "score.py"},
            "compute": "azureml:cpu",
            **changes,
        }
    }


def invocation_body(path: Path | str, **changes: Any) -> dict[str, Any]:
    return {"properties": {"inputData": {"UriFolder": {"jobInputType": "UriFolder", "uri": str(path)}}, **changes}}


def message_of(answer: dict[str, Any]) -> str:
    return str(answer["error"]["message"])


# The gate

#: What editors read without a token, and nothing else.


def test_no_route_answers_without_the_token(api: Api) -> None:
    assert len(api.routes) > 40
    for route in api.routes:
        path = route.path_format.format(**dict.fromkeys(route.param_convertors, "x"))
        for method in route.methods:
            if is_open_route(method, route.path):
                continue
            for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp4"}):
                answer = api.http.request(method, path, headers=headers)
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


def test_schemas_are_read_without_a_token(api: Api) -> None:
    nobody = {"Authorization": ""}
    names = api.http.get("/schemas", headers=nobody).json()
    assert "batchDeployment.schema.json" in names
    for name in names:
        answer = api.http.get(f"/schemas/{name}", headers=nobody)
        assert answer.status_code == 200
        assert answer.json()["title"]
        assert answer.headers["content-type"] == "application/schema+json"
    assert api.http.get("/schemas/pipelineJob.schema.json", headers=nobody).status_code == 404
    assert api.http.get("/schemas/..%2f..%2ferrors.py", headers=nobody).status_code == 401
    assert api.http.post("/schemas", headers=nobody).status_code == 401
    assert api.http.get("/schemasx", headers=nobody).status_code == 401
    assert api.http.get("/schemas", headers={**nobody, "Host": "evil.example"}).status_code == 401


def test_a_path_that_does_not_exist_is_behind_the_gate_too(api: Api) -> None:
    assert api.http.get("/nowhere", headers={"Authorization": ""}).status_code == 401
    assert "no GET /nowhere" in message_of(api.get("/nowhere", 404))
    assert api.http.delete(f"{OURS}/info").status_code == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "10.0.0.1"]
)
def test_a_foreign_host_name_is_refused_whatever_the_token(api: Api, host: str) -> None:
    answer = api.http.get(f"{OURS}/info", headers={"Host": host})
    assert answer.status_code == 401
    assert "host name" in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787", "[::1]"])
def test_loopback_names_are_answered(api: Api, host: str) -> None:
    assert api.http.get(f"{OURS}/info", headers={"Host": host}).status_code == 200


def test_an_operator_can_allow_a_host_name(home: Path) -> None:
    store = open_store(home)
    app = create_app(Settings(home=home, server_hosts_allowed="scoring.example, other"), store)
    headers = {"Authorization": f"Bearer {token_of(home)}", "Host": "scoring.example:443"}
    with httpx.Client(transport=InProcessTransport(app, store), base_url="http://localhost") as http:
        assert http.get(f"{OURS}/info", headers=headers).status_code == 200


def test_the_token_is_drawn_once_and_readable_by_its_owner_alone(home: Path) -> None:
    assert token_of(home) == token_of(home)
    assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600
    assert len(token_of(home)) >= 32


# Endpoints


def test_an_endpoint_is_created_shown_listed_changed_and_deleted(api: Api) -> None:
    path = f"{BASE}/batchEndpoints/MyEp"
    made = api.put(path, '{"location": "x", "tags": {"Team": "A"}, "properties": {"AuthMode": "aadToken",},}')
    assert made["name"] == "myep"
    assert made["id"] == f"{BASE}/batchEndpoints/myep"
    assert made["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints"
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert made["properties"]["scoringUri"] == "http://localhost/endpoints/myep/jobs"
    assert made["properties"]["defaults"] == {}
    assert made["systemData"]["createdAt"]
    assert api.get(path) == made
    assert [e["name"] for e in api.get(f"{BASE}/batchEndpoints")["value"]] == ["myep"]
    changed = api.answered(api.http.patch(path, json={"tags": {"b": "c"}, "properties": {"description": "d"}}), 200)
    assert (changed["tags"], changed["properties"]["description"], changed["location"]) == ({"b": "c"}, "d", "x")
    again = api.put(path, {"properties": {"authMode": "AADToken"}}, 200)
    assert again["systemData"]["createdAt"] == made["systemData"]["createdAt"]
    assert again["tags"] == {}
    assert api.http.delete(path).status_code == 200
    assert api.http.delete(path).status_code == 204
    assert "batch-endpoint create" in message_of(api.get(path, 404))


def test_the_words_of_a_path_are_matched_in_any_casing(api: Api) -> None:
    api.put(f"{BASE}/batchEndpoints/ep1", {})
    other = BASE.replace("resourceGroups", "resourcegroups").replace(
        "Microsoft.MachineLearning", "microsoft.machinelearning"
    )
    assert api.get(f"{other}/batchendpoints/EP1?api-version=2023-10-01")["name"] == "ep1"
    assert api.get(f"{BASE.replace('group/', 'GROUP/')}/batchEndpoints/ep1")["name"] == "ep1"


def test_the_name_of_an_endpoint_is_unique_on_the_server(api: Api) -> None:
    api.put(f"{BASE}/batchEndpoints/ep1", {})
    other = Workspace("sub", "default", "default").arm_id
    assert "another workspace" in message_of(api.put(f"{other}/batchEndpoints/EP1", {}, 409))
    api.get(f"{other}/batchEndpoints/ep1", 404)


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("ab", {}, "3 to 32"),
        ("1abc", {}, "beginning with a letter"),
        ("ep1", {"properties": {"authMode": "Key"}}, "aad_token"),
        ("ep1", {"properties": {"defaults": {"deploymentName": "nope"}}}, "no deployment nope"),
        ("ep1", "{", "not valid JSON"),
        ("ep1", "[]", "JSON object"),
        ("ep1", {"tags": "x"}, "tags: must be an object"),
        ("ep1", {"tags": {"a": ""}}, "a tag needs a value"),
    ],
)
def test_a_bad_endpoint_is_answered_with_400_and_a_sentence(api: Api, name: str, body: Any, message: str) -> None:
    assert message in message_of(api.put(f"{BASE}/batchEndpoints/{name}", body, 400))
    assert api.get(f"{BASE}/batchEndpoints")["value"] == []


def test_long_lists_come_in_pages(api: Api) -> None:
    for number in range(5):
        api.put(f"{BASE}/batchEndpoints/ep{number}", {})
    first = api.get(f"{BASE}/batchEndpoints?count=2&api-version=1")
    second = api.get(first["nextLink"])
    third = api.get(second["nextLink"])
    assert [e["name"] for p in (first, second, third) for e in p["value"]] == [f"ep{n}" for n in range(5)]
    assert "nextLink" not in third
    for skip in ("x", "\u00b2", "9" * 5000):
        api.get(f"{BASE}/batchEndpoints?$skip={skip}", 400)


# Deployments


def test_a_deployment_pins_what_it_names(deployed: Api) -> None:
    found = deployed.get(f"{BASE}/batchEndpoints/ep1/deployments/dp1")["properties"]
    assert found["model"] == {"referenceType": "Id", "assetId": f"{BASE}/models/m/versions/1"}
    assert found["codeConfiguration"] == {"codeId": f"{BASE}/codes/c/versions/1", "scoringScript": "score.py"}
    assert found["compute"] == f"{BASE}/computes/cpu"
    assert (found["miniBatchSize"], found["retrySettings"]) == (10, {"maxRetries": 3, "timeout": "PT30S"})
    assert (found["outputAction"], found["outputFileName"]) == ("AppendRow", "predictions.csv")
    assert deployed.get(f"{BASE}/batchEndpoints/ep1")["properties"]["defaults"] == {"deploymentName": "dp1"}


def test_latest_is_pinned_to_the_version_of_today(deployed: Api, files: Path) -> None:
    path = f"{BASE}/batchEndpoints/ep1/deployments/dp2"
    (files / "model2").mkdir()
    deployed.put(f"{BASE}/models/m/versions/2", {"properties": {"modelUri": str(files / "model2")}})
    latest = {"model": {"assetId": "azureml:m@latest"}}
    assert deployed.put(path, deployment_body(**latest))["properties"]["model"]["assetId"].endswith("/versions/2")
    assert [d["name"] for d in deployed.get(f"{BASE}/batchEndpoints/ep1/deployments")["value"]] == ["dp1", "dp2"]


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"model": {"assetId": "azureml:nope:1"}}, 404, "no model nope with version 1"),
        ({"model": {"assetId": "azureml:m"}}, 400, "neither a version nor a label"),
        ({"model": {"assetId": f"{BASE}/computes/cpu"}}, 400, "is the id of a compute"),
        ({"compute": "azureml:nope"}, 404, "no compute nope"),
        ({"compute": "local"}, 400, "amlcompute"),
        ({"environmentId": "azureml:nope:1"}, 404, "no environment nope"),
        ({"environmentId": "/no/such/python"}, 404, "no interpreter or folder"),
        ({"codeConfiguration": None}, 400, "Give code_configuration"),
        ({"codeConfiguration": {"codeId": "azureml:c:1", "scoringScript": "nope.py"}}, 400, "no file nope.py"),
        ({"codeConfiguration": {"codeId": "azureml:c:1", "scoringScript": "../in/a.txt"}}, 400, "no file ../in/a.txt"),
        ({"outputFileName": "a/b"}, 400, "must not contain /"),
        ({"miniBatchSize": "many"}, 400, "miniBatchSize: must be an integer"),
    ],
)
def test_a_deployment_names_only_what_exists(deployed: Api, changes: dict[str, Any], status: int, message: str) -> None:
    path = f"{BASE}/batchEndpoints/ep1/deployments/bad"
    assert message in message_of(deployed.put(path, deployment_body(**changes), status))
    deployed.get(path, 404)


def test_a_deployment_needs_its_endpoint(deployed: Api) -> None:
    deployed.put(f"{BASE}/batchEndpoints/none/deployments/dp1", deployment_body(), 404)
    deployed.put(f"{BASE}/batchEndpoints/ep1/deployments/a", deployment_body(), 400)


def test_an_image_alone_is_refused_where_workers_are_processes(deployed: Api) -> None:
    deployed.put(f"{BASE}/environments/e/versions/1", {"properties": {"image": "img:latest"}})
    path = f"{BASE}/batchEndpoints/ep1/deployments/dp2"
    refused = deployed.put(path, deployment_body(environmentId="azureml:e:1"), 400)
    assert "The environment is the image 'img:latest', and workers of compute" in message_of(refused)


def test_an_interpreter_becomes_an_environment(deployed: Api, tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    path = f"{BASE}/batchEndpoints/ep1/deployments/dp2"
    made = deployed.put(path, deployment_body(environmentId=str(tmp_path / "python")))
    again = deployed.put(path, deployment_body(environmentId=str(tmp_path / "python")), 200)
    environment = made["properties"]["environmentId"]
    assert environment == again["properties"]["environmentId"]
    assert deployed.get(environment)["properties"]["python"] == str(tmp_path / "python")


def test_the_default_deployment_is_deleted_only_when_another_is_chosen_or_with_its_endpoint(deployed: Api) -> None:
    path = f"{BASE}/batchEndpoints/ep1/deployments/dp1"
    refused = deployed.answered(deployed.http.delete(path), 409)
    assert "batch-endpoint update --name ep1 --set defaults.deployment_name" in message_of(refused)
    deployed.put(f"{BASE}/batchEndpoints/ep1/deployments/dp2", deployment_body())
    deployed.http.patch(f"{BASE}/batchEndpoints/ep1", json={"properties": {"defaults": {"deploymentName": "dp2"}}})
    assert deployed.http.delete(path).status_code == 200
    assert deployed.http.delete(path).status_code == 204
    assert deployed.http.delete(f"{BASE}/batchEndpoints/ep1").status_code == 200
    deployed.get(f"{BASE}/batchEndpoints/ep1/deployments", 404)


# Computes, datastores, assets


def test_a_compute_is_created_shown_listed_and_deleted(api: Api) -> None:
    path = f"{BASE}/computes/cpu"
    made = api.put(path, {"properties": {"computeType": "amlcompute"}})
    assert made["properties"]["properties"]["scaleSettings"]["maxNodeCount"] == 4
    assert api.get(path) == made
    assert [c["name"] for c in api.get(f"{BASE}/computes")["value"]] == ["cpu"]
    assert api.http.delete(path).status_code == 200
    api.get(path, 404)


def test_the_default_datastore_is_there_and_stays(api: Api, tmp_path: Path) -> None:
    assert [d["name"] for d in api.get(f"{BASE}/datastores?isDefault=true")["value"]] == ["workspaceblobstore"]
    default = f"{BASE}/datastores/workspaceblobstore"
    assert api.get(default)["properties"]["batchpoint"]["path"] == str(api.blobs)
    api.put(default, {"properties": {"path": "/x"}}, 409)
    assert api.http.delete(default).status_code == 409
    other = f"{BASE}/datastores/mine"
    api.put(other, {"properties": {"datastoreType": "LocalFolder", "path": str(tmp_path)}})
    assert api.get(other)["properties"]["batchpoint"]["path"] == str(tmp_path)
    api.put(other, {"properties": {"path": "relative"}}, 400)
    api.put(other, {"properties": {"datastoreType": "AzureBlob"}}, 400)
    assert api.http.delete(other).status_code == 200


@pytest.mark.parametrize(
    ("segment", "properties", "changed"),
    [
        ("models", {"modelUri": "{here}/model"}, {"modelUri": "{here}/in"}),
        ("data", {"dataUri": "{here}/in"}, {"dataUri": "{here}/model"}),
        ("datasets", {"paths": [{"folder": "{here}/in"}]}, {"paths": [{"folder": "{here}/model"}]}),
        ("environments", {"image": "a", "condaFile": "{}"}, {"image": "b", "condaFile": "{}"}),
        ("codes", {"codeUri": "{here}/code"}, {"codeUri": "{here}/in"}),
    ],
)
def test_a_version_is_created_shown_listed_and_never_changed(
    api: Api, files: Path, segment: str, properties: dict[str, Any], changed: dict[str, Any]
) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{here}", str(files))
        return [{k: filled(v) for k, v in entry.items()} for entry in value]

    container = f"{BASE}/{segment}/thing"
    first = {"properties": {key: filled(value) for key, value in properties.items()}}
    second = {"properties": {key: filled(value) for key, value in changed.items()}}
    made = api.put(f"{container}/versions/1", first)
    assert made["id"] == f"{BASE}/{'data' if segment == 'datasets' else segment}/thing/versions/1"
    assert api.put(f"{container}/versions/1", first, 200)["properties"] == made["properties"]
    api.put(f"{container}/versions/1", second, 409)
    assert api.get(f"{container}/versions/1")["properties"] == made["properties"]
    api.put(f"{container}/versions/2", second)
    assert [v["name"] for v in api.get(f"{container}/versions")["value"]] == ["2", "1"]
    assert api.get(f"{container}/versions/labels/latest")["name"] == "2"
    assert api.get(f"{container}/labels/latest")["name"] == "2"
    latest = api.get(container)["properties"]
    assert (latest["latestVersion"], latest["nextVersion"]) == ("2", "3")
    assert [c["name"] for c in api.get(f"{BASE}/{segment}")["value"]] == ["thing"]
    api.get(f"{container}/versions/9", 404)
    api.get(f"{container}/labels/oldest", 404)


def test_a_model_with_an_mlmodel_file_is_an_mlflow_model(api: Api, files: Path) -> None:
    (files / "model" / "MLmodel").touch()
    made = api.put(f"{BASE}/models/m/versions/1", {"properties": {"modelUri": str(files / "model")}})
    assert made["properties"]["modelType"] == "mlflow_model"
    assert made["properties"]["flavors"] == {}


def test_code_is_found_by_its_content(api: Api, files: Path) -> None:
    sent = {"properties": {"codeUri": str(files / "code"), "properties": {"hash_sha256": "ab" * 32}}}
    api.put(f"{BASE}/codes/c/versions/1", sent)
    found = api.get(f"{BASE}/codes/whatever/versions?hash={'ab' * 32}&hashVersion=202208")["value"]
    assert [code["id"] for code in found] == [f"{BASE}/codes/c/versions/1"]
    assert api.get(f"{BASE}/codes/whatever/versions?hash={'cd' * 32}")["value"] == []


def test_a_datastore_keeps_its_secrets_for_those_who_ask_for_them(api: Api) -> None:
    path = f"{BASE}/datastores/blobs"
    account = {"accountName": "acct", "containerName": "box", "endpoint": "core.windows.net", "protocol": "https"}
    secret = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "SECRET="}}
    made = api.put(
        f"{path}?skipValidation=true", {"properties": {"datastoreType": "AzureBlob", **account, "credentials": secret}}
    )
    assert made["properties"]["credentials"] == {"credentialsType": "AccountKey"}
    assert {key: made["properties"][key] for key in account} == account
    assert api.get(path) == made
    assert api.post(f"{path}/listSecrets", {}, 200) == {"secretsType": "AccountKey", "key": "SECRET="}
    # What was read may be sent again, and says nothing about the key.
    again = {key: value for key, value in made["properties"].items() if key != "credentials"}
    api.put(f"{path}?skipValidation=true", {"properties": {**again, "description": "d"}}, 200)
    assert api.post(f"{path}/listSecrets", {}, 200)["key"] == "SECRET="
    none = {**again, "credentials": {"credentialsType": "None"}}
    api.put(f"{path}?skipValidation=true", {"properties": none}, 200)
    assert "no credentials" in message_of(api.post(f"{path}/listSecrets", {}, 404))
    principal = {
        "credentialsType": "ServicePrincipal",
        "tenantId": "t",
        "clientId": "c",
        "secrets": {"secretsType": "ServicePrincipal", "clientSecret": "S"},
    }
    api.put(f"{path}?skipValidation=true", {"properties": {**again, "credentials": principal}}, 200)
    assert api.post(f"{path}/listSecrets", {}, 200) == {"secretsType": "ServicePrincipal", "clientSecret": "S"}
    assert api.http.delete(path).status_code == 200
    assert list((api.home / "secrets").iterdir()) == []


def test_datastores_are_chosen_and_sorted_by_what_is_asked(api: Api) -> None:
    for name in ("beta", "alpha", "betamax"):
        body = {"properties": {"datastoreType": "S3", "bucket": name, "credentials": {"credentialsType": "None"}}}
        api.put(f"{BASE}/datastores/{name}?skipValidation=TRUE", body)

    def listed(query: str) -> list[str]:
        return [found["name"] for found in api.get(f"{BASE}/datastores?{query}")["value"]]

    assert listed("") == ["alpha", "beta", "betamax", "workspaceartifactstore", "workspaceblobstore"]
    assert listed("isDefault=false&orderByAsc=false")[1:] == ["betamax", "beta", "alpha"]
    assert listed("searchText=BETA") == ["beta", "betamax"]
    assert listed("names=alpha,betamax,none") == ["alpha", "betamax"]
    assert listed("isDefault=False&orderBy=createdAt")[1:] == ["beta", "alpha", "betamax"]
    assert listed("count=1&$skip=1") == ["beta"]


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"datastoreType": "AzureFile", "accountName": "a", "fileShareName": "f"}, "mount the share"),
        ({"datastoreType": "AzureDataLakeGen1", "storeName": "s"}, "shut down in 2024"),
        ({"datastoreType": "AzureBlob", "accountName": "a"}, "container_name"),
        ({"datastoreType": "AzureBlob", "accountName": "a", "containerName": "../x"}, "without slashes"),
        ({"datastoreType": "S3"}, "add bucket"),
        ({"datastoreType": "LocalFolder", "path": "relative"}, "absolute path"),
        (
            {
                "datastoreType": "AzureBlob",
                "accountName": "a",
                "containerName": "c",
                "credentials": {"credentialsType": "Certificate"},
            },
            "Certificate are not offered",
        ),
    ],
)
def test_a_datastore_that_cannot_be_served_is_refused(api: Api, properties: dict[str, Any], told: str) -> None:
    assert told in message_of(api.put(f"{BASE}/datastores/x?skipValidation=true", {"properties": properties}, 400))
    api.get(f"{BASE}/datastores/x", 404)


@pytest.mark.parametrize("form", ["path", "datastore"])
@pytest.mark.parametrize(("kind", "key"), [("models", "modelUri"), ("codes", "codeUri")])
def test_a_model_or_code_on_the_servers_machine_is_copied_by_its_content(
    api: Api, files: Path, kind: str, key: str, form: str
) -> None:
    folder = files / "model"
    api.put(f"{BASE}/datastores/mine", {"properties": {"datastoreType": "LocalFolder", "path": str(files)}})
    uri = str(folder) if form == "path" else "azureml://datastores/mine/paths/model/"
    content = content_hash(folder)
    made = api.put(f"{BASE}/{kind}/m/versions/1", {"properties": {key: uri}})
    copy = f"azureml://datastores/workspaceblobstore/paths/LocalUpload/{content}/model/"
    assert made["properties"][key] == copy
    (folder / "weights.txt").write_text("changed since")
    kept = api.blobs / "LocalUpload" / content / "model" / "weights.txt"
    assert kept.read_text() == "w"
    # The copy may be registered as it is, and is not copied again.
    assert api.put(f"{BASE}/{kind}/n/versions/1", {"properties": {key: copy}})["properties"][key] == copy
    # The same version is another one now.
    api.put(f"{BASE}/{kind}/m/versions/1", {"properties": {key: uri}}, 409)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("models/m/versions/1", {"modelUri": "/no/such/folder"}, 404),
        ("models/m/versions/1", {"modelUri": "relative"}, 400),
        ("models/m/versions/1", {"modelUri": "azureml://datastores/workspaceblobstore/paths/../../x"}, 400),
        ("models/m/versions/1", {"modelUri": "abfss://c@a/x"}, 400),
        ("models/m/versions/1", {}, 400),
        ("models/m/versions/a b", {"modelUri": "/"}, 400),
        ("models/-m/versions/1", {"modelUri": "/"}, 400),
        ("widgets/m/versions/1", {}, 404),
    ],
)
def test_a_bad_asset_is_refused(api: Api, path: str, body: dict[str, Any], status: int) -> None:
    api.put(f"{BASE}/{path}", {"properties": body}, status)


# Invoking


def test_an_invocation_freezes_everything_the_job_needs(deployed: Api, files: Path) -> None:
    answer = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))
    name = answer["name"]
    assert name.startswith("batchjob-")
    assert answer["id"] == f"{BASE}/batchEndpoints/ep1/deployments/dp1/jobs/{name}"
    assert answer["properties"]["status"] == "Preparing"
    assert answer["properties"]["provisioningState"] == "Succeeded"
    assert answer["properties"]["tags"] == {"azureml.batchrun": "true", "azureml.deploymentname": "dp1"}
    assert answer["properties"]["name"].count("_") == 2
    assert deployed.arrived
    job = deployed.store.find_job(name)
    assert job is not None
    settings = job.settings
    uploads = deployed.blobs / "LocalUpload"
    code, model = (uploads / content_hash(files / one) / one for one in ("code", "model"))
    assert (settings.code_path, settings.scoring_script) == (str(code), "score.py")
    assert settings.model_path == str(model)
    assert (settings.input.path, settings.input.type) == (str(files / "in"), "uri_folder")
    assert settings.output_uri == f"azureml://datastores/workspaceblobstore/paths/azureml/{name}/score/"
    assert settings.output_folder == str(deployed.blobs / f"azureml/{name}/score")
    assert (settings.mini_batch_size, settings.max_retries, settings.timeout_s) == (10, 3, 30)
    # Nothing that happens to the deployment later reaches the job.
    deployed.http.delete(f"{BASE}/batchEndpoints/ep1")
    assert deployed.get(f"{BASE}/jobs/{name}")["properties"]["status"] == "Preparing"
    assert deployed.store.find_job(name) == job


def test_an_invocation_overrides_the_deployment(deployed: Api, files: Path) -> None:
    changes = {
        "miniBatchSize": "3",
        "compute": {"instanceCount": 2, "isLocal": True},
        "maxConcurrencyPerInstance": 4,
        "errorThreshold": 0,
        "loggingLevel": "Debug",
        "retrySettings": {"maxRetries": 0, "timeout": "PT1M"},
        "isolateFailures": False,
        "maxMiniBatchesPerWorker": 7,
        "provenance": True,
        "outputFileName": "x.csv",
        "outputData": {
            "o": {"jobOutputType": "UriFolder", "uri": "folder:azureml://datastores/workspaceblobstore/paths/o"}
        },
        "name": "my-job",
        "tags": {"a": "b"},
        "properties": {"experimentName": "exp"},
    }
    deployed.post("/endpoints/EP1/jobs", invocation_body(files / "in", **changes))
    job = deployed.store.find_job("my-job")
    assert job is not None
    settings = job.settings
    assert (settings.mini_batch_size, settings.instance_count, settings.max_concurrency_per_instance) == (3, 2, 4)
    assert (settings.error_threshold, settings.logging_level, settings.max_retries, settings.timeout_s) == (
        0,
        "debug",
        0,
        60,
    )
    assert (settings.isolate_failures, settings.max_mini_batches_per_worker, settings.provenance) == (False, 7, True)
    assert settings.output_file_name == "x.csv"
    assert settings.output_folder == str(deployed.blobs / "o")
    assert (job.experiment_name, job.tags["a"]) == ("exp", "b")


@pytest.mark.parametrize(
    "path",
    ["/endpoints/ep1/jobs", f"{BASE}/batchEndpoints/ep1/jobs", f"{BASE}/batchEndpoints/ep1/deployments/dp1/jobs"],
)
def test_every_address_of_an_endpoint_starts_lists_and_shows_jobs(deployed: Api, files: Path, path: str) -> None:
    name = deployed.post(path, invocation_body(files / "in"))["name"]
    assert [job["name"] for job in deployed.get(path)["value"]] == [name]
    assert deployed.get(f"{path}/{name}")["name"] == name
    assert deployed.get(f"{BASE}/jobs/{name}")["properties"]["jobType"] == "Pipeline"
    assert [job["name"] for job in deployed.get(f"{BASE}/jobs")["value"]] == [name]
    deployed.get(f"{path}/nope", 404)


def test_the_header_chooses_the_deployment(deployed: Api, files: Path) -> None:
    deployed.put(f"{BASE}/batchEndpoints/ep1/deployments/dp2", deployment_body(miniBatchSize=77))
    chosen = {"azureml-model-deployment": "dp2"}
    answer = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), **chosen)
    assert answer["properties"]["miniBatchSize"] == 77
    assert deployed.get(f"{BASE}/batchEndpoints/ep1/deployments/dp1/jobs")["value"] == []
    assert len(deployed.get("/endpoints/ep1/jobs?deployment=dp2")["value"]) == 1
    wrong = {"azureml-model-deployment": "nope"}
    refused = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), 404, **wrong)
    assert "Deployment name nope not found for this endpoint" in message_of(refused)


def test_without_a_default_deployment_the_answer_says_what_to_do(api: Api, deployed: Api, files: Path) -> None:
    deployed.put(f"{BASE}/batchEndpoints/ep1", {}, 200)
    refused = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), 404)
    assert "--set defaults.deployment_name=dp1" in message_of(refused)
    deployed.put(f"{BASE}/batchEndpoints/ep2", {})
    refused = deployed.post("/endpoints/ep2/jobs", invocation_body(files / "in"), 404)
    assert "No deployment exists for this endpoint" in message_of(refused)
    deployed.post("/endpoints/nope/jobs", invocation_body(files / "in"), 404)


def test_a_request_that_is_repeated_starts_one_job(deployed: Api, files: Path) -> None:
    key = {"repeatability_request-id": "6f1d"}
    names = {deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), **key)["name"] for _ in range(5)}
    assert len(names) == 1
    other = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), **{"repeatability_request-id": "7"})
    assert other["name"] not in names


def test_one_key_at_once_from_fifty_sides_starts_one_job(deployed: Api, files: Path) -> None:
    body, path = invocation_body(files / "in"), "/endpoints/ep1/jobs"
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(deployed.post, path, body, **{"Idempotency-Key": "k"}) for _ in range(50)]
        answers = [future.result() for future in asked]
    assert all(answer == answers[0] for answer in answers)
    assert len(deployed.store.list_jobs(WS.key)) == 1


def test_a_key_with_another_body_is_refused_with_a_sentence(deployed: Api, files: Path) -> None:
    key = {"Idempotency-Key": "6f1d"}
    first = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), **key)["name"]
    refused = deployed.post("/endpoints/ep1/jobs", invocation_body(files), 422, **key)
    assert refused["error"]["code"] == "IdempotencyKeyReused"
    assert f"became job {first}. Send a new key with a new request" in message_of(refused)
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"), 422, **{**key, "azureml-model-deployment": "x"})
    assert len(deployed.store.list_jobs(WS.key)) == 1


def test_a_repeated_request_is_answered_though_its_deployment_is_gone(deployed: Api, files: Path) -> None:
    path, key = f"{BASE}/batchEndpoints/ep1/deployments/dp1/jobs", {"Idempotency-Key": "k"}
    first = deployed.post(path, invocation_body(files / "in"), **key)["name"]
    deployed.put(f"{BASE}/batchEndpoints/ep1", {}, 200)
    deployed.answered(deployed.http.delete(f"{BASE}/batchEndpoints/ep1/deployments/dp1"), 200)
    assert deployed.post(path, invocation_body(files / "in"), **key)["name"] == first


def test_a_key_is_known_at_its_own_address_only(deployed: Api, files: Path) -> None:
    key = {"Idempotency-Key": "k"}
    paths = [
        "/endpoints/ep1/jobs",
        f"{BASE}/batchEndpoints/ep1/jobs",
        f"{BASE}/batchEndpoints/ep1/deployments/dp1/jobs",
    ]
    names = {deployed.post(path, invocation_body(files / "in"), **key)["name"] for path in paths}
    assert len(names) == 3


def test_without_a_key_each_request_starts_a_job(deployed: Api, files: Path) -> None:
    names = {deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"] for _ in range(2)}
    assert len(names) == 2


def test_the_name_of_a_job_is_taken_once(deployed: Api, files: Path) -> None:
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in", name="j1"))
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in", name="j1"), 409)


@pytest.mark.parametrize(
    "form", ["path", "file", "asset", "asset id", "latest", "datastore", "short asset", "2021", "dataset id"]
)
def test_an_input_is_found_in_every_form(deployed: Api, files: Path, form: str) -> None:
    deployed.put(f"{BASE}/data/d/versions/1", {"properties": {"dataUri": str(files / "in"), "dataType": "uri_folder"}})
    copied = deployed.blobs / "some/where"
    copied.mkdir(parents=True)
    wanted, kind = {
        "path": (str(files / "in"), "uri_folder"),
        "file": (str(files / "in" / "a.txt"), "uri_file"),
        "datastore": (str(copied), "uri_folder"),
    }.get(form, (str(files / "in"), "uri_folder"))
    body = {
        "path": invocation_body(files / "in"),
        "file": invocation_body(f"file:{files}/in/a.txt"),
        "asset": invocation_body("azureml:d:1"),
        "asset id": invocation_body(ids.asset_id(WS, "data", "d", "1")),
        "latest": invocation_body("azureml:d@latest"),
        "datastore": invocation_body("folder:azureml://datastores/workspaceblobstore/paths/some/where/"),
        "short asset": invocation_body(
            f"azureml://subscriptions/{WS.subscription}/resourcegroups/GROUP/workspaces/ws/data/d/versions/1"
        ),
        "2021": {
            "properties": {"dataset": {"dataInputType": "DatasetVersion", "datasetName": "d", "datasetVersion": "1"}}
        },
        "dataset id": {
            "properties": {"dataset": {"dataInputType": "DatasetId", "datasetId": f"{BASE}/datasets/d/versions/1"}}
        },
    }[form]
    name = deployed.post("/endpoints/ep1/jobs", body)["name"]
    job = deployed.store.find_job(name)
    assert job is not None
    assert (job.settings.input.path, job.settings.input.type) == (wanted, kind)


def test_a_file_on_the_web_is_frozen_as_its_address(deployed: Api) -> None:
    body = {"properties": {"dataset": {"dataInputType": "DataUrl", "Path": "https://host.example/a/b.png"}}}
    job = deployed.store.find_job(deployed.post("/endpoints/ep1/jobs", body)["name"])
    assert job is not None
    assert (job.settings.input.path, job.settings.input.type) == ("https://host.example/a/b.png", "uri_file")


def test_the_output_of_a_job_is_an_input_of_the_next(deployed: Api, files: Path) -> None:
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    folder = deployed.blobs / f"azureml/{name}/score"
    folder.mkdir(parents=True)
    chained = deployed.post("/endpoints/ep1/jobs", invocation_body(f"azureml://jobs/{name}/outputs/score/paths/"))[
        "name"
    ]
    job = deployed.store.find_job(chained)
    assert job is not None
    assert job.settings.input.path == str(folder)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"properties": {}}, 400, "Say what to score"),
        (invocation_body("/no/such/place"), 400, "no folder or file at /no/such/place"),
        (invocation_body("azureml:nope:1"), 404, "no data asset nope"),
        (invocation_body("azureml:m:1"), 404, "no data asset m"),
        (invocation_body(f"{BASE}/models/m/versions/1"), 400, "id of a model"),
        (invocation_body("azureml://datastores/nope/paths/x"), 404, "no datastore nope"),
        (invocation_body("azureml://datastores/workspaceblobstore/paths/../../../etc"), 400, "'..'"),
        (invocation_body("relative/path"), 400, "relative path"),
        (invocation_body("s3://bucket/x"), 400, "no datastore of workspace ws stands for it"),
        (invocation_body("wasbs://c@acc.blob.core.windows.net/x"), 400, "account_name: acc, container_name: c"),
        (invocation_body("/", compute={"instanceCount": 3}), 400, "at most 2 instances"),
        (invocation_body("/", miniBatchSize=0), 400, "miniBatchSize"),
        (invocation_body("/", outputFileName="a|b"), 400, "must not contain |"),
        (invocation_body("/", outputFileName=".."), 400, "no name for a file"),
        (invocation_body("/", outputData={"o": {"uri": "https://h/x/"}}), 400, "must be a folder in a datastore"),
        (invocation_body("/", name="../x"), 400, "not a job name"),
        (invocation_body("/", loggingLevel="loud"), 400, "loggingLevel"),
    ],
)
def test_a_bad_invocation_is_refused_before_there_is_a_job(
    deployed: Api, body: dict[str, Any], status: int, message: str
) -> None:
    assert message in message_of(deployed.post("/endpoints/ep1/jobs", body, status))
    assert deployed.get(f"{BASE}/jobs")["value"] == []
    assert not deployed.arrived


def test_an_mltable_is_registered_but_not_scored(deployed: Api, files: Path) -> None:
    deployed.put(f"{BASE}/data/t/versions/1", {"properties": {"dataUri": str(files / "in"), "dataType": "mltable"}})
    refused = deployed.post("/endpoints/ep1/jobs", invocation_body("azureml:t:1"), 400)
    assert "uri_file and uri_folder" in message_of(refused)


def test_a_file_is_no_folder_and_a_folder_no_file(deployed: Api, files: Path) -> None:
    body = {"properties": {"inputData": {"x": {"jobInputType": "UriFile", "uri": str(files / "in")}}}}
    assert "is a folder" in message_of(deployed.post("/endpoints/ep1/jobs", body, 400))
    # Clients say UriFolder when their user said nothing.
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in" / "a.txt"))


def test_summary_only_takes_no_file_name(deployed: Api, files: Path) -> None:
    deployed.put(f"{BASE}/batchEndpoints/ep1/deployments/dp1", deployment_body(outputAction="SummaryOnly"), 200)
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in", outputFileName="x"), 400)
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))


# Jobs: cancel, logs, outputs


def finished(api: Api, job: str, text: bytes, status: JobStatus = JobStatus.COMPLETED) -> Job:
    """Drive the job to its end as a driver does, with ``text`` as its output."""
    claimed = api.store.claim(job, 0, "n", "h", 1)
    assert claimed is not None
    fence, found = claimed.fence, claimed.job
    if status is JobStatus.FAILED:
        api.store.fail(fence, JobError(code="InputEmpty", message="m"), Progress(), ())
        return found
    api.store.start(fence, 1, 1)
    api.store.commit(fence, [LedgerRow(0, 0, 1, 1, 0, 1, 1, ())], Progress(items=1))
    api.store.freeze(fence)
    folder = Path(found.settings.output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / found.settings.output_file_name).write_bytes(text)
    written = job_folder(api.home, job)
    written.path.mkdir(parents=True, exist_ok=True)
    remember(written, [found.settings.output_file_name])
    api.store.complete(fence, hashlib.sha256(text).hexdigest(), len(text), Progress(items=1, items_succeeded=1), (), {})
    return found


def test_a_job_that_no_driver_has_is_canceled_at_once_and_only_once(deployed: Api, files: Path) -> None:
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    deployed.post(f"{BASE}/jobs/{name}/cancel", {}, 200)
    assert deployed.get(f"{BASE}/jobs/{name}")["properties"]["status"] == "Canceled"
    assert "Canceled already" in message_of(deployed.post(f"{BASE}/jobs/{name}/cancel", {}, 409))
    deployed.post(f"{BASE}/jobs/nope/cancel", {}, 404)


def test_the_output_of_a_completed_job_is_listed_and_streamed(deployed: Api, files: Path) -> None:
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    text = os.urandom(3 << 20)
    assert "Preparing" in message_of(deployed.get(f"{OURS}/jobs/{name}/outputs", 409))
    job = finished(deployed, name, text)
    (Path(job.settings.output_folder) / "foreign.txt").write_text("not ours")
    assert deployed.get(f"{OURS}/jobs/{name}/outputs")["value"] == [{"path": "predictions.csv", "size": len(text)}]
    assert deployed.http.get(f"{OURS}/jobs/{name}/outputs/predictions.csv").content == text
    deployed.get(f"{OURS}/jobs/{name}/outputs/foreign.txt", 404)
    shown = deployed.get(f"{BASE}/jobs/{name}")["properties"]
    assert (shown["status"], shown["properties"]["batchpoint.items_succeeded"]) == ("Completed", "1")
    assert shown["outputs"]["score"]["uri"].endswith("/score/predictions.csv")
    listed = deployed.get("/endpoints/ep1/jobs")["value"][0]["properties"]
    assert listed["outputData"]["score"]["jobOutputType"] == "UriFile"


def test_a_failed_job_shows_its_error_and_offers_no_file_of_others(deployed: Api, files: Path) -> None:
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    job = finished(deployed, name, b"", JobStatus.FAILED)
    folder = Path(job.settings.output_folder)
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_text("older")
    assert deployed.get(f"{OURS}/jobs/{name}/outputs")["value"] == []
    deployed.get(f"{OURS}/jobs/{name}/outputs/predictions.csv", 404)
    assert deployed.get(f"{BASE}/jobs/{name}")["properties"]["error"] == {"code": "InputEmpty", "message": "m"}


def test_logs_are_listed_and_read_from_an_offset(deployed: Api, files: Path) -> None:
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    folder, path = job_folder(deployed.home, name), f"{OURS}/jobs/{name}/logs"
    assert deployed.get(path)["value"] == []
    assert deployed.http.get(f"{path}/logs/azureml/executionlogs.txt").content == b""
    folder.execution_log.parent.mkdir(parents=True)
    folder.execution_log.write_bytes(b"x" * (1 << 20) + b"end")
    folder.user_log.parent.mkdir(parents=True)
    folder.user_log.write_bytes(b"\xff\x00")
    assert [entry["path"] for entry in deployed.get(path)["value"]] == [
        "logs/azureml/executionlogs.txt",
        "user_logs/std_log_0.txt",
    ]
    assert len(deployed.http.get(f"{path}/logs/azureml/executionlogs.txt").content) == 1 << 20
    assert deployed.http.get(f"{path}/logs/azureml/executionlogs.txt?offset={1 << 20}").content == b"end"
    assert deployed.http.get(f"{path}/user_logs/std_log_0.txt").content == b"\xff\x00"
    assert deployed.http.get(f"{path}/logs/azureml/executionlogs.txt?offset={1 << 80}").content == b""
    assert deployed.http.get(f"{path}/logs/x?offset=-1").status_code == 400
    assert deployed.http.get(f"{path}/logs/x?offset=many").status_code == 400


ESCAPES = [
    "../../../token",
    "logs/../../../token",
    "%2e%2e/token",
    "logs/%2e%2e/%2e%2e/%2e%2e/token",
    "logs//etc/passwd",
    "/etc/passwd",
    "logs/%00",
    "logs/..%2f..%2f..%2ftoken",
    "logs/link",
    "logs/linked/secret",
    "seg/x",
    "plan.json",
    "lock",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_nothing_outside_the_logs_of_a_job_is_read(deployed: Api, files: Path, tmp_path: Path, path: str) -> None:
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    folder = job_folder(deployed.home, name)
    folder.logs.mkdir(parents=True)
    (folder.path / "plan.json").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    (folder.logs / "link").symlink_to(tmp_path / "secret")
    (folder.logs / "linked").symlink_to(tmp_path)
    answer = raw_get(deployed, f"{OURS}/jobs/{name}/logs/{path}")
    assert answer.status_code in {400, 404}, answer.content
    assert token_of(deployed.home) not in answer.text


@pytest.mark.parametrize("path", [escape for escape in ESCAPES if not escape.startswith("seg")])
def test_nothing_outside_the_output_of_a_job_is_read(deployed: Api, files: Path, tmp_path: Path, path: str) -> None:
    deployed.put(f"{BASE}/batchEndpoints/ep1/deployments/dp1", deployment_body(outputAction="SummaryOnly"), 200)
    name = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in"))["name"]
    job = finished(deployed, name, b"x")
    folder = Path(job.settings.output_folder) / "logs"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    answer = raw_get(deployed, f"{OURS}/jobs/{name}/outputs/{path}")
    assert answer.status_code in {400, 404}, answer.content


def raw_get(api: Api, path: str) -> httpx.Response:
    """GET without the normalisation that clients do on paths."""
    request = api.http.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    return api.http.send(request)


@pytest.mark.parametrize("job", ["..", "%2e%2e", "..%2f..", "%00", "."])
def test_the_name_of_a_job_leads_nowhere_else(deployed: Api, job: str) -> None:
    for tail in ("logs", "logs/token", "outputs", "outputs/token"):
        assert raw_get(deployed, f"{OURS}/jobs/{job}/{tail}").status_code in {400, 404}


# Uploads


def test_content_is_sent_once_and_kept_by_its_hash(api: Api, files: Path) -> None:
    content = content_hash(files / "in")
    path = f"{UPLOADS}/{content}"
    api.get(f"{path}/in", 404)
    for name in ("a.txt", "b.txt"):
        assert api.http.put(f"{path}/in/{name}", content=(files / "in" / name).read_bytes()).status_code == 201
    kept = api.post(f"{path}/in", {})
    assert kept["uri"] == f"azureml://datastores/workspaceblobstore/paths/LocalUpload/{content}/in/"
    assert api.get(f"{path}/in") == kept
    stored = api.blobs / f"LocalUpload/{content}/in"
    assert content_hash(stored) == content
    assert api.post(f"{path}/in", {}) == kept
    assert list((api.home / "uploads").iterdir()) == []


def test_content_that_two_send_at_once_is_kept_for_both(api: Api, files: Path) -> None:
    content = content_hash(files / "in")
    path = f"{UPLOADS}/{content}"
    for name in ("a.txt", "b.txt"):
        api.http.put(f"{path}/in/{name}", content=(files / "in" / name).read_bytes())
    kept = api.post(f"{path}/in", {})
    # The second sender had sent a.txt by then, which went with the first one's files.
    api.http.put(f"{path}/in/b.txt", content=b"b")
    assert api.post(f"{path}/in", {}) == kept
    assert list((api.home / "uploads").iterdir()) == []


def test_a_single_file_is_content_too(api: Api, files: Path) -> None:
    content = content_hash(files / "in/a.txt")
    api.http.put(f"{UPLOADS}/{content}/a.txt", content=b"a")
    assert api.post(f"{UPLOADS}/{content}/a.txt", {})["uri"].endswith(f"LocalUpload/{content}/a.txt")


def test_what_is_executable_stays_so(api: Api, files: Path) -> None:
    (files / "in/a.txt").chmod(0o755)
    content = content_hash(files / "in")
    api.http.put(f"{UPLOADS}/{content}/in/a.txt?executable=true", content=b"a")
    api.http.put(f"{UPLOADS}/{content}/in/b.txt", content=b"b")
    api.post(f"{UPLOADS}/{content}/in", {})
    stored = api.blobs / f"LocalUpload/{content}/in/a.txt"
    assert stored.stat().st_mode & stat.S_IXUSR


def test_content_that_is_not_what_its_hash_says_is_not_found_under_it(api: Api) -> None:
    wrong = "ab" * 32
    api.http.put(f"{UPLOADS}/{wrong}/in/a.txt", content=b"a")
    assert "another hash" in message_of(api.post(f"{UPLOADS}/{wrong}/in", {}, 400))
    api.get(f"{UPLOADS}/{wrong}/in", 404)
    assert list((api.home / "uploads").iterdir()) == []


def test_content_that_was_never_sent_cannot_be_kept(api: Api) -> None:
    api.post(f"{UPLOADS}/{'ab' * 32}/in", {}, 404)


@pytest.mark.parametrize(
    "path",
    [
        "xyz/in/a.txt",
        f"{'AB' * 32}/in/a",
        f"{'ab' * 32}/../x",
        f"{'ab' * 32}/%2e%2e/x",
        f"{'ab' * 32}/in/..%2f..%2f..%2fx",
        f"{'ab' * 32}/in//x",
        f"{'ab' * 32}/in/%00",
        f"%2e%2e/{'ab' * 32}/x",
        f"{'ab' * 32}/{'n' * 300}/x",
    ],
)
def test_an_upload_stays_in_its_place(api: Api, path: str) -> None:
    def files() -> set[Path]:
        return {p for p in api.home.rglob("*") if p.is_file() and p.name != "audit.log"}

    before = files()
    request = api.http.build_request("PUT", "/", content=b"x")
    request.url = request.url.copy_with(raw_path=f"{UPLOADS}/{path}".encode())
    assert api.http.send(request).status_code in {400, 404, 405}
    assert files() == before


def test_content_on_the_servers_machine_is_copied_there(api: Api, files: Path) -> None:
    kept = api.post(f"{UPLOADS}", {"source": str(files / "in")})
    assert kept["content_hash"] == content_hash(files / "in")
    assert api.post(f"{UPLOADS}", {"source": str(files / "in")}) == kept
    api.post(f"{UPLOADS}", {"source": "in"}, 400)
    api.post(f"{UPLOADS}", {"source": "/no/such/folder"}, 404)


def test_a_store_that_is_none_is_answered_in_the_same_shape(api: Api) -> None:
    (api.home / "batchpoint.db").write_bytes(b"no database" * 1000)
    answer = api.http.get(f"{BASE}/batchEndpoints")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "StoreDamaged"
    assert "backup" in answer.json()["error"]["message"]


def test_info_tells_one_home_from_another(api: Api) -> None:
    found = api.get(f"{OURS}/info")
    assert found["home"] == (api.home / "id").read_text().strip()
    assert found["version"]
    assert token_of(api.home) not in str(found)
