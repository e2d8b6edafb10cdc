"""Computes over REST: their counts, their nodes, a change of scale, and the questions about a location."""

from datetime import UTC, datetime
from functools import partial

from batchpoint.store.allotment import decide
from tests.acceptance.test_api import BASE, Api, api, deployed, files, invocation_body, message_of

__all__ = ["api", "deployed", "files"]

KEY = "sub/group/ws"
LOCATION = "/subscriptions/sub/providers/Microsoft.MachineLearningServices/locations/local"


def placed(api: Api) -> str:
    """A job that has its instance, as a supervisor gives it."""
    answer = api.http.post("/endpoints/ep1/jobs", json=invocation_body("/", instanceCount=1))
    return str(answer.json()["name"])


def test_a_compute_tells_how_many_instances_it_has_and_a_put_of_that_changes_nothing(deployed: Api) -> None:
    created = deployed.http.get(f"{BASE}/computes/cpu").json()
    cluster = created["properties"]["properties"]
    assert (cluster["allocationState"], cluster["currentNodeCount"], cluster["targetNodeCount"]) == ("Steady", 0, 0)
    assert cluster["nodeStateCounts"] == {
        f"{state}NodeCount": 0 for state in ("idle", "running", "preparing", "unusable", "leaving", "preempted")
    }
    cluster["nodeStateCounts"]["runningNodeCount"] = 7
    cluster["currentNodeCount"] = 7
    again = deployed.answered(deployed.http.put(f"{BASE}/computes/cpu", json=created), 200)
    assert again["properties"]["properties"]["currentNodeCount"] == 0
    stored = deployed.store.get_compute(KEY, "cpu")
    assert stored and stored.current_node_count is None


def test_the_nodes_of_a_compute_name_their_jobs(deployed: Api) -> None:
    name = placed(deployed)
    deployed.store.settle(KEY, "cpu", partial(decide, now=datetime.now(UTC), keeps_idle=False), 0)
    (node,) = deployed.answered(deployed.http.post(f"{BASE}/computes/cpu/listnodes"), 200)["nodes"]
    assert (node["nodeState"], node["runId"], node["privateIpAddress"]) == ("preparing", name, "127.0.0.1")
    cluster = deployed.http.get(f"{BASE}/computes/cpu").json()["properties"]["properties"]
    assert (cluster["currentNodeCount"], cluster["nodeStateCounts"]["preparingNodeCount"]) == (1, 1)


def test_a_patch_changes_the_scale_and_nothing_else(deployed: Api) -> None:
    scale = {"minNodeCount": 1, "maxNodeCount": 6, "nodeIdleTimeBeforeScaleDown": "PT30S"}
    for body in ({"properties": {"properties": {"scaleSettings": scale}}}, {"properties": {"scaleSettings": scale}}):
        changed = deployed.answered(deployed.http.patch(f"{BASE}/computes/cpu", json=body), 200)
        assert changed["properties"]["properties"]["scaleSettings"] == scale
        scale["maxNodeCount"] += 1
    tagged = deployed.answered(deployed.http.patch(f"{BASE}/computes/cpu", json={"tags": {"a": "b"}}), 200)
    assert tagged["tags"] == {"a": "b"}
    assert tagged["properties"]["properties"]["scaleSettings"]["maxNodeCount"] == 7
    deployed.answered(deployed.http.patch(f"{BASE}/computes/nobody", json={}), 404)


def test_a_compute_cannot_be_started_or_stopped(deployed: Api) -> None:
    for verb in ("start", "stop", "restart"):
        answer = deployed.answered(deployed.http.post(f"{BASE}/computes/cpu/{verb}"), 400)
        assert f"There is nothing to {verb} at compute cpu" in message_of(answer)
        deployed.answered(deployed.http.post(f"{BASE}/computes/nobody/{verb}"), 404)


def test_a_location_tells_sizes_and_usage(deployed: Api) -> None:
    sizes = deployed.answered(deployed.http.get(f"{LOCATION}/vmsizes"), 200)["value"]
    assert [size["name"] for size in sizes] == ["this-machine", "Standard_DS3_v2"]
    assert sizes[0]["vCPUs"] >= 1
    usages = deployed.answered(deployed.http.get(f"{LOCATION}/usages"), 200)["value"]
    assert usages[0]["name"] == {"value": "batchEndpoints", "localizedValue": "batchEndpoints"}
    assert (usages[0]["currentValue"], usages[0]["limit"], usages[0]["unit"]) == (1, 100, "Count")
    placed(deployed)
    deployed.store.settle(KEY, "cpu", partial(decide, now=datetime.now(UTC), keeps_idle=False), 0)
    usages = deployed.answered(deployed.http.get(f"{LOCATION}/usages"), 200)["value"]
    assert {one["name"]["value"]: one["currentValue"] for one in usages}["ws/cpu/instances"] == 1
