"""The flag that says where a role counts."""

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Flag

SCOPE = Flag(
    "--scope",
    "Where: / for the whole server, or the id of a subscription, resource group or workspace; default this workspace.",
    "ID",
)


def scope_of(call: Call) -> str:
    """The id that was given, else that of the workspace of the command."""
    from batchpoint.entities.workspace import Workspace

    here = call.settings
    scope: str = call.flags.scope or Workspace(here.subscription, here.resource_group, here.workspace).arm_id
    return scope
