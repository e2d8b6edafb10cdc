"""Users, service principals and roles from the command line: made, shown, given, taken away, and logged."""

import re
from pathlib import Path

from batchpoint.server.identity.secrets import proves
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from batchpoint.store.store import open_store
from tests.acceptance.command_line import Az

WORKSPACE = (
    f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/default"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)


def test_a_program_is_created_with_a_role_and_a_secret_that_is_printed_once(az: Az, home: Path) -> None:
    made = az("principal create --name nightly --role invoker --days 30")
    assert {"name", "object_id", "client_id", "tenant", "secret", "expires_at", "role", "scope"} == made.json.keys()
    assert (made.json["role"], made.json["scope"]) == ("Invoker", WORKSPACE)
    assert "az login --service-principal" in made.err
    assert "AZURE_CLIENT_ID" in made.err
    assert made.json["secret"] not in made.err
    shown = az("principal show --name nightly")
    assert (shown.json["id"], shown.json["client_id"]) == (made.json["object_id"], made.json["client_id"])
    assert made.json["secret"] not in shown.out + az("principal list").out
    again = az("principal reset-secret --name nightly --query secret -o tsv --only-show-errors")
    assert again.err == ""
    with open_store(home) as store:
        secrets = (made.json["secret"], again.out.strip())
        assert [proves(store, shown.json["id"], "client_secret", one) for one in secrets] == [False, True]
    az("principal delete-secrets --name nightly --yes")
    az("principal delete --name nightly --yes")
    assert az("principal list").json == []
    assert az("role assignments").json == []
    assert "There is no service principal nightly" in az("principal show --name nightly", code=3).err
    assert "Nothing to delete" in az("principal delete --name nightly --yes").err


def test_a_user_is_let_in_and_out_and_one_of_another_issuer_has_no_secret(az: Az) -> None:
    assert "client_id" not in az("user create --name anna").json
    assert az("user disable --name anna --query disabled").json is True
    assert az("user enable --name anna --query disabled").json is False
    far = az("user create --name eve --issuer https://idp.example --object-id oid-7 --role Reader --scope /")
    assert (far.json["object_id"], far.json["scope"]) == ("oid-7", "/")
    assert "secret" not in far.json
    assert "there is no secret here" in far.err
    assert az("user list --query [].name -o tsv").out.split() == ["anna", "eve"]
    assert "needs the object id" in az("user create --name bob --issuer https://idp.example", code=1).err
    assert "UUID" in az("user create --name 6a1f0000-0000-4000-8000-000000000000", code=1).err


def test_a_role_that_cannot_be_given_costs_nobody_a_name(az: Az) -> None:
    said = az('user create --name anna --role "Data Scientist"', code=1).err
    assert "There is no role Data Scientist; roles are: Reader," in said
    assert "secret is shown" not in said
    assert az("user list").json == []
    assert "is no scope" in az("principal create --name nightly --role Reader --scope here", code=1).err
    assert "secret" in az("principal create --name nightly --role Reader --only-show-errors").json
    assert "See: user list" in az("user show --name nightly", code=3).err


def test_tables_say_who_did_what_within_a_screen(az: Az) -> None:
    az("user create --name anna --role Reader -o none")
    assert az("role assignments -o table").out.split()[:3] == ["Principal_name", "Role", "Scope"]
    header, _, first, *_ = az("audit list -o table").out.splitlines()
    assert header.split() == ["Time", "Status", "Caller", "Action", "Scope", "Method", "Path", "Address"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.split()[0])
    assert first.split()[2:4] == ["owner", "Microsoft.Authorization/principals/write"]


def test_roles_are_made_given_listed_and_taken_away(az: Az) -> None:
    built_in = ["Reader", "Invoker", "AzureML Data Scientist", "Contributor", "Owner"]
    assert [role["name"] for role in az("role list").json] == built_in
    az("user create --name anna -o none")
    action = "Microsoft.MachineLearningServices/workspaces/batchEndpoints/*"
    Path("role.yml").write_text(f"name: caller\ndescription: Invokes\nactions: [{action}]\n")
    assert az("role create --file role.yml").json["actions"] == [action]
    changed = az(f"role create --name caller --actions {action} a/b --not-actions a/c").json
    assert (changed["actions"], changed["not_actions"]) == ([action, "a/b"], ["a/c"])
    given = az("role assign --assignee anna --role caller").json
    assert (given["principal_name"], given["role"], given["scope"]) == ("anna", "caller", WORKSPACE)
    assert az("role assign --assignee anna --role Caller").json["id"] == given["id"]
    wider = az("role assign --assignee anna --role Reader --scope /").json
    assert {one["id"] for one in az("role assignments --assignee anna").json} == {given["id"], wider["id"]}
    assert "Assignments of the role caller: 1" in az("role delete --name caller --yes", code=1).err
    az(f"role unassign --id {wider['id']}")
    az("role unassign --assignee anna --role caller")
    assert "does not have the role caller" in az("role unassign --assignee anna --role caller", code=1).err
    az("role delete --name caller --yes")
    assert "There is no role caller" in az("role show --name caller", code=3).err
    assert "is no scope" in az("role assign --assignee anna --role Reader --scope here", code=1).err
    assert "role unassign needs" in az("role unassign", code=2).err


def test_the_log_of_changes_is_listed(az: Az, home: Path) -> None:
    az("user create --name anna -o none")
    az("user list -o none")
    az("user delete --name nobody --yes -o none")
    entries = az("audit list").json
    assert [(one["method"], one["path"], one["status"]) for one in entries] == [
        ("POST", "/batchpoint/v1/users", 201),
        ("DELETE", "/batchpoint/v1/users/nobody", 204),
    ]
    assert entries[0]["caller"] == "owner"
    assert entries[0]["action"] == "Microsoft.Authorization/principals/write"
    assert len(az("audit list --max-results 1").json) == 1
    assert (home / "audit.log").stat().st_mode & 0o777 == 0o600
