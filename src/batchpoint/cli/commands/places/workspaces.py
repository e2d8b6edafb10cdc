"""``workspace`` and ``group``: who sees what, and how workspaces are filed."""

from typing import TYPE_CHECKING, Any

from batchpoint.cli import documents, listing
from batchpoint.cli.call import Call
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import EDITS, FILE, NO_WAIT, SET, YES, Command, Flag, named, pairs
from batchpoint.errors import CommandLineInvalid, ResourceNotFound

if TYPE_CHECKING:
    from batchpoint.entities.workspace_record import ResourceGroup


def create(call: Call) -> object:
    """Create the workspace, or overwrite what is kept about it."""
    from batchpoint.entities.workspace_record import WorkspaceRecord

    values = call.given("name", "location", "display_name", "resource_group") | documents.described(call)
    return call.client.workspaces.create_or_update(documents.load(call, WorkspaceRecord, values))


def _name(call: Call) -> str:
    """The one that is named, else the one that commands use."""
    name: str = call.flags.name or call.settings.workspace
    return name


def show(call: Call) -> object:
    return call.client.workspaces.get(_name(call))


def list_all(call: Call) -> object:
    """Those of the whole subscription, or of the group that is named."""
    listing.limit(call)
    return listing.shortened(call, call.client.workspaces.list(call.flags.resource_group))


def update(call: Call) -> object:
    current = call.client.workspaces.get(_name(call))
    values = call.given("display_name") | documents.described(call)
    return call.client.workspaces.create_or_update(documents.updated(call, current, values))


def delete(call: Call) -> None:
    name = call.flags.name
    call.remove(
        f"Delete workspace {name} with its endpoints, deployments, assets, computes and datastores? Jobs, their "
        "outputs and all data stay.",
        lambda: call.client.workspaces.delete(name),
    )


def diagnose(call: Call) -> object:
    """What keeps the workspace from working; empty lists when nothing does."""
    from batchpoint.entities.noun import snake_cased

    found = call.client.workspaces.diagnose(_name(call))
    answer: dict[str, Any] = {str(snake_cased(key)): found.items(key) for key in found.names()}
    faults = [fault for faults in answer.values() for fault in faults]
    call.say(f"{len(faults)} faults found." if faults else "No fault found.")
    return answer


def list_keys(call: Call) -> object:
    call.client.workspaces.list_keys(_name(call))
    call.say(_KEYLESS)
    return {}


def sync_keys(call: Call) -> None:
    call.client.workspaces.sync_keys(_name(call))
    call.say(_KEYLESS)


def show_group(call: Call) -> object:
    return _group(call.client.groups.get(call.flags.name or call.settings.resource_group))


def list_groups(call: Call) -> object:
    return [_group(group) for group in call.client.groups.list()]


def create_group(call: Call) -> object:
    from batchpoint.entities.workspace_record import ResourceGroup

    tags = pairs(call.flags.tags, "--tags")
    group = ResourceGroup(name=_group_name(call), location=call.flags.location, tags=tags)
    return _group(call.client.groups.create_or_update(group))


def group_exists(call: Call) -> object:
    try:
        call.client.groups.get(_group_name(call))
    except ResourceNotFound:
        return False
    return True


def _group_name(call: Call) -> str:
    name: str | None = call.flags.name or call.flags.resource_group
    if not name:
        raise CommandLineInvalid("a group command needs --name")
    return name


def _group(group: "ResourceGroup") -> dict[str, Any]:
    """The shape in which ``az`` prints a group."""
    return {
        "id": group.id,
        "location": group.location,
        "managedBy": None,
        "name": group.name,
        "properties": {"provisioningState": "Succeeded"},
        "tags": group.tags or None,
        "type": "Microsoft.Resources/resourceGroups",
    }


_KEYLESS = (
    "A workspace has no keys of its own here. The one secret is the token of the home; "
    "account get-access-token prints it."
)
_ANY = Flag("--name -n", "Name of the workspace; default the one that commands use.", "NAME", of="workspace")
_ONE = named("workspace")
_DESCRIBED = (
    Flag("--display-name", "Name for people; default none.", "TEXT"),
    Flag("--description", "What it is for; default none.", "TEXT"),
    Flag("--tags", "Tags; default none.", "KEY=VALUE", many=True),
)
_GROUP_NAME = Flag("--name -n", "Name of the group; or give --resource-group. No default.", "NAME")

COMMANDS = (
    Command(
        "workspace create",
        "Create a workspace, or overwrite what is kept about it.",
        create,
        (
            FILE,
            named("workspace", required=False),
            Flag("--location -l", "Location; default that of the home.", "NAME"),
            *_DESCRIBED,
            SET,
            NO_WAIT,
        ),
        example="workspace create --name vision --description 'Everything with pictures'",
    ),
    Command("workspace show", "Show a workspace.", show, (_ANY,), example="workspace show --query location -o tsv"),
    Command(
        "workspace list",
        "List the workspaces of the subscription, or of --resource-group.",
        list_all,
        (listing.most(),),
        example="workspace list --query [].name -o tsv",
    ),
    Command(
        "workspace update",
        "Change what is kept about a workspace.",
        update,
        (_ANY, *_DESCRIBED, *EDITS, NO_WAIT),
        example="workspace update --name vision --set tags.team=pictures",
    ),
    Command(
        "workspace delete",
        "Delete a workspace with what it holds; jobs, outputs and data stay.",
        delete,
        (
            _ONE,
            Flag("--all-resources", "Accepted; there are no resources beside the workspace."),
            Flag("--permanently-delete -p", "Accepted; a workspace is not kept for its return."),
            YES,
            NO_WAIT,
        ),
        example="workspace delete --name vision --yes",
    ),
    Command(
        "workspace diagnose",
        "Say what keeps a workspace from working.",
        diagnose,
        (_ANY, NO_WAIT),
        example="workspace diagnose --name vision",
    ),
    Command(
        "workspace list-keys",
        "Say which keys a workspace has: none of its own.",
        list_keys,
        (_ANY,),
        example="workspace list-keys --name vision",
        stub=_KEYLESS,
    ),
    Command(
        "workspace sync-keys",
        "Accepted: there are no keys to bring up to date.",
        sync_keys,
        (_ANY, NO_WAIT),
        example="workspace sync-keys --name vision",
        stub=_KEYLESS,
    ),
    Command(
        "group show",
        "Show a resource group.",
        show_group,
        (Flag("--name -n", "Name of the group; default the one that commands use.", "NAME"),),
        example="group show --query name -o tsv",
    ),
    Command("group list", "List the resource groups.", list_groups, example="group list --query [].name -o tsv"),
    Command(
        "group create",
        "Create a resource group, or overwrite what is kept about it.",
        create_group,
        (
            _GROUP_NAME,
            Flag("--location -l", "Location; default that of the home.", "NAME"),
            Flag("--tags", "Tags; default none.", "KEY=VALUE", many=True),
        ),
        example="group create --name research",
    ),
    Command(
        "group exists",
        "Print true or false.",
        group_exists,
        (_GROUP_NAME,),
        example="group exists --name research",
    ),
    refused(
        "group delete",
        "Delete a resource group; not offered here.",
        "A resource group is not deleted as a whole here. Delete its workspaces one by one: "
        "workspace list --resource-group GROUP, then workspace delete --name NAME --resource-group GROUP --yes",
        "group delete --name research",
    ),
)
