"""Over REST: what happens to a job that runs when its endpoint, deployment and assets are changed and deleted."""

from pathlib import Path

import httpx

from tests.acceptance.command_line import Az, Gate
from tests.acceptance.test_cli_updates import deploy, scored
from tests.acceptance.test_wire_archive import BASE

ENDPOINT = f"{BASE}/batchEndpoints/digits"


def default_of(http: httpx.Client) -> object:
    return http.get(ENDPOINT).json()["properties"]["defaults"]


def test_a_running_job_keeps_its_settings_and_outlives_deployment_endpoint_and_assets(
    http: httpx.Client, az: Az, gate: Gate
) -> None:
    deploy(az)
    az(f"batch-deployment update -n blue -e digits --set environment_variables.GATE={gate.path} -o none")
    body = {"properties": {"inputData": {"x": {"jobInputType": "UriFolder", "uri": str(Path.cwd() / "data")}}}}
    job = http.post("/endpoints/digits/jobs", json=body).json()["name"]
    gate.await_run()

    blue = http.get(f"{ENDPOINT}/deployments/blue").json()
    refused = http.delete(f"{ENDPOINT}/deployments/blue")
    assert refused.status_code == 409
    assert "It is the only one" in refused.json()["error"]["message"]
    blue["properties"]["miniBatchSize"] = 1
    assert http.put(f"{ENDPOINT}/deployments/green", json=blue).status_code == 201
    refused = http.delete(f"{ENDPOINT}/deployments/blue").json()["error"]["message"]
    assert "batch-endpoint update --name digits --set defaults.deployment_name=green" in refused

    changed = {"properties": {"environmentVariables": {"WORD": "other"}, "miniBatchSize": "2"}}
    assert http.patch(f"{ENDPOINT}/deployments/blue", json=changed).json()["properties"]["miniBatchSize"] == 2
    http.patch(ENDPOINT, json={"properties": {"defaults": {"deploymentName": "green"}}})
    assert default_of(http) == {"deploymentName": "green"}
    assert http.put(ENDPOINT, json={"properties": {"authMode": "aadToken"}}).json()["properties"]["defaults"] == {}
    assert default_of(http) == {}
    assert http.post("/endpoints/digits/jobs", json=body).status_code == 404

    assert [http.delete(f"{ENDPOINT}/deployments/blue").status_code for _ in range(2)] == [200, 204]
    assert [http.delete(ENDPOINT).status_code for _ in range(2)] == [200, 204]
    assert http.get(f"{ENDPOINT}/deployments/green").status_code == 404
    assert [http.delete(f"{BASE}/models/m").status_code for _ in range(2)] == [200, 204]
    assert http.get(f"{BASE}/jobs/{job}").json()["properties"]["status"] == "Running"
    assert [one["name"] for one in http.get(f"{ENDPOINT}/jobs").json()["value"]] == [job]
    gate.open()
    assert scored(az, job) == ["code-1 model-1 env-first old 7"]
    assert http.get(f"{ENDPOINT}/jobs/{job}").json()["properties"]["status"] == "Completed"
