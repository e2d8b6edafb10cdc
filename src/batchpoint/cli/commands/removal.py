"""How every ``delete`` goes: ask first, and be content when there is nothing to delete."""

import sys
from collections.abc import Callable

from batchpoint.cli.call import Call
from batchpoint.errors import ResourceNotFound, UserError


def remove(call: Call, question: str, delete: Callable[[], object]) -> None:
    """Delete after a yes.

    Raises UserError after a no, and where nobody can be asked.
    """
    if not call.flags.yes:
        _ask(question)
    try:
        delete()
    except ResourceNotFound as error:
        call.say(f"Nothing to delete: {error.message}")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise UserError("Nobody can be asked for confirmation here: stdin is no terminal. Add --yes to delete.")
    print(f"{question} (y/n): ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was deleted.")
