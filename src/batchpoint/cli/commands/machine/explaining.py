"""``explain``: what the code of an error means, without leaving the terminal."""

import shutil
import textwrap
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import PROGRAM, Command, did_you_mean
from batchpoint.errors import UserError

if TYPE_CHECKING:
    from batchpoint.explanations import Explanation

#: Wider lines are hard to read.
WIDTH_MAX = 100


def explain(call: Call) -> None:
    """Print the section of one code; without a code, all codes with a line each."""
    from batchpoint.explanations import KINDS, explanations, find

    if not call.flags.code:
        for kind, title in KINDS.items():
            listed = [found for found in explanations().values() if found.about == kind]
            print(f"When {title}:")
            print("\n".join(f"  {found.code:<28}{_first_sentence(found.means)}" for found in listed), end="\n\n")
        print(f"{PROGRAM} explain CODE says what a code comes from and what to do.")
        return
    found = find(call.flags.code)
    if found is None:
        raise UserError(
            f"No error has the code {call.flags.code!r}.{did_you_mean(call.flags.code, explanations())} "
            f"{PROGRAM} explain lists all codes.",
            target=call.flags.code,
        )
    print(_section(found))


def _codes() -> list[str]:
    from batchpoint.explanations import explanations

    return list(explanations())


def _first_sentence(text: str) -> str:
    first = text.partition(". ")[0].rstrip(".")
    return textwrap.shorten(first, _width() - 30, placeholder=" …")


def _section(found: "Explanation") -> str:
    from batchpoint.explanations import KINDS

    lines = [f"{found.code}: {KINDS[found.about]}", "", _wrapped(found.means)]
    lines += ["", "Usual causes", *(_wrapped(cause, "  - ") for cause in found.causes)]
    lines += ["", "What to do", *(_wrapped(remedy, "  - ") for remedy in found.remedies)]
    lines += [
        "",
        "Example",
        *(_wrapped(line, "  ", len(line) - len(line.lstrip())) for line in found.example.split("\n")),
    ]
    return "\n".join(lines)


def _wrapped(text: str, mark: str = "", indent: int = 0) -> str:
    before = mark + " " * indent
    return textwrap.fill(
        text.strip(), _width(), initial_indent=before, subsequent_indent=" " * len(before), break_on_hyphens=False
    )


def _width() -> int:
    return min(shutil.get_terminal_size((WIDTH_MAX, 24)).columns, WIDTH_MAX)


COMMANDS = (
    Command(
        "explain",
        "Say what the code of an error means, where it usually comes from and what to do.",
        explain,
        argument="CODE",
        argument_words=_codes,
        example="explain MiniBatchTimeout",
    ),
)
