"""``compute``: made, changed and read back by every flag; what its instances do; what is not offered."""

import json
from pathlib import Path

import pytest

from batchpoint.settings import Settings
from tests.acceptance.command_line import Az, invoked, with_deployment

CLUSTER = """\
$schema: https://azuremlschemas.azureedge.net/latest/amlCompute.schema.json
name: from-file
type: AmlCompute
size: STANDARD_D2_V2
tier: Low_Priority
min_instances: 1
max_instances: 3
idle_time_before_scale_down: 60
tags:
  team: vision
"""


def show(az: Az, name: str = "cluster") -> dict[str, object]:
    shown = az(f"compute show -n {name}").json
    assert isinstance(shown, dict)
    return shown


def test_a_compute_has_the_defaults_of_the_field(az: Az) -> None:
    az("compute create -n cluster --type amlcompute -o none")
    shown = show(az)
    assert {key: shown[key] for key in ("min_instances", "max_instances", "idle_time_before_scale_down")} == {
        "min_instances": 0,
        "max_instances": 4,
        "idle_time_before_scale_down": 120,
    }
    assert (shown["size"], shown["tier"], shown["type"]) == ("Standard_DS3_v2", "dedicated", "amlcompute")
    assert "cpus_per_instance" not in shown


def test_a_file_says_what_flags_can(az: Az) -> None:
    Path("cluster.yml").write_text(CLUSTER)
    az("compute create --file cluster.yml --set max_instances=5 -o none")
    shown = show(az, "from-file")
    assert (shown["tier"], shown["min_instances"], shown["max_instances"]) == ("low_priority", 1, 5)
    Path("again.json").write_text(json.dumps(shown))
    az("compute create --file again.json -o none")
    assert show(az, "from-file")["tags"] == {"team": "vision"}


#: Flags of create, and what they make of a key.
CREATED = [
    ("--min-instances 1", "min_instances", 1),
    ("--max-instances 9", "max_instances", 9),
    ("--idle-time-before-scale-down 30", "idle_time_before_scale_down", 30),
    ("--size Standard_NC6", "size", "Standard_NC6"),
    ("--tier Low_Priority", "tier", "low_priority"),
    ("--location westeurope", "location", "westeurope"),
    ("-l westeurope", "location", "westeurope"),
    ("--description fast", "description", "fast"),
    ("--tags a=b c=d", "tags", {"a": "b", "c": "d"}),
    ("--enable-node-public-ip false", "enable_node_public_ip", False),
    ("--ssh-public-access-enabled true", "ssh_public_access_enabled", True),
    ("-p true", "ssh_public_access_enabled", True),
    ("--vnet-name net --subnet inner", "network_settings", {"subnet": "inner"}),
    ("--identity-type system_assigned", "identity", {"type": "system_assigned"}),
    (
        "-i /a,/b",
        "identity",
        {"type": "user_assigned", "user_assigned_identities": [{"resource_id": "/a"}, {"resource_id": "/b"}]},
    ),
    ("--set tags.x=y", "tags", {"x": "y"}),
]
#: Flags of update.
CHANGED = [
    ("--min-instances 2", "min_instances", 2),
    ("--max-instances 1", "max_instances", 1),
    ("--idle-time-before-scale-down 7", "idle_time_before_scale_down", 7),
    ("--tags c=d", "tags", {"c": "d"}),
    ("--set max_instances=6 tier=low_priority", "tier", "low_priority"),
    ("--add tags c=d", "tags", {"a": "b", "c": "d"}),
    ("--remove tags.a", "tags", {}),
    ("--identity-type system_assigned", "identity", {"type": "system_assigned"}),
]


def test_each_flag_of_create_is_shown(az: Az) -> None:
    for number, (flags, key, value) in enumerate(CREATED):
        az(f"compute create --name c-{number} --type amlcompute {flags} -o none")
        assert show(az, f"c-{number}")[key] == value, flags


def test_each_way_to_change_a_compute_is_shown(az: Az) -> None:
    for number, (flags, key, value) in enumerate(CHANGED):
        az(f"compute create --name c-{number} --type amlcompute --tags a=b --description kept -o none")
        az(f"compute update --name c-{number} {flags} -o none")
        shown = show(az, f"c-{number}")
        assert (shown[key], shown["description"]) == (value, "kept"), flags


