"""What official clients send to archive, restore, change and delete: the whole resource with one flag changed."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.command_line import Az, invoked, with_deployment

BASE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/default"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)
BODIES = {
    "models": {"modelUri": "{here}/model", "modelType": "custom_model", "flavors": {}},
    "data": {"dataUri": "{here}/data", "dataType": "uri_folder"},
    "datasets": {"paths": [{"folder": "{here}/data"}]},
    "environments": {"image": "some/image:1", "condaFile": '{{"dependencies": ["python=3.11"]}}', "osType": "Linux"},
    "codes": {"codeUri": "{here}/code"},
}


def filled(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: filled(value) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value) for value in body]
    return body.format(here=Path.cwd()) if isinstance(body, str) else body


def names(http: httpx.Client, path: str, view: str = "ActiveOnly") -> list[str]:
    return [one["name"] for one in http.get(f"{BASE}/{path}?listViewType={view}").json()["value"]]


def flagged(http: httpx.Client, path: str, archived: bool) -> httpx.Response:
    """GET, flip, PUT."""
    resource = http.get(f"{BASE}/{path}").json()
    resource["properties"]["isArchived"] = archived
    return http.put(f"{BASE}/{path}", json=resource)


@pytest.mark.parametrize("segment", BODIES)
def test_versions_and_containers_are_archived_by_their_flag_and_deleted(segment: str, http: httpx.Client) -> None:
    body = {"properties": filled(BODIES[segment])}
    for version in "12":
        made = http.put(f"{BASE}/{segment}/thing/versions/{version}", json=body)
        assert (made.status_code, made.json()["properties"]["isArchived"]) == (201, False)
    archived = flagged(http, f"{segment}/thing/versions/2", True)
    assert (archived.status_code, archived.json()["properties"]["isArchived"]) == (200, True)
    assert http.get(f"{BASE}/{segment}/thing/versions/2").json()["properties"]["isArchived"]
    assert names(http, f"{segment}/thing/versions") == ["1"]
    assert names(http, f"{segment}/thing/versions", "archivedonly") == ["2"]
    assert names(http, f"{segment}/thing/versions", "All") == ["2", "1"]
    assert http.put(f"{BASE}/{segment}/thing/versions/2", json=body).json()["properties"]["isArchived"]
    assert http.get(f"{BASE}/{segment}?listViewType=some").status_code == 400
    container = flagged(http, f"{segment}/thing", True).json()["properties"]
    assert (container["isArchived"], container["latestVersion"], container["nextVersion"]) == (True, "1", "3")
    assert (names(http, segment), names(http, segment, "ArchivedOnly")) == ([], ["thing"])
    assert flagged(http, f"{segment}/thing/versions/2", False).status_code == 409
    flagged(http, f"{segment}/thing", False)
    assert flagged(http, f"{segment}/thing/versions/2", False).json()["properties"]["isArchived"] is False
    assert names(http, f"{segment}/thing/versions") == ["2", "1"]
    assert http.delete(f"{BASE}/{segment}/thing/versions/2").status_code == 200
    assert http.delete(f"{BASE}/{segment}/thing/versions/2").status_code == 204
    assert http.delete(f"{BASE}/{segment}/thing").status_code == 200
    assert http.delete(f"{BASE}/{segment}/thing").status_code == 204
    assert http.get(f"{BASE}/{segment}/thing").status_code == 404
    assert http.put(f"{BASE}/{segment}/thing", json={"properties": {"isArchived": True}}).status_code == 404


def test_a_job_is_changed_and_archived_by_the_whole_of_it(http: httpx.Client, az: Az) -> None:
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    job = http.get(f"{BASE}/jobs/{name}").json()
    assert (job["properties"]["jobType"], job["properties"]["isArchived"]) == ("Pipeline", False)
    job["properties"]["isArchived"] = True
    job["properties"]["tags"] = {"mine": "yes"}
    job["properties"]["properties"] |= {"own": "1", "azureml.endpointname": "other"}
    job["properties"]["displayName"] = "Nice"
    job["properties"]["status"] = "Failed"
    changed = http.put(f"{BASE}/jobs/{name}", json=job).json()["properties"]
    assert (changed["isArchived"], changed["displayName"], changed["status"]) == (True, "Nice", "Completed")
    assert changed["tags"] == {"mine": "yes", "azureml.batchrun": "true", "azureml.deploymentname": "blue"}
    assert (changed["properties"]["own"], changed["properties"]["azureml.endpointname"]) == ("1", "digits")
    assert (names(http, "jobs"), names(http, "jobs", "ArchivedOnly")) == ([], [name])
    assert names(http, "batchEndpoints/digits/jobs") == []
    assert names(http, "batchEndpoints/digits/deployments/blue/jobs", "All") == [name]
    assert flagged(http, f"jobs/{name}", False).json()["properties"]["tags"]["mine"] == "yes"
    assert names(http, "jobs") == [name]
    refused = http.put(f"{BASE}/jobs/new", json={"properties": {"jobType": "Command"}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "NotSupported")
    assert http.put(f"{BASE}/jobs/{name}", json={"properties": {"tags": {"a": ""}}}).status_code == 400


def test_the_step_of_a_job_is_asked_for_by_its_parent_and_by_its_name(http: httpx.Client, az: Az) -> None:
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    (step,) = http.get(f"{BASE}/jobs?parentJobName={name}").json()["value"]
    # Official clients take a job without properties for a step, and go on to the run history.
    assert (step["properties"], step["batchpoint"]["display_name"]) == (None, "batchscoring")
    assert step["id"] == f"{BASE}/jobs/{step['name']}"
    assert http.get(f"{BASE}/jobs/{step['name']}").json() == step
    run = http.get(f"/history/v1.0{BASE}/runs/{step['name']}").json()
    assert (run["parentRunId"], run["displayName"], run["outputs"]["score"]["type"]) == (
        name,
        "batchscoring",
        "uri_folder",
    )
    for method, path in (("POST", "/cancel"), ("DELETE", ""), ("PUT", "")):
        assert http.request(method, f"{BASE}/jobs/{step['name']}{path}", json={}).status_code == 409
    listed = http.get(f"/batchpoint/v1/jobs/{step['name']}/outputs").json()["value"]
    assert [one["path"] for one in listed] == ["predictions.csv"]


def test_a_file_of_a_model_is_read_and_nothing_beside_it(http: httpx.Client, az: Az) -> None:
    az("model create --name m --path model -o none")
    az("model create --name single --path model/offset.txt -o none")
    files = f"/batchpoint/v1{BASE}/models/m/versions/1/files"
    assert http.get(files).json()["value"] == [{"path": "offset.txt", "size": 3}]
    assert http.get(f"{files}/offset.txt").content == b"100"
    for path in ("other.txt", "..%2f..%2f..%2f..%2ftoken", "%2e%2e/offset.txt"):
        assert http.get(f"{files}/{path}").status_code in (400, 404), path
    single = f"/batchpoint/v1{BASE}/models/single/versions/1/files"
    assert [one["path"] for one in http.get(single).json()["value"]] == ["offset.txt"]
    assert http.get(f"{single}/offset.txt").content == b"100"
    assert http.get(f"{single}/other").status_code == 404
