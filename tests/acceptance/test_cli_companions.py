"""What scripts written for ``az`` call around ``az ml``: defaults, account, sign-in, extensions, versions, requests."""

import json
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.acceptance.command_line import Az

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"


def defaults(az: Az) -> dict[str, tuple[str, str]]:
    listed = az("configure --list-defaults").json
    assert all(entry.keys() == {"name", "source", "value"} for entry in listed)
    return {entry["name"]: (entry["value"], entry["source"]) for entry in listed}


def test_defaults_are_set_listed_and_cleared(az: Az, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert defaults(az)["workspace"] == ("default", "built in")
    az("workspace create --name vision --resource-group lab -o none")
    assert az("configure --defaults group=lab workspace=vision location=here").out == ""
    config = str(home / "config.toml")
    expected = {"group": ("lab", config), "workspace": ("vision", config), "location": ("here", config)}
    assert defaults(az) | expected == defaults(az)
    assert az("configure -l --query \"[?name=='group'].value\" -o tsv").out == "lab\n"
    az("compute create --name cluster -o none")
    assert az("compute list -g lab -w vision --query [].name -o tsv").out == "cluster\n"
    assert az("compute list -g default -w default").json == []
    az("configure -d workspace= group=")
    assert (defaults(az)["workspace"], defaults(az)["location"]) == (("default", "built in"), ("here", config))
    monkeypatch.setenv("BATCHPOINT_LOCATION", "there")
    assert defaults(az)["location"] == ("there", "BATCHPOINT_LOCATION")
    az("configure --scope global -d location=x")
    assert "(NotSupported)" in az("configure --scope local -d group=x", code=1).err
    assert "There is no default 'color'" in az("configure -d color=red", code=1).err
    assert "configure needs" in az("configure", code=2).err


def test_the_subscription_is_shown_and_chosen(az: Az) -> None:
    shown = az("account show").json
    assert shown.keys() == {
        *("environmentName", "homeTenantId", "id", "isDefault", "name", "state", "tenantId", "user"),
    }
    assert (shown["state"], shown["isDefault"], shown["user"]) == ("Enabled", True, {"name": "local", "type": "user"})
    assert az(f"account set --subscription {SUBSCRIPTION}").out == ""
    assert az("account show --query id").out == f'"{SUBSCRIPTION}"\n'
    assert az("account list --query [].id -o tsv").out == f"{SUBSCRIPTION}\n"
    assert SUBSCRIPTION in az("workspace show").json["id"]
    az("account set -s batchpoint")
    assert az("account show --query id -o tsv").out == f"{SUBSCRIPTION}\n"
    assert "needs --subscription" in az("account set", code=2).err
    az("configure --defaults subscription=")
    assert az("account show --query id -o tsv").out != f"{SUBSCRIPTION}\n"


def test_the_token_comes_in_the_shape_that_scripts_read(az: Az, home: Path) -> None:
    before = time.time()
    token = az("account get-access-token --resource https://ml.azure.com").json
    assert token["accessToken"] == (home / "token").read_text().strip()
    assert (token["tokenType"], token["subscription"]) == ("Bearer", az("account show --query id -o tsv").out.strip())
    assert before + 300 <= token["expires_on"] <= time.time() + 3600
    local = datetime.strptime(token["expiresOn"], "%Y-%m-%d %H:%M:%S.%f").timestamp()
    assert int(local) == token["expires_on"]
    assert token["tenant"] == az("account show --query tenantId -o tsv").out.strip()
    assert "BATCHPOINT_TOKEN" in az("account get-access-token --server http://far.example --home other", code=1).err


def test_signing_in_and_out_is_accepted_in_every_form(az: Az) -> None:
    for form in (
        "",
        "--service-principal -u id -p secret --tenant t",
        "--service-principal --username id --password=secret --tenant t",
        "--identity",
        "--identity --client-id id",
        "--use-device-code",
    ):
        assert az(f"login {form}").json == az("account list").json, form
    assert az("logout").out == ""
    assert az("account clear").out == ""


def test_the_extension_is_built_in(az: Az) -> None:
    for line in ("add -n ml -y", "add --name ml --upgrade --yes", "update -n ml", "remove -n ml"):
        done = az(f"extension {line}")
        assert (done.out, "part of Batchpoint" in done.err) == ("", True), line
    assert "storage-preview is not offered" in az("extension add -n storage-preview").err
    assert az("extension list --query [].name -o tsv").out == "ml\n"
    assert az("extension show --name ml --query version -o tsv").out == f"{version('batchpoint')}\n"
    assert az("extension show --name other", code=3).out == ""


def test_versions_are_told_in_both_ways(az: Az) -> None:
    assert az("--version").out == f"{version('batchpoint')}\n"
    told = az("version").json
    assert (told["batchpoint"], told["extensions"]["ml"]) == (version("batchpoint"), version("batchpoint"))


def test_a_request_is_sent_as_it_is_written(az: Az) -> None:
    base = az("workspace show --query id -o tsv").out.strip()
    made = az(f'rest --method put --url {base}/batchEndpoints/digits --body \'{{"tags": {{"a": "b"}}}}\'').json
    assert az("batch-endpoint show -n digits --query tags").json == made["tags"] == {"a": "b"}
    Path("body.json").write_text(json.dumps({"properties": {"description": "From a file"}}))
    az(f"rest -m PATCH -u https://management.azure.com{base}/batchEndpoints/digits?api-version=x -b @body.json -o none")
    assert az("batch-endpoint show -n digits --query description -o tsv").out == "From a file\n"
    listed = "/subscriptions/{subscriptionId}/resourceGroups"
    assert az(f"rest --uri {listed} --uri-parameters api-version=1 --query value[].name").json == ["default"]
    az(f'rest --url {base}/batchEndpoints --headers \'{{"X-Any": "1"}}\' --output-file got.json')
    assert json.loads(Path("got.json").read_text())["value"][0]["name"] == "digits"
    assert az(f"rest --method delete --url {base}/batchEndpoints/digits").out == ""
    assert az("batch-endpoint list").json == []
    assert az(f"rest --url {base}/batchEndpoints/digits", code=1).err.startswith("(ResourceNotFound)")


def test_the_token_is_sent_to_no_other_machine(az: Az) -> None:
    assert "no other machine" in az("rest --url https://far.example/x", code=1).err
    assert "There is no file" in az("rest --method put --url /x --body @nothing.json", code=1).err
    assert "--url" in az("rest --method get", code=2).err


NOT_OFFERED = {
    "storage blob upload-batch -d c -s data --connection-string x": "datastore create",
    "storage account show-connection-string --name x": "datastore create",
    "identity create -n me --query id -o tsv": "principal create",
    "ad sp create-for-rbac --name me": "principal create",
    "role assignment create --role x": "role assign",
    "role definition list": "role list",
    "cloud set -n Other": "--server",
    "config set defaults.group=x": "configure --defaults",
}


def test_groups_without_work_say_what_is_offered_instead(az: Az) -> None:
    for line, instead in NOT_OFFERED.items():
        refused = az(line, code=1)
        assert refused.err.startswith("(NotSupported) "), line
        assert instead in refused.err, line
        assert az(f"{line.partition(' ')[0]} --help").out
