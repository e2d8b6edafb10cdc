"""The table of command groups, and the resolution of words into a command.

A group's module is imported only when one of its words is typed.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from batchpoint.cli.grammar import Command, did_you_mean
from batchpoint.errors import CommandLineInvalid


@dataclass(frozen=True)
class Group:
    """A first word: a noun with verbs, or a command by itself."""

    word: str
    help: str
    #: Module in ``batchpoint.cli.commands`` that holds its ``COMMANDS``.
    module: str

    def commands(self) -> tuple[Command, ...]:
        """The commands of this group, imported now."""
        module = importlib.import_module(f"batchpoint.cli.commands.{self.module}")
        every: tuple[Command, ...] = module.COMMANDS
        return tuple(command for command in every if command.words.split()[0] == self.word)


SECTIONS: tuple[tuple[str, tuple[Group, ...]], ...] = (
    ("Try a script", (Group("score", "Score a folder with a script; no endpoint needed.", "machine.score"),)),
    (
        "Endpoints and jobs",
        (
            Group("batch-endpoint", "Durable names that you invoke with data.", "endpoints.endpoints"),
            Group("batch-deployment", "Model, script and settings behind an endpoint.", "endpoints.deployments"),
            Group("job", "What an invocation started: watch, cancel, download.", "jobs.jobs"),
        ),
    ),
    (
        "What they are made of",
        (
            Group("compute", "Pools of instances that jobs run on.", "places.computes"),
            Group("datastore", "Places for data: folders, blob containers, buckets.", "places.datastores"),
            Group("workspace", "Separate worlds: one does not see the nouns of another.", "places.workspaces"),
            Group("model", "Versioned models.", "assets.models"),
            Group("data", "Versioned pointers to files and folders.", "assets.data"),
            Group("dataset", "The name that data had in 2021.", "assets.data"),
            Group("environment", "Versioned Python environments.", "assets.environments"),
            Group("code", "Scoring code that deployments brought along.", "assets.codes"),
        ),
    ),
    (
        "Who may do what",
        (
            Group("user", "People who may use a server.", "people.principals"),
            Group("principal", "Programs that may use a server, with a secret.", "people.principals"),
            Group("role", "What users and service principals may do, and where.", "people.roles"),
            Group("audit", "Who changed what, and who was refused.", "people.audit"),
        ),
    ),
    (
        "Look something up",
        (
            Group("explain", "What the code of an error means, and what to do.", "machine.explaining"),
            Group("schema", "What a YAML file may say, for editors.", "machine.schemas"),
        ),
    ),
    (
        "This machine",
        (
            Group("serve", "Run the server for this home.", "machine.serving"),
            Group("connect", "Let the Azure SDK, curl and az use the server.", "machine.connecting"),
            Group("doctor", "Say what is wrong with this home, and mend it.", "machine.upkeep"),
            Group("prune", "Remove from this home what nobody needs.", "machine.upkeep"),
            Group("configure", "Set default workspace and group.", "companions.configuring"),
            Group("rest", "Send one request to the server.", "companions.rest"),
            Group("account", "Subscription and access token.", "companions.account"),
            Group("version", "Versions as JSON.", "companions.extensions"),
            Group("completion", "Let the shell complete words, flags and names.", "machine.completion"),
        ),
    ),
)

#: Words that scripts written for ``az`` type, and that help need not teach.
COMPANIONS = (
    Group("component", "Parts of pipelines; not offered here.", "assets.components"),
    Group("extension", "Extensions; nothing to install here.", "companions.extensions"),
    Group("group", "Resource groups: where workspaces are filed.", "places.workspaces"),
    Group("login", "No sign-in is needed.", "companions.account"),
    Group("logout", "No sign-in is needed.", "companions.account"),
    Group("storage", "Storage accounts and blobs; not offered here.", "companions.absent"),
    Group("identity", "Managed identities; not offered here.", "companions.absent"),
    Group("ad", "The directory of az; see user and principal.", "companions.absent"),
    Group("cloud", "Clouds; not offered here.", "companions.absent"),
    Group("config", "Settings of az; not offered here.", "companions.absent"),
)

GROUPS = {group.word: group for _, groups in SECTIONS for group in groups} | {g.word: g for g in COMPANIONS}


def resolve(words: Sequence[str]) -> tuple[Command | Group, list[str]]:
    """The command that ``words`` name and the words after it; the group when they name no verb.

    Raises CommandLineInvalid for a word that is neither.
    """
    first, rest = words[0], list(words[1:])
    group = GROUPS.get(first)
    if group is None:
        if first.startswith("-"):
            raise CommandLineInvalid(f"flags come after the command; {first} stands before it")
        raise CommandLineInvalid(f"there is no command {first!r}.{did_you_mean(first, GROUPS)}")
    commands = {command.words: command for command in group.commands()}
    if first in commands:
        return commands[first], rest
    if not rest or rest[0] in ("-h", "--help"):
        return group, rest
    verbs = [command.verb for command in commands.values()]
    if rest[0] not in verbs:
        raise CommandLineInvalid(
            f"{first} has no command {rest[0]!r}.{did_you_mean(rest[0], verbs)} It has: {', '.join(verbs)}"
        )
    return commands[f"{first} {rest[0]}"], rest[1:]
