"""``schema``: the JSON Schema of a YAML file, for an editor that checks and completes while one types."""

import json

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command


def schema(call: Call) -> object:
    """The schema that was named; without a name, all names with what they are for."""
    from batchpoint.entities import schemas

    if call.flags.name:
        return json.loads(schemas.text_of(call.flags.name))
    return [{"name": name, "title": json.loads(schemas.text_of(name))["title"]} for name in schemas.names()]


def _names() -> list[str]:
    from batchpoint.entities import schemas

    return schemas.names()


COMMANDS = (
    Command(
        "schema",
        "Print the JSON Schema of a kind of YAML file, or list them; save it for an editor to check files against.",
        schema,
        argument="NAME",
        argument_words=_names,
        example="schema batchDeployment",
    ),
)
