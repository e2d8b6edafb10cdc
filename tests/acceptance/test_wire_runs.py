"""Jobs in the run history, as official clients stream and download them."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from batchpoint.server.identity.links import LIFETIME_S, Links
from batchpoint.server.routers import jobs
from batchpoint.storage.lock import try_lock
from tests.acceptance.command_line import Az, invoked, with_deployment
from tests.acceptance.test_wire_archive import BASE
from tests.process.homes import eventually

HISTORY = f"/history/v1.0{BASE}"
RESOLVE = f"/data/v1.0{BASE}/dataversion/batchGetResolvedUris"
LONG = "azureml://subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/default/workspaces/default"
STORE = f"{LONG}/datastores/workspaceblobstore/paths"


@pytest.fixture
def ended(az: Az) -> str:
    """The name of a job that has ended."""
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    return name


def log_of(http: httpx.Client, run: str, name: str) -> httpx.URL:
    details = http.get(f"{HISTORY}/runs/{run}/details").json()
    return httpx.URL(details["logFiles"][name])


def unknown(http: httpx.Client, url: httpx.URL) -> httpx.Response:
    """The answer to somebody without a token."""
    return http.get(url, headers={"Authorization": ""})


def test_a_job_and_its_step_are_runs(http: httpx.Client, ended: str) -> None:
    run = http.get(f"{HISTORY}/runs/{ended}").json()
    assert (run["runId"], run["rootRunId"], run["status"]) == (ended, ended, "Completed")
    assert run["tags"]["azureml.batchrun"] == "true"
    assert run["properties"]["azureml.sourcepipelinerunid"] == ended
    shouted = HISTORY.replace("resourceGroups", "RESOURCEGROUPS").replace("workspaces", "Workspaces")
    assert http.get(f"{shouted}/Runs/{ended}/DETAILS").json()["runId"] == ended
    (child,) = http.get(f"{HISTORY}/runs/{ended}/children?api-version=v1.0&$top=5").json()["value"]
    assert (child["parentRunId"], child["displayName"], child["status"]) == (ended, "batchscoring", "Completed")
    # Clients tell a step from its job by what marks the job.
    assert "azureml.batchrun" not in child["tags"]
    assert {kind: one["type"] for kind, one in child["services"].items()} == {
        "Studio": "Studio",
        "Tracking": "Tracking",
    }
    assert http.get(f"{HISTORY}/runs/{child['runId']}").json() == child
    assert http.get(f"{HISTORY}/runs/{child['runId']}/children").json() == {"value": []}
    assert http.get(f"{HISTORY}/runs/nothing").status_code == 404


def test_the_output_of_a_step_is_found_by_its_asset(http: httpx.Client, az: Az, ended: str) -> None:
    step = f"{ended}-batchscoring"
    asked = {"runId": step, "selectRunMetadata": True}
    (output,) = http.post(f"{HISTORY}/rundata", json=asked).json()["runMetadata"]["outputs"].values()
    az("data create --name own --path data/1.txt --type uri_file -o none")
    own = f"{BASE}/data/own/versions/1"
    found = http.post(RESOLVE, json={"values": [output["assetId"], own, "azureml:nothing:1", "?"]}).json()["values"]
    assert set(found) == {output["assetId"], own}
    assert found[output["assetId"]] == {"uri": f"{STORE}/azureml/{ended}/score/", "type": "uri_folder"}
    assert found[own]["type"] == "uri_file"
    assert http.post(RESOLVE, json={"values": ["x"] * 1001}).status_code == 400


def test_nothing_but_a_workspace_is_made_from_a_template(http: httpx.Client) -> None:
    address = f"{BASE.partition('/providers')[0]}/providers/Microsoft.Resources/deployments/one"

    def sent(**parameters: str) -> httpx.Response:
        values = {name: {"value": value} for name, value in parameters.items()}
        return http.put(address, json={"properties": {"template": {}, "parameters": values}})

    assert "names no workspace" in sent(storageAccountName="x").json()["error"]["message"]
    assert sent(workspaceName="hub", kind="hub").json()["error"]["code"] == "NotSupported"
    assert sent(workspaceName="other", location="west").json()["properties"]["provisioningState"] == "Succeeded"
    assert http.get(f"{BASE.rpartition('/')[0]}/other").json()["location"] == "west"


def test_an_output_in_a_folder_of_many_is_one_file(http: httpx.Client, az: Az) -> None:
    with_deployment(az)
    place = "azureml://datastores/workspaceblobstore/paths/many"
    name = invoked(az, f"--output-path {place} --set output_file_name=own.csv")
    az(f"job stream --name {name}")
    step = f"{name}-batchscoring"
    output = http.post(f"{HISTORY}/rundata", json={"runId": step}).json()["runMetadata"]["outputs"]["score"]
    found = http.post(RESOLVE, json={"values": [output["assetId"]]}).json()["values"][output["assetId"]]
    assert (output["type"], found["uri"]) == ("uri_file", f"{STORE}/many/own.csv")


def test_logs_are_read_with_links_that_are_good_for_one_log_and_a_while(http: httpx.Client, ended: str) -> None:
    url = log_of(http, ended, "logs/azureml/executionlogs.txt")
    answer = unknown(http, url)
    assert answer.status_code == 200
    assert "Completed: 7 of 7 items scored." in answer.text
    assert unknown(http, url.copy_with(query=None)).status_code == 401
    other = url.copy_with(raw_path=url.raw_path.replace(b"executionlogs", b"stdoutlogs"))
    assert unknown(http, other).status_code == 401
    query = dict(parse_qsl(urlsplit(str(url)).query))
    late = Links((Path.cwd().parent / "home" / "keys" / "links").read_text().strip(), lambda: 0.0)
    expired = urlsplit(late.signed(urlsplit(str(url)).path, LIFETIME_S)).query
    assert unknown(http, url.copy_with(query=expired.encode())).status_code == 401
    assert unknown(http, url.copy_with(query=urlencode(query).encode())).status_code == 200


def test_a_step_has_all_other_logs(http: httpx.Client, ended: str) -> None:
    logs = http.get(f"{HISTORY}/runs/{ended}-batchscoring/details").json()["logFiles"]
    assert {"user_logs/std_log_0.txt", "logs/job_result.txt"} <= set(logs)
    assert http.get(f"{HISTORY}/runs/{ended}/logs/plan.json").status_code == 404
    assert http.get(f"{HISTORY}/runs/{ended}/logs/logs/%2e%2e/plan.json").status_code in (400, 404)


def test_logs_are_there_from_the_first_moment_and_grow_by_whole_lines(http: httpx.Client, az: Az) -> None:
    with_deployment(az)
    az("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=60 -o none")
    body = {"properties": {"inputData": {"x": {"jobInputType": "UriFolder", "uri": str(Path("data").resolve())}}}}
    job = http.post("/endpoints/digits/jobs", json=body).json()["name"]
    assert unknown(http, log_of(http, f"{job}-batchscoring", "user_logs/std_log_0.txt")).status_code == 200
    url = log_of(http, job, "logs/azureml/executionlogs.txt")
    eventually(lambda: unknown(http, url).text, "the first line")
    file = Path.cwd().parent / "home" / "jobs" / job / "logs/azureml/executionlogs.txt"
    with file.open("a") as log:
        log.write("half a line")
    # Clients count lines: they would never print the rest of it.
    assert unknown(http, url).text.endswith("\n")
    az(f"job cancel --name {job}")
    az(f"job stream --name {job}")
    assert "half a line" in unknown(http, url).text


def test_a_job_ends_for_those_who_stream_when_its_last_line_is_written(
    http: httpx.Client, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LAST_LINES_S", 3600.0)

    def status() -> str:
        return str(http.get(f"{HISTORY}/runs/{ended}/details").json()["status"])

    assert eventually(lambda: status() == "Completed", "the end of the driver")
    with try_lock(Path.cwd().parent / "home" / "jobs" / ended / "lock") as is_ours:
        assert is_ours
        assert status() == "Finalizing"
    assert status() == "Completed"


def test_why_a_job_failed_and_what_failed_in_it_stand_in_its_details(http: httpx.Client, az: Az) -> None:
    Path("data/2.txt").write_text("no number")
    with_deployment(az)
    failed = invoked(az, "--set error_threshold=0")
    az(f"job stream --name {failed}", 1)
    details = http.get(f"{HISTORY}/runs/{failed}/details").json()
    assert "invalid literal" in details["error"]["error"]["message"]
    assert details["warnings"][0]["message"].startswith("1 item failed: ValueError")


def test_a_patch_of_a_run_adds_to_it_and_hides_it(http: httpx.Client, ended: str) -> None:
    address = f"{HISTORY}/experiments/digits/runs/{ended}"
    changed = http.patch(address, json={"displayName": "Nice", "tags": {"a": "1"}, "properties": {"own": "2"}}).json()
    again = http.patch(address, json={"tags": {"b": "2"}, "hidden": True}).json()
    assert (changed["displayName"], again["displayName"], again["hidden"]) == ("Nice", "Nice", True)
    assert {"a": "1", "b": "2", "azureml.batchrun": "true"}.items() <= again["tags"].items()
    assert again["properties"]["own"] == "2"
    assert http.get(f"{BASE}/jobs").json()["value"] == []
    assert http.patch(f"{address}-batchscoring", json={"hidden": True}).status_code == 409


def test_the_jobs_of_an_endpoint_are_listed_where_clients_look(http: httpx.Client, ended: str) -> None:
    base = f"/mferp/managementfrontend{BASE}/batchEndpoints/digits"
    for address in (f"{base}/jobs", f"{base}/deployments/blue/jobs"):
        (listed,) = http.get(f"{address}?api-version=2020-09-01-dataplanepreview").json()["value"]
        assert http.get(f"{address}/{ended}").json() == listed
    store = f"{BASE}/datastores/workspaceblobstore/paths/azureml/{ended}/score/predictions.csv"
    assert listed["id"] == f"{BASE}/batchEndpoints/digits/deployments/blue/jobs/{ended}"
    assert listed["properties"]["outputData"]["score"]["uri"] == store
    place = {
        "datastoreId": f"{BASE}/datastores/workspaceartifactstore",
        "path": f"ExperimentRun/dcid.{ended}-batchscoring",
    }
    assert listed["properties"]["output"] == place
    # Official clients know the types of a job's outputs by these words only.
    assert http.get(f"{BASE}/jobs/{ended}").json()["properties"]["outputs"]["score"]["jobOutputType"] == "uri_file"


@pytest.mark.parametrize("command", ["prune --logs --older-than 0s --yes", "job delete --name {job} --yes"])
def test_logs_of_an_ended_job_stand_in_the_artifact_store_until_they_go(
    http: httpx.Client, az: Az, ended: str, command: str
) -> None:
    home = Path.cwd().parent / "home"
    http.post(f"{HISTORY}/rundata", json={"runId": f"{ended}-batchscoring"})
    (folder,) = (home / "datastores").rglob(f"dcid.{ended}-batchscoring")
    assert (folder / "user_logs/std_log_0.txt").samefile(home / "jobs" / ended / "user_logs/std_log_0.txt")
    assert not list(folder.rglob("plan*"))
    az(f"{command.format(job=ended)} -o none")
    assert not folder.exists()
