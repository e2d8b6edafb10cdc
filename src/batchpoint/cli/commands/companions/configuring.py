"""``configure``: the defaults that commands use when nobody names a group or a workspace."""

from batchpoint.cli.call import Call
from batchpoint.cli.commands.companions import defaults
from batchpoint.cli.grammar import Command, Flag, pairs
from batchpoint.errors import CommandLineInvalid, NotSupported


def configure(call: Call) -> object:
    """Store defaults, or list them."""
    if call.flags.scope == "local":
        raise NotSupported(
            "Defaults belong to a home, not to a folder: leave out --scope, or use a home of its own with --home DIR "
            "or BATCHPOINT_HOME.",
            target="--scope",
        )
    chosen = pairs(call.flags.defaults, "--defaults")
    if chosen:
        defaults.write(call.settings.home, chosen)
    if call.flags.list_defaults:
        return defaults.listed(call.settings.home)
    if not chosen:
        raise CommandLineInvalid("configure needs --defaults KEY=VALUE or --list-defaults")
    return None


COMMANDS = (
    Command(
        "configure",
        "Set defaults for workspace, group and location, or list them.",
        configure,
        (
            Flag(
                "--defaults -d",
                "group=G workspace=W location=L subscription=S; an empty value clears. Default: none is changed.",
                "KEY=VALUE",
                many=True,
            ),
            Flag("--list-defaults -l", "List the defaults and where they come from."),
            Flag("--scope", "global; default global. local is not offered.", "SCOPE", choices=("global", "local")),
        ),
        example="configure --defaults group=research workspace=vision",
    ),
)
