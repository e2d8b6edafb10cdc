"""The command group ``ml`` of az: every command is one of ``batchpoint``, with the same words.

``az`` loads it. It knows no command by name: ``grammar`` asks the installed ``batchpoint`` which there are, ``calling``
runs one. It must not import ``batchpoint``, which lives in another Python.
"""

import json
import sys

from azure.cli.core import AzCommandsLoader
from knack.help_files import helps
from knack.log import get_logger

from azext_batchpoint.calling import Call
from azext_batchpoint.grammar import Missing, program, table_of

logger = get_logger(__name__)


class MachineLearning(AzCommandsLoader):
    """Fills the table of az with what ``batchpoint`` has."""

    def load_command_table(self, args):
        if args and args[0] != "ml":
            # az collects the first words of all extensions; it need not start another program for that.
            self._declare({"words": "workspace show", "help": ""}, [], [])
            return self.command_table
        try:
            table = table_of(program())
        except Missing as error:
            logger.error("%s", error)
            sys.exit(1)
        helps["ml"] = _page("group", "Batch endpoints, carried out by the command batchpoint.")
        for word, purpose in table["groups"].items():
            helps[f"ml {word}"] = _page("group", purpose)
        for command in table["commands"]:
            self._declare(command, command["flags"] + table["flags"], list(args or ())[1:])
        return self.command_table

    def load_arguments(self, command):
        """Nothing: a command brings its arguments along."""

    def _declare(self, command, flags, words):
        self.add_cli_command(f"ml {command['words']}", Call(self, command, flags, words))


def _page(kind, purpose):
    """A help page as az reads them: YAML, which JSON is."""
    return json.dumps({"type": kind, "short-summary": purpose})


COMMAND_LOADER_CLS = MachineLearning
