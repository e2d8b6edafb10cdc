"""One command of ``az ml``: what az has to know of it, and how ``batchpoint`` is run for it."""

import os
import subprocess
import sys
from argparse import SUPPRESS

from azure.cli.core.commands.command_operation import BaseCommandOperation
from knack.arguments import CLICommandArgument, ignore_type

from azext_batchpoint.connection import variables_for
from azext_batchpoint.grammar import program

#: az takes these from every command line itself.
OF_AZ = {
    *("--output", "-o", "--query", "--subscription", "--only-show-errors", "--verbose", "--debug", "--help", "-h"),
    *("--acquire-policy-token", "--change-reference"),
}


class Call(BaseCommandOperation):
    """Runs ``batchpoint`` with the words that followed ``az ml``; output, input and exit code are its own."""

    def __init__(self, loader, command, flags, words):
        """``flags`` are all that the command takes; ``words`` the line that was typed, without ``ml``."""
        super().__init__(loader)
        self._command = command
        self._flags = flags
        self._words = words

    def handler(self, command_args):
        self.cmd = command_args["cmd"]
        variables = {**os.environ, **variables_for(self.cli_ctx, self._words)}
        # What az has written so far comes before what batchpoint writes.
        sys.stdout.flush()
        code = _finished(subprocess.Popen([*program(), *_without_subscription(self._words)], env=variables))
        if code:
            # A death by a signal, as a shell tells it.
            sys.exit(code if code > 0 else 128 - code)

    def arguments_loader(self):
        arguments = {"cmd": CLICommandArgument("cmd", arg_type=ignore_type)}
        taken = set(OF_AZ)
        for flag in self._flags:
            spellings = [spelling for spelling in flag["spellings"] if spelling not in taken]
            taken.update(spellings)
            if spellings:
                name = spellings[0].lstrip("-").replace("-", "_")
                arguments[name] = CLICommandArgument(name, options_list=spellings, **_settings(flag))
        if self._command.get("argument"):
            name = self._command["argument"]
            arguments[name] = CLICommandArgument(name, nargs="?")
            # Only an argument that is there already can be made one without a flag.
            arguments[name].options_list = []
        return list(arguments.items())

    def description_loader(self):
        return self._command["help"]


def _settings(flag):
    """What argparse has to know to read past a flag; whether the value will do, ``batchpoint`` says."""
    settings = {"help": SUPPRESS if flag["hidden"] else flag["help"], "default": None}
    if not flag["takes_value"]:
        settings["action"] = "store_true"
    elif flag["many"]:
        settings.update(nargs="+", action="append")
    return settings


def _finished(process):
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has told it as well; it ends by itself.
            continue


def _without_subscription(words):
    """az knows subscriptions by name too, so it is az that says which one is meant, in a variable."""
    rest = iter(words)
    kept = []
    for word in rest:
        if word == "--subscription":
            next(rest, None)
        elif not word.startswith("--subscription="):
            kept.append(word)
    return kept
