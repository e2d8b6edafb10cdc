"""The reference of the command line, from its own table."""

from batchpoint.cli.grammar import GLOBAL_FLAGS, PROGRAM, Command, Flag
from batchpoint.cli.groups import SECTIONS
from generating.markdown import GENERATED, table


def page() -> str:
    text = f"""{GENERATED}# Commands

`{PROGRAM} [ml] GROUP VERB [flags]`. Flags may be shortened as long as they stay unambiguous. With a link or an alias
`az` → `{PROGRAM}`, lines written for `az ml` work as they stand. The result goes to stdout, everything else to stderr.
Exit codes: 0 success, 1 error, 2 the command line is wrong, 3 `show` found nothing.

## Every command takes

{_flags(GLOBAL_FLAGS)}"""
    for title, groups in SECTIONS:
        text += f"\n## {title}\n"
        for group in groups:
            text += f"\n{group.help}\n"
            text += "".join(_command(command) for command in group.commands())
    return text


def _command(command: Command) -> str:
    text = f"\n### {command.words}\n\n{command.help}\n"
    if command.stub:
        text += f"\nA stub: {command.stub}\n"
    if command.example:
        text += f"\n```sh\n{PROGRAM} {command.example}\n```\n"
    if command.argument:
        text += f"\n`{PROGRAM} {command.words} [{command.argument}]`: the word stands without a flag.\n"
    return text + (f"\n{_flags(command.flags)}" if command.flags else "")


def _flags(flags: tuple[Flag, ...]) -> str:
    rows = ((f"`{', '.join(f.spellings)}{' ' + f.value if f.value else ''}`", f.meaning) for f in flags if not f.hidden)
    return table(("flag", ""), rows)