def test_a_compute_is_found_by_its_type_in_any_case_and_its_idle_time_has_a_letter(az: Az) -> None:
    az("compute create -n cluster -t AmlCompute -d 60 -o none")
    assert az("compute list --type AmlCompute --query [].idle_time_before_scale_down").json == [60]


def test_a_minimum_above_the_maximum_is_refused(az: Az) -> None:
    az("compute create --name cluster --type amlcompute -o none")
    refused = az("compute update --name cluster --min-instances 5", code=1)
    assert "5 is more than max_instances, which is 4" in refused.err
    assert show(az)["min_instances"] == 0


def test_computes_are_listed_by_type_and_deleted(az: Az) -> None:
    az("compute create -n one --type amlcompute -o none")
    az("compute create -n two --type ray --address auto -o none")
    assert az("compute list --query [].name -o tsv").out.split() == ["one", "two"]
    assert az("compute list --type ray --query [].name -o tsv").out.split() == ["two"]
    az("compute delete -n one --yes")
    assert az("compute list --query [].name -o tsv").out.split() == ["two"]
    assert "nothing was deleted" in az("compute delete -n one --yes").err.lower()


def test_the_nodes_of_a_running_job_are_seen(az: Az) -> None:
    with_deployment(az)
    assert az("compute list-nodes -n cluster").json == []
    gate = Path("gate").absolute()
    script = Path("code/score.py")
    waiting = f"    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return ["
    script.write_text(script.read_text().replace("    return [", waiting))
    az("batch-deployment create -f deployment.yml --set retry_settings.timeout=600 -o none")
    first = invoked(az, "--instance-count 2")
    second = invoked(az)
    while not (said := az(f"job show --name {second} --query waiting_for -o tsv").out):
        pass
    assert said == f"Waits for 1 instance of compute cluster: 2 of 2 are used by {first}.\n"
    nodes = az("compute list-nodes -n cluster").json
    assert [node["current_job_name"] for node in nodes] == [first, first]
    assert {node["node_state"] for node in nodes} <= {"preparing", "running"}
    assert nodes[0].keys() == {
        *("node_id", "private_ip_address", "public_ip_address", "port", "node_state", "current_job_name")
    }
    shown = show(az)
    assert (shown["allocation_state"], shown["current_node_count"], shown["target_node_count"]) == ("Steady", 2, 2)
    gate.touch()
    streamed = az(f"job stream --name {second}").out
    assert said.strip() in streamed and "of cluster now." in streamed
    assert "waiting_for" not in az(f"job show --name {second}").json


def test_an_invocation_that_asks_for_more_than_there_can_be_is_refused(az: Az) -> None:
    with_deployment(az)
    refused = az("batch-endpoint invoke -n digits --input data --instance-count 3", code=1)
    assert "compute cluster has at most 2 instances" in refused.err
    assert "compute update --name cluster --max-instances 3" in refused.err


def test_sizes_are_the_machine_under_every_name_that_computes_give_it(az: Az) -> None:
    az("compute create -n cluster --type amlcompute --size Standard_NC6 -o none")
    sizes = az("compute list-sizes --location local").json
    assert [size["name"] for size in sizes] == ["this-machine", "Standard_NC6"]
    assert sizes[0]["v_cp_us"] >= 1 and sizes[0]["memory_gb"] > 0
    assert {key: value for key, value in sizes[1].items() if key != "name"} == {
        key: value for key, value in sizes[0].items() if key != "name"
    }


def test_usage_tells_what_there_is_of_what_is_limited(az: Az) -> None:
    with_deployment(az)
    usage = {one["name"]: (one["current_value"], one["limit"]) for one in az("compute list-usage").json}
    settings = Settings.load()
    assert usage["batchEndpoints"] == (1, settings.endpoints_per_subscription)
    assert usage["batchDeployments"] == (1, settings.deployments_per_subscription)


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("start -n cluster", "compute update --name NAME --min-instances N"),
        ("stop -n cluster --no-wait", "there is nothing to stop"),
        ("restart -n cluster", "there is nothing to restart"),
        ("attach -n x --type kubernetes --resource-id r", "compute create --type ray"),
        ("connect-ssh -n cluster", "open a shell there"),
    ],
)
def test_what_is_not_offered_says_what_to_do(verb: str, says: str, az: Az) -> None:
    assert says in az(f"compute {verb}", code=1).err
