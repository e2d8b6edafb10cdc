"""The entry point: words → command → result on stdout, talk and errors on stderr, an exit code.

Exit codes: 0 done, 1 an error, 2 a command line that cannot be read, 3 ``show`` on something that does not exist.
"""

import argparse
import dataclasses
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from batchpoint.cli import completion, fronts
from batchpoint.cli.grammar import PROGRAM, Command, read_flags
from batchpoint.cli.groups import GROUPS, Group, resolve
from batchpoint.cli.output import help as pages
from batchpoint.errors import BatchpointError, CommandLineInvalid, ResourceNotFound

if TYPE_CHECKING:
    from batchpoint.settings import Settings

FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _answer(words)
    except BrokenPipeError:
        # The reader of a pipe (head, a pager) has enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED


def _answer(words: list[str]) -> int:
    words = words[1:] if words[:1] == ["ml"] else words
    if not words:
        print(pages.GREETING, end="")
        return 0
    if words[0] in ("-h", "--help"):
        print(pages.main_page())
        return 0
    if words[0] == completion.ASK:
        print(completion.answer(words[1:]), end="")
        return 0
    if words[0] == fronts.ASK:
        print(fronts.answer())
        return 0
    if words[0] == "--version":
        words = ["version", "--query", "batchpoint", "--output", "tsv"]
    return _command_line(words)


def _command_line(words: list[str]) -> int:
    command: Command | None = None
    try:
        found, rest = resolve(words)
        if isinstance(found, Group):
            print(pages.group_page(found))
            return 0 if rest else USAGE
        command = found
        flags = read_flags(command, rest)
        if flags.help:
            print(pages.command_page(command))
            return 0
        return _carry_out(command, flags)
    except CommandLineInvalid as error:
        _misread(error, words, command)
        return USAGE


def _carry_out(command: Command, flags: argparse.Namespace) -> int:
    from batchpoint.cli.call import Call, Outcome
    from batchpoint.cli.output import printing

    query = printing.compiled(flags.query)
    if flags.debug or flags.verbose:
        import logging

        logging.basicConfig(level=logging.DEBUG if flags.debug else logging.INFO, stream=sys.stderr)
    try:
        with ExitStack() as closing:
            call = Call(flags, _settings(flags), closing)
            result = command.run(call)
            outcome = result if isinstance(result, Outcome) else Outcome(result)
            printing.put(outcome.value, flags.output, query, server=call.server)
        return outcome.exit_code
    except (CommandLineInvalid, BrokenPipeError):
        raise
    except (BatchpointError, OSError) as error:
        if flags.debug:
            traceback.print_exc()
        printing.report(error)
        return MISSING if command.verb == "show" and isinstance(error, ResourceNotFound) else FAILED


def _settings(flags: argparse.Namespace) -> "Settings":
    from batchpoint.settings import Settings

    given = {
        "resource_group": flags.resource_group,
        "workspace": flags.workspace_name,
        "subscription": flags.subscription,
        "server": flags.server,
    }
    return dataclasses.replace(
        Settings.load(home=flags.home), **{name: value for name, value in given.items() if value}
    )


def _misread(error: CommandLineInvalid, words: list[str], command: Command | None) -> None:
    print(f"{PROGRAM}: {error.message}", file=sys.stderr)
    if command:
        print(pages.usage(command), file=sys.stderr)
        print(f"All flags: {PROGRAM} {command.words} --help", file=sys.stderr)
    elif words[0] in GROUPS:
        print(f"usage: {PROGRAM} {words[0]} VERB [flags]", file=sys.stderr)
    else:
        print(f"usage: {PROGRAM} [ml] GROUP VERB [flags]\nAll groups: {PROGRAM} --help", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
