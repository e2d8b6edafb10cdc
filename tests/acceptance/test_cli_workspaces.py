"""Workspaces and resource groups: created, told apart, changed and deleted."""

from pathlib import Path

import httpx

from batchpoint.entities.datastore import Datastore
from batchpoint.entities.workspace import Workspace
from batchpoint.settings import Settings
from batchpoint.store.store import open_store
from tests.acceptance.command_line import Az, with_deployment


def names(az: Az, line: str) -> list[str]:
    return az(f"{line} --query [].name -o tsv").out.split()


def test_the_default_workspace_is_there_without_being_created(az: Az) -> None:
    shown = az("workspace show").json
    assert (shown["name"], shown["resource_group"], shown["location"]) == ("default", "default", "local")
    assert shown["discovery_url"].startswith("http")
    assert shown["mlflow_tracking_uri"].startswith("azureml://")
    assert shown["id"].endswith(
        "/resourceGroups/default/providers/Microsoft.MachineLearningServices/workspaces/default"
    )
    assert names(az, "workspace list") == ["default"]
    assert az("workspace show --name DEFAULT --query name -o tsv").out == "DEFAULT\n"
    az("workspace show --subscription 11111111-1111-1111-1111-111111111111")
    assert "cannot be deleted" in az("workspace delete --name default --yes", code=1).err


def test_a_workspace_is_created_shown_listed_changed_and_deleted(az: Az) -> None:
    made = az("workspace create --name vision --display-name Vision --description Pictures --tags a=b -l here").json
    assert (made["display_name"], made["description"], made["tags"]) == ("Vision", "Pictures", {"a": "b"})
    assert (made["location"], made["creation_context"]["created_by_type"]) == ("here", "User")
    assert az("workspace show --name vision").json == made
    az("workspace create --name sound --resource-group lab -o none")
    assert names(az, "workspace list") == ["default", "vision", "sound"]
    assert names(az, "workspace list --resource-group lab") == ["sound"]
    az("workspace update --name vision --set tags.c=d --remove tags.a --display-name Better -o none")
    shown = az("workspace show --name vision -w other").json
    assert (shown["tags"], shown["display_name"], shown["description"]) == ({"c": "d"}, "Better", "Pictures")
    assert "names stay" in az("workspace update --name vision --set name=x2", code=1).err
    assert "Add --yes" in az("workspace delete --name vision", code=1).err
    az("workspace delete --name vision --all-resources --permanently-delete --yes")
    assert names(az, "workspace list") == ["default", "sound"]
    assert "Nothing to delete" in az("workspace delete --name vision --yes").err
    assert az("workspace show --name vision", code=3).out == ""


def test_a_workspace_is_described_by_a_file(az: Az) -> None:
    Path("ws.yml").write_text(
        "name: vision\nresource_group: lab\ndescription: From a file\nhbi_workspace: true\n"
        "storage_account: /subscriptions/s/x\n"
    )
    az("workspace create --file ws.yml --set tags.a=b -o none")
    shown = az("workspace show --name vision --resource-group lab").json
    assert (shown["description"], shown["hbi_workspace"], shown["tags"]) == ("From a file", True, {"a": "b"})
    Path("bad.yml").write_text("name: v\nlokation: x\n")
    told = az("workspace create --file bad.yml", code=1).err
    assert "2 problems in bad.yml" in told
    assert 'did you mean "location"' in told


def test_a_workspace_that_nobody_created_is_named_with_the_command_that_would(az: Az) -> None:
    for line in ("compute list", "batch-endpoint create --name digits", "model list", "job list"):
        refused = az(f"{line} -w visoin -g lab", code=1)
        assert "workspace create --name visoin --resource-group lab" in refused.err, line
    assert names(az, "workspace list") == ["default"]


