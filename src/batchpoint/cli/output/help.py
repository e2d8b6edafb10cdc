"""The help pages: the greeting, the list of groups, one group, one command."""

import textwrap
from collections.abc import Iterable

from batchpoint.cli.grammar import GLOBAL_FLAGS, PROGRAM, Command, Flag
from batchpoint.cli.groups import SECTIONS, Group

#: Columns that a page takes at most.
WIDTH = 100

GREETING = f"""\
Batchpoint scores folders of files with your model and your script, in parallel, on your own machine.

  Score a folder now       {PROGRAM} score --code score.py --model model.pkl --input images/ --out results/
  Make an endpoint         {PROGRAM} batch-endpoint create --name digits
  Put a model behind it    {PROGRAM} batch-deployment create --file deployment.yml --set-default
  Send it a folder         {PROGRAM} batch-endpoint invoke --name digits --input images/
  Watch the job            {PROGRAM} job stream --name JOB

{PROGRAM} --help lists everything. Lines written for `az ml` work as they stand: {PROGRAM} ml …
"""


def main_page() -> str:
    """All groups, a line each."""
    lines = [
        "Batch endpoints on your own machine: score folders of files with your model and your script.",
        "",
        f"usage: {PROGRAM} [ml] GROUP VERB [flags]",
    ]
    width = max(len(group.word) for _, groups in SECTIONS for group in groups)
    for title, groups in SECTIONS:
        lines += ["", title, *_table(((group.word, group.help) for group in groups), width)]
    lines += [
        "",
        "Example",
        f"  {PROGRAM} score --code score.py --model model.pkl --input images/ --out results/",
        "",
        f"{PROGRAM} GROUP --help lists the verbs of a group,",
        f"{PROGRAM} GROUP VERB --help the flags of a verb.",
    ]
    return "\n".join(lines)


def group_page(group: Group) -> str:
    """The verbs of one group."""
    commands = group.commands()
    lines = [group.help, "", f"usage: {PROGRAM} {group.word} VERB [flags]", "", "Verbs"]
    lines += _table((command.verb, _purpose(command)) for command in commands)
    example = next((command.example for command in commands if command.example), "")
    if example:
        lines += ["", "Example", f"  {PROGRAM} {example}"]
    lines += ["", f"{PROGRAM} {group.word} VERB --help lists the flags of a verb."]
    return "\n".join(lines)


def command_page(command: Command) -> str:
    """The flags of one command."""
    lines = [*_wrapped(command.help), *(["", *_wrapped(f"A stub: {command.stub}")] if command.stub else [])]
    lines += ["", usage(command)]
    own = [flag for flag in command.flags if not flag.hidden]
    if own:
        lines += ["", "Flags", *_flags(own)]
    taken = {spelling for flag in command.flags for spelling in flag.spellings}
    everywhere = [flag for flag in GLOBAL_FLAGS if not flag.hidden and flag.spellings[0] not in taken]
    lines += ["", "Everywhere", *_flags(everywhere, taken)]
    if command.example:
        lines += ["", "Example", f"  {PROGRAM} {command.example}"]
    return "\n".join(lines)


def usage(command: Command) -> str:
    """The usage line of one command."""
    needed = "".join(f" {flag.spellings[0]} {flag.value}" for flag in command.flags if flag.required)
    argument = f" [{command.argument}]" if command.argument else ""
    return f"usage: {PROGRAM} {command.words}{argument}{needed} [flags]"


def _purpose(command: Command) -> str:
    return f"{command.help} (stub)" if command.stub else command.help


def _flags(flags: Iterable[Flag], taken: Iterable[str] = ()) -> list[str]:
    return _table((_heading(flag, set(taken)), flag.meaning) for flag in flags)


def _heading(flag: Flag, taken: set[str]) -> str:
    spellings = [spelling for spelling in flag.spellings if spelling not in taken]
    return f"{' '.join(spellings[:2])} {flag.value}".rstrip()


def _table(rows: Iterable[tuple[str, str]], width: int = 0) -> list[str]:
    rows = list(rows)
    width = width or max((len(name) for name, _ in rows), default=0)
    lines = []
    for name, text in rows:
        first, *rest = _wrapped(text, WIDTH - width - 4) or [""]
        lines.append(f"  {name:<{width}}  {first}".rstrip())
        lines += [f"  {'':<{width}}  {line}" for line in rest]
    return lines


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
