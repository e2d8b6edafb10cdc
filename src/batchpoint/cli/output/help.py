"""The help pages: the greeting, the list of groups, one group, one command."""

from collections.abc import Iterable

from batchpoint.cli.grammar import GLOBAL_FLAGS, PROGRAM, Command, Flag
from batchpoint.cli.groups import SECTIONS, Group

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
        f"{PROGRAM} GROUP --help lists the verbs of a group, {PROGRAM} GROUP VERB --help the flags of a verb.",
    ]
    return "\n".join(lines)


def group_page(group: Group) -> str:
    """The verbs of one group."""
    commands = group.commands()
    lines = [group.help, "", f"usage: {PROGRAM} {group.word} VERB [flags]", "", "Verbs"]
    lines += _table((command.verb, command.help) for command in commands)
    example = next((command.example for command in commands if command.example), "")
    if example:
        lines += ["", "Example", f"  {PROGRAM} {example}"]
    return "\n".join(lines)


def command_page(command: Command) -> str:
    """The flags of one command."""
    lines = [command.help, "", usage(command)]
    own = [flag for flag in command.flags if not flag.hidden]
    if own:
        lines += ["", "Flags", *_flags(own)]
    lines += ["", "Everywhere", *_flags(flag for flag in GLOBAL_FLAGS if not flag.hidden)]
    if command.example:
        lines += ["", "Example", f"  {PROGRAM} {command.example}"]
    return "\n".join(lines)


def usage(command: Command) -> str:
    """The usage line of one command."""
    needed = "".join(f" {flag.spellings[0]} {flag.value}" for flag in command.flags if flag.required)
    return f"usage: {PROGRAM} {command.words}{needed} [flags]"


def _flags(flags: Iterable[Flag]) -> list[str]:
    return _table((f"{' '.join(flag.spellings[:2])} {flag.value}".rstrip(), flag.help) for flag in flags)


def _table(rows: Iterable[tuple[str, str]], width: int = 0) -> list[str]:
    rows = list(rows)
    width = width or max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {text}".rstrip() for name, text in rows]