def test_a_workspace_sees_its_own_things_only(az: Az) -> None:
    for name in ("one", "two"):
        az(f"workspace create --name {name} -o none")
    az("compute create -n cluster -w one -o none")
    az("model create --name m --path model -w one -o none")
    assert names(az, "compute list -w one") == ["cluster"]
    assert (az("compute list -w two").json, az("compute list").json) == ([], [])
    assert az("compute show -n cluster -w two", code=3).out == ""
    assert (names(az, "model list -w one"), names(az, "model list -w two")) == (["m"], [])
    az("batch-endpoint create --name digits -w one -o none")
    taken = az("batch-endpoint create --name DIGITS -w two", code=1)
    assert "(ResourceConflict)" in taken.err
    assert "taken in another workspace" in taken.err
    az("batch-endpoint create --name digits -w one --set description=Upsert -o none")
    az("workspace delete --name one --yes")
    az("batch-endpoint create --name digits -w two -o none")
    az("workspace create --name one -o none")
    assert (az("compute list -w one").json, az("model list -w one").json) == ([], [])


def test_a_command_that_is_recommended_is_about_the_same_workspace(az: Az) -> None:
    az("workspace create --name one --resource-group research -o none")
    there = "--workspace-name one --resource-group research"
    for line in ("compute show -n c", "batch-endpoint show -n digits", "job show -n j", "model show -n m -v 1"):
        assert az(f"{line} -w one -g research", code=3).err.splitlines()[0].endswith(there), line
        assert "--workspace-name" not in az(line, code=3).err


def test_a_group_is_not_where_its_first_workspace_is(az: Az) -> None:
    az("workspace create --name one --location mars -o none")
    assert az("group show --query location -o tsv").out == "local\n"


def test_a_workspace_with_open_jobs_is_not_deleted_and_its_jobs_outlive_it(az: Az) -> None:
    az("workspace create --name one -o none")
    gate = Path("gate").absolute()
    script = Path("code/score.py")
    waiting = f"    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return ["
    script.write_text(script.read_text().replace("    return [", waiting))
    with_deployment(lambda line: az(f"{line} -w one"))
    name = az("batch-endpoint invoke -n digits --input data -w one --query name -o tsv").out.strip()
    refused = az("workspace delete --name one --yes", code=1)
    assert f"job cancel --name {name}" in refused.err
    assert names(az, "compute list -w one") == ["cluster"]
    gate.touch()
    az(f"job stream --name {name} -w one")
    az("workspace delete --name one --yes")
    az("workspace create --name one -o none")
    assert names(az, "job list -w one") == [name]
    assert az("batch-endpoint list -w one").json == []
    az(f"job download --name {name} -w one")
    assert Path("predictions.csv").is_file()


def test_groups_are_shown_listed_created_and_asked_for(az: Az) -> None:
    assert az("group show --query name").out == '"default"\n'
    assert az("group show --name lab", code=3).err.startswith("(ResourceNotFound)")
    assert az("group exists --name lab").out == "false\n"
    made = az("group create --name lab --location here --tags a=b").json
    assert (made["name"], made["location"], made["tags"]) == ("lab", "here", {"a": "b"})
    assert az("group show -n lab").json == made
    assert az("group exists -n LAB").out == "true\n"
    az("group create -g third -o none")
    assert "needs --name" in az("group create", code=2).err
    az("workspace create --name vision --resource-group other -o none")
    assert sorted(names(az, "group list")) == ["default", "lab", "other", "third"]
    assert "workspace delete" in az("group delete --name lab --yes --no-wait", code=1).err
    assert "not the name of a resource group" in az("group create --name a:b", code=1).err


def test_the_default_group_and_workspace_are_those_that_were_configured(az: Az) -> None:
    az("workspace create --name vision --resource-group lab -o none")
    az("configure --defaults group=lab workspace=vision")
    assert az("workspace show --query name -o tsv").out == "vision\n"
    assert az("group show --query name -o tsv").out == "lab\n"
    assert az("workspace show --name default --resource-group default --query name -o tsv").out == "default\n"


def datastore_at(place: Path) -> Datastore:
    return Datastore(name="mine", type="local_folder", path=str(place))


