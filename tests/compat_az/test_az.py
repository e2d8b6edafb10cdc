"""The real az against a server of ours: it signs in, asks, stores, and scores with ``az ml``."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from batchpoint.settings import DEFAULT_SUBSCRIPTION
from tests.acceptance.typed import ROWS
from tests.compat_az.conftest import Shell, login, wheel
from tests.process.servers import SPACE, Server

ML = "https://ml.azure.com"


def fresh(shell: Shell, name: str) -> Shell:
    """The same user at another machine: az knows of nothing."""
    (shell.work / name).mkdir()
    return shell.with_(AZURE_CONFIG_DIR=str(shell.work / name))


def exported(printed: str) -> dict[str, str]:
    """The variables that lines for a shell set."""
    lines = [line.removeprefix("export ") for line in printed.splitlines() if line.startswith("export ")]
    return {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("tenant", ["adfs", str(uuid.UUID(int=7))])
def test_a_service_principal_logs_in_at_any_tenant(
    shell: Shell, server: Server, robot: dict[str, str], tenant: str
) -> None:
    az = fresh(shell, f"at-{tenant[:4]}")
    az.az(f"cloud register --name Ours --endpoint-resource-manager {server.https}")
    az.az("cloud set -n Ours")
    az.az("config set core.instance_discovery=false")
    said = az.az(login({**robot, "secret": "wrong"}, tenant), 1).stderr
    assert "The client is not known, or what it shows is wrong" in said
    found = json.loads(az.az(login(robot, tenant)).stdout)
    assert [one["id"] for one in found] == [DEFAULT_SUBSCRIPTION]
    assert az.json("account show")["user"] == {"name": robot["client_id"], "type": "servicePrincipal"}
    az.az("logout")


def test_what_connect_prints_is_enough_to_log_in_as_a_managed_identity(shell: Shell, server: Server) -> None:
    printed = shell.with_(BATCHPOINT_HOME=str(server.home)).batchpoint("connect --shell bash")
    variables = exported(printed)
    az = fresh(shell, "managed").with_(**variables)
    az.az("config set core.instance_discovery=false")
    assert json.loads(az.az("login --identity").stdout)[0]["environmentName"] == variables["AZUREML_CURRENT_CLOUD"]
    assert az.json("account get-access-token")["tokenType"] == "Bearer"
    assert az.json(f'rest --url "{server.https}{SPACE}"')["name"] == "default"
    az.az(f"extension add --yes --source {wheel()}")
    assert az.json("ml workspace show")["name"] == "default"


def test_scripts_with_the_hosts_of_azure_in_them_run_through_the_proxy(
    shell: Shell, server: Server, robot: dict[str, str]
) -> None:
    variables = {**shell.variables, "BATCHPOINT_HOME": str(server.home)}
    command = [sys.executable, "-u", "-m", "batchpoint", "connect", "--proxy", "--port", "0"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            lines = []
            for line in proxy.stdout:
                lines.append(line)
                if line.startswith("The proxy at "):
                    break
            az = fresh(shell, "proxied").with_(**exported("".join(lines)))
            # No cloud is registered, and the tenant may be any: az believes to be where it always was.
            az.az(login(robot, str(uuid.UUID(int=9))))
            assert az.json("account show")["environmentName"] == "AzureCloud"
            assert az.json(f"rest --url https://management.azure.com{SPACE}")["name"] == "default"
            listing = "storage blob list --account-name batchpoint -c azureml-blobstore --auth-mode login"
            assert az.json(f"{listing} --prefix nothing/") == []
        finally:
            proxy.terminate()


def test_accounts_and_groups_are_told_of(signed_in: Shell) -> None:
    signed_in.az(f"account set -s {DEFAULT_SUBSCRIPTION}")
    assert signed_in.az("account show --query id -o tsv").stdout.strip() == DEFAULT_SUBSCRIPTION
    for resource in ("", f" --resource {ML}", " --resource https://storage.azure.com"):
        token = signed_in.json(f"account get-access-token{resource}")
        assert token["accessToken"].count(".") == 2
        assert token["subscription"] == DEFAULT_SUBSCRIPTION
    assert signed_in.json("group show -n default")["name"] == "default"
    assert [one["name"] for one in signed_in.json("group list")] == ["default"]
    assert "(ResourceNotFound)" in signed_in.az("group show -n nowhere", 3).stderr
    assert signed_in.json("group exists -n default") is True
    assert signed_in.json("group exists -n nowhere") is False
    assert signed_in.json("account list-locations --query [].name") == ["local"]


def test_defaults_hold_for_az_ml_as_well(signed_in: Shell) -> None:
    signed_in.az("configure --defaults group=default workspace=default location=local")
    assert {one["name"] for one in signed_in.json("configure -l")} >= {"group", "workspace"}
    assert signed_in.json("ml workspace show")["name"] == "default"
    signed_in.az("configure --defaults workspace=nowhere")
    assert "nowhere" in signed_in.az("ml workspace show", 3).stderr
    signed_in.az("configure --defaults workspace=default")


def test_rest_sends_anything(signed_in: Shell, server: Server) -> None:
    url = f"{server.https}{SPACE}/batchEndpoints/by-rest?api-version=2022-05-01"
    body = json.dumps({"location": "local", "properties": {"authMode": "AADToken"}})
    made = signed_in.json(f"rest --method put --url '{url}' --body '{body}'")
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert signed_in.az(f"rest --url '{url}' --query name -o tsv").stdout.strip() == "by-rest"
    refused = signed_in.az(f"rest --method post --url {made['properties']['scoringUri']} --body '{{}}'", 1).stderr
    assert "InvalidAuthenticationToken" in refused
    line = f"rest --method post --url {made['properties']['scoringUri']} --resource {ML} --body '{{}}'"
    assert "no deployment" in signed_in.az(line, 1).stderr.lower() or "deployment" in signed_in.az(line, 1).stderr
    signed_in.az(f"rest --method delete --url '{url}'")


def test_blobs_go_up_and_down(signed_in: Shell) -> None:
    accounts = signed_in.json("storage account list --query [].name")
    assert accounts == ["batchpoint"]
    line = "storage account show-connection-string --name batchpoint --query connectionString -o tsv"
    by = f"--connection-string '{signed_in.az(line).stdout.strip()}'"
    assert signed_in.json(f"storage container create --name fresh {by}") == {"created": True}
    assert signed_in.json(f"storage container create --name fresh {by}") == {"created": False}
    signed_in.az(f"storage blob upload-batch -d fresh/in -s data {by}")
    names = signed_in.json(f"storage blob list -c fresh --prefix in/ {by} --query [].name")
    assert names == [f"in/{number}.txt" for number in range(7)]
    (signed_in.work / "back").mkdir()
    signed_in.az(f"storage blob download-batch -d back -s fresh --pattern 'in/*' {by}")
    for number in range(7):
        assert (signed_in.work / "back" / "in" / f"{number}.txt").read_text() == str(number)
    signed_in.az(f"storage blob delete -c fresh -n in/0.txt {by}")
    assert signed_in.json(f"storage blob exists -c fresh -n in/0.txt {by}") == {"exists": False}
    wrong = by.replace("AccountKey=", "AccountKey=AAAA")
    assert signed_in.az(f"storage blob list -c fresh {wrong}", 1).stderr


def test_az_ml_scores_for_real(signed_in: Shell) -> None:
    az = signed_in
    assert az.json("ml workspace show --name default")["name"] == "default"
    az.az("ml compute create -n cluster --type amlcompute --min-instances 0 --max-instances 2 -o none")
    az.az("ml batch-endpoint create --name digits -o none")
    az.az("ml batch-deployment create --file deployment.yml --endpoint-name digits --set-default -o none")
    shown = az.json("ml batch-endpoint show --name digits")
    assert shown["defaults"]["deployment_name"] == "blue"
    job = az.az("ml batch-endpoint invoke --name digits --input data --query name -o tsv").stdout.strip()
    streamed = az.az(f"ml job stream --name {job}")
    assert "Completed" in streamed.stdout + streamed.stderr
    assert az.az(f"ml job show -n {job} --query status -o tsv").stdout == "Completed\n"
    az.az(f"ml job download --name {job} --download-path got")
    assert (az.work / "got" / "predictions.csv").read_text() == ROWS
    assert [one["name"] for one in az.json("ml batch-endpoint list-jobs --name digits")] == [job]
    az.az("ml batch-endpoint delete --name digits --yes")
    # It went through the server, as the robot: nothing is in the home that batchpoint would have found by itself.
    assert az.json(f"ml job show -n {job}")["creation_context"]["created_by"] == "robot"
    assert not (az.work / "elsewhere" / "batchpoint.db").exists()


def test_az_ml_ends_and_talks_as_batchpoint_does(signed_in: Shell) -> None:
    missing = signed_in.az("ml batch-endpoint show --name nowhere", 3)
    assert missing.stdout == ""
    assert "(ResourceNotFound)" in missing.stderr
    assert signed_in.az("ml batch-endpoint show", 2).stdout == ""
    assert "Arguments" in signed_in.az("ml batch-endpoint create --help").stdout
    assert "invoke" in signed_in.az("ml batch-endpoint --help").stdout
    assert signed_in.az("ml explain OutputAlreadyExists").stdout.startswith("OutputAlreadyExists")
    table = signed_in.az("ml compute list -o table --only-show-errors").stdout
    assert table.splitlines()[0].split()[0] == "Name"


def test_az_ml_says_what_it_lacks(signed_in: Shell) -> None:
    for command in ("/nowhere/batchpoint", ""):
        said = signed_in.with_(BATCHPOINT_COMMAND=command).az("ml compute list", 1).stderr
        assert "az config set batchpoint.command=" in said
    said = signed_in.with_(BATCHPOINT_COMMAND="/bin/false").az("ml compute list", 1).stderr
    assert "does not tell its commands" in said
    nobody = fresh(signed_in, "nobody")
    assert nobody.az("account show", 1)


def test_another_wheel_brings_the_same_words(signed_in: Shell) -> None:
    """The extension knows no command: whatever ``batchpoint`` tells is there."""
    program = Path(signed_in.work / "other")
    table = {"groups": {}, "commands": [{"words": "hello", "help": "Say hello.", "argument": "", "flags": []}]}
    answer = json.dumps({**table, "flags": []})
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = __grammar ]; then echo \'{answer}\'; else echo "said: $@"; exit 7; fi\n'
    )
    program.chmod(0o755)
    other = signed_in.with_(BATCHPOINT_COMMAND=str(program))
    assert other.az("ml hello -o tsv --query a.b", 7).stdout == "said: hello -o tsv --query a.b\n"
    assert "Say hello." in other.az("ml --help").stdout
