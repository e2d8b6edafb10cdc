"""``role``: what may be done, and who may do it where."""

from typing import Any

from batchpoint.cli import documents, listing
from batchpoint.cli.call import Call
from batchpoint.cli.commands.people.scopes import SCOPE, scope_of
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import FILE, SET, YES, Command, Flag
from batchpoint.errors import CommandLineInvalid, ResourceNotFound


def list_all(call: Call) -> object:
    return listing.shortened(call, call.client.roles.list())


def show(call: Call) -> object:
    return call.client.roles.get(call.flags.name)


def create(call: Call) -> object:
    """Create the role, or change what it allows."""
    from batchpoint.entities.identity.role import Role

    values = call.given("name", "description", "actions", "not_actions")
    return call.client.roles.create_or_update(documents.load(call, Role, values))


def delete(call: Call) -> None:
    name = call.flags.name
    call.remove(f"Delete the role {name}?", lambda: call.client.roles.delete(name))


def assign(call: Call) -> object:
    flags = call.flags
    return call.client.roles.assign(flags.assignee, flags.role, scope_of(call))


def assignments(call: Call) -> object:
    """Those of one, or all that the caller may see."""
    return listing.shortened(call, call.client.roles.assignments(call.flags.assignee))


def unassign(call: Call) -> None:
    """By id, or by who has what where."""
    wanted = call.flags.id or _id_of(call)
    call.client.roles.unassign(wanted)


def _id_of(call: Call) -> str:
    flags: Any = call.flags
    if not flags.assignee or not flags.role:
        raise CommandLineInvalid("role unassign needs --id, or --assignee and --role")
    scope = scope_of(call)
    for one in call.client.roles.assignments(flags.assignee):
        if (one.role.lower(), one.scope.lower()) == (flags.role.lower(), scope.lower().rstrip("/") or "/"):
            return one.id
    raise ResourceNotFound(
        f"{flags.assignee} does not have the role {flags.role} at {scope}. See: role assignments", target=flags.role
    )


_ROLE_NAME = Flag("--name -n", "Name of the role.", "NAME", required=True)

COMMANDS = (
    Command("role list", "List the roles.", list_all, (listing.most(),), example="role list --query [].name -o tsv"),
    Command("role show", "Show what a role allows.", show, (_ROLE_NAME,), example="role show --name Invoker"),
    Command(
        "role create",
        "Create a role of your own, or change what it allows.",
        create,
        (
            FILE,
            Flag("--name -n", "Name of the role; default the one in the file.", "NAME"),
            Flag("--description", "What it is for; default none.", "TEXT"),
            Flag("--actions", "What it allows; * stands for any part. Default the file's.", "ACTION", many=True),
            Flag("--not-actions", "What it does not allow all the same; default none.", "ACTION", many=True),
            SET,
        ),
        example="role create --name caller --actions Microsoft.MachineLearningServices/workspaces/batchEndpoints/*",
    ),
    Command(
        "role delete",
        "Delete a role that nobody has.",
        delete,
        (_ROLE_NAME, YES),
        example="role delete --name caller --yes",
    ),
    Command(
        "role assign",
        "Give a user or service principal a role.",
        assign,
        (
            Flag("--assignee", "Name, object id or client id.", "NAME", required=True),
            Flag("--role", "Name of the role.", "ROLE", required=True),
            SCOPE,
        ),
        example="role assign --assignee nightly --role Invoker",
    ),
    Command(
        "role unassign",
        "Take a role away.",
        unassign,
        (
            Flag("--id", "Id of the assignment; or give --assignee and --role.", "ID"),
            Flag("--assignee", "Name, object id or client id; default none.", "NAME"),
            Flag("--role", "Name of the role; default none.", "ROLE"),
            SCOPE,
        ),
        example="role unassign --assignee nightly --role Invoker",
    ),
    Command(
        "role assignments",
        "List who has which role where.",
        assignments,
        (Flag("--assignee", "Only those of this one; default everybody's.", "NAME"), listing.most()),
        example="role assignments -o table",
    ),
    refused(
        "role assignment",
        "The words of az; here: role assign, role unassign, role assignments.",
        "Roles are given with: role assign --assignee NAME --role ROLE --scope ID; taken away with role unassign, and "
        "listed with role assignments.",
        "role assignment list",
    ),
    refused(
        "role definition",
        "The words of az; here: role list, role create.",
        "Roles are listed with role list, and made with role create --name NAME --actions ACTION",
        "role definition list",
    ),
)