def test_a_diagnosis_names_a_datastore_whose_folder_is_gone(az: Az, home: Path) -> None:
    clean = az("workspace diagnose --name default")
    assert (set(map(len, clean.json.values())), "No fault found" in clean.err) == ({0}, True)
    place = Path("place").absolute()
    place.mkdir()
    with open_store(home) as store:
        store.put_datastore(Workspace(Settings().subscription, "default", "default").key, datastore_at(place))
    az("workspace diagnose --name default")
    place.rmdir()
    told = az("workspace diagnose").json["storage_account_results"]
    assert [fault["level"] for fault in told] == ["Error"]
    assert str(place) in told[0]["message"]


def test_a_workspace_has_no_keys(az: Az) -> None:
    for line in ("workspace list-keys --name default", "workspace sync-keys --name default"):
        assert "account get-access-token" in az(line).err
    assert az("workspace list-keys --name nothing", code=1).err.startswith("(ResourceNotFound)")


def test_a_home_of_before_knows_the_workspaces_that_are_in_use(home: Path, az: Az) -> None:
    import sqlite3

    az("workspace create --name Vision --resource-group Lab -o none")
    az("compute create --name cluster -w Vision -g Lab -o none")
    with sqlite3.connect(home / "batchpoint.db") as file:
        file.execute("DROP TABLE workspaces")
        file.execute("DROP TABLE resource_groups")
        for later in ("principals", "credentials", "roles", "role_assignments"):
            file.execute(f"DROP TABLE {later}")
        for later in ("jobs_by_workspace", "jobs_by_endpoint"):
            file.execute(f"DROP INDEX {later}")
        for table, column in (("ledger", "error_type"), ("ledger", "fingerprint"), ("idempotency_keys", "asks")):
            file.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        file.execute("UPDATE alembic_version SET version_num = '0002'")
    file.close()
    assert names(az, "workspace list") == ["default", "Vision"]
    assert names(az, "compute list -w vision -g lab") == ["cluster"]
    with open_store(home) as store:
        assert [one.resource_group for one in store.list_workspaces(Settings().subscription)] == ["Lab"]


def test_the_rest_api_speaks_of_workspaces_as_its_clients_expect(http: httpx.Client) -> None:
    group = "/subscriptions/s/resourceGroups/g"
    base = f"{group}/providers/Microsoft.MachineLearningServices/workspaces"
    assert http.get(f"{base}/ws?api-version=2024-10-01").status_code == 404
    body = {"location": "x", "tags": {"a": "b"}, "properties": {"friendlyName": "W", "description": "d"}}
    made = http.put(f"{base}/ws", json=body)
    assert (made.status_code, made.json()["type"]) == (201, "Microsoft.MachineLearningServices/workspaces")
    properties = made.json()["properties"]
    assert properties["workspaceId"]
    assert http.get(properties["discoveryUrl"]).json()["api"] == "http://localhost:8787"
    assert http.put(f"{base}/ws", json=body).status_code == 200
    changed = http.patch(f"{base}/ws", json={"properties": {"description": "e"}}).json()
    assert (changed["properties"]["description"], changed["tags"]) == ("e", {"a": "b"})
    assert http.get(f"{base}/WS").json()["name"] == "ws"
    assert [one["name"] for one in http.get(base).json()["value"]] == ["ws"]
    everything = "/subscriptions/s/providers/Microsoft.MachineLearningServices/workspaces"
    assert [one["name"] for one in http.get(everything).json()["value"]] == ["default", "ws"]
    assert [one["name"] for one in http.get("/subscriptions/s/resourcegroups").json()["value"]] == ["default", "g"]
    assert http.get(group).json()["name"] == "g"
    assert http.post(f"{base}/ws/listkeys").status_code == 200
    assert http.post(f"{base}/ws/resyncKeys").status_code == 200
    assert http.delete(f"{base}/ws").status_code == 200
    assert http.delete(f"{base}/ws").status_code == 204
    assert http.delete(f"{base.replace('/g/', '/default/')}/default").status_code == 409
    assert http.put(f"{base}/-bad-", json={}).status_code == 400
