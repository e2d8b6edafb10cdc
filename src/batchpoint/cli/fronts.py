"""The command table as JSON, for other fronts that offer the same commands: the extension of ``az`` asks for it.

``cli/__main__`` answers a hidden word with it. What it tells stands in ``groups`` and ``grammar``; it knows no command.
"""

import json
from typing import Any

from batchpoint.cli.grammar import GLOBAL_FLAGS, Command, Flag
from batchpoint.cli.groups import COMPANIONS, SECTIONS, Group

#: The hidden word that asks.
ASK = "__grammar"

#: Companions that belong to ``az ml``; all others ``az`` has itself.
_OF_ML = frozenset({"component"})


def answer() -> str:
    """Groups and commands of ``az ml``, each with its flags, and the flags of all; not what ``az`` itself has."""
    groups = [group for _, some in SECTIONS for group in some if not _is_of_az(group)]
    groups += [group for group in COMPANIONS if group.word in _OF_ML]
    commands = [command for group in groups for command in group.commands()]
    verbs = {command.words for command in commands}
    return json.dumps(
        {
            "groups": {group.word: group.help for group in groups if group.word not in verbs},
            "commands": [_told(command) for command in commands],
            "flags": [_flag(flag) for flag in GLOBAL_FLAGS],
        }
    )


def _is_of_az(group: Group) -> bool:
    return group.module.startswith("companions.") or group.word == "completion"


def _told(command: Command) -> dict[str, Any]:
    return {
        "words": command.words,
        "help": f"{command.help} {command.stub}".strip(),
        "argument": command.argument.lower(),
        "flags": [_flag(flag) for flag in command.flags],
    }


def _flag(flag: Flag) -> dict[str, Any]:
    return {
        "spellings": flag.spellings,
        "help": flag.meaning,
        "takes_value": bool(flag.value),
        "many": flag.many or flag.grouped,
        "hidden": flag.hidden,
    }
