"""Every page of help says what its command is for, what each flag means and holds by default, and shows an example."""

import re
import shlex

import pytest

from batchpoint.cli.grammar import GLOBAL_FLAGS, Command, Flag, read_flags
from batchpoint.cli.groups import GROUPS, Group, resolve
from batchpoint.cli.output.help import WIDTH, command_page, group_page, main_page

COMMANDS = [command for group in GROUPS.values() for command in group.commands()]
WITH_VERBS = [group for group in GROUPS.values() if group.word not in {command.words for command in COMMANDS}]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words.replace(" ", "-"))


def visible(command: Command) -> list[Flag]:
    return [flag for flag in command.flags if not flag.hidden]


def shown(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else f"{default}"


def squeezed(page: str) -> str:
    """Without the ends of lines, where a long text goes on."""
    return re.sub(r"\s+", " ", page)


@every_command
def test_a_command_says_its_purpose_and_every_flag_with_its_meaning(command: Command) -> None:
    page = squeezed(command_page(command))
    assert command.help.endswith("."), "a purpose is a sentence"
    assert squeezed(command.help) in page
    for flag in visible(command):
        assert flag.help.endswith("."), f"{flag.names} says nothing, or no sentence"
        assert squeezed(flag.meaning) in page, flag.names


@every_command
def test_a_flag_that_may_be_left_out_says_what_holds_then(command: Command) -> None:
    silent = [
        flag.names
        for flag in visible(command)
        if (flag.number or flag.choices or flag.default is not None)
        and not flag.required
        and not re.search("default|without", flag.meaning.lower())
    ]
    assert not silent
    untold = [f.names for f in visible(command) if f.default is not None and shown(f.default) not in f.meaning]
    assert not untold


@every_command
def test_a_command_shows_an_example_that_can_be_typed(command: Command) -> None:
    assert command.example, f"{command.words} has no example"
    found, words = resolve(shlex.split(command.example))
    assert found == command
    read_flags(command, words)
    assert command_page(command).endswith(f"Example\n  batchpoint {command.example}")


@every_command
def test_a_stub_says_that_it_is_one(command: Command) -> None:
    said = "A stub: " in command_page(command)
    assert said == bool(command.stub)
    if command.stub:
        assert command.stub.endswith("."), "why, as a sentence"
        assert f"{command.help} (stub)" in squeezed(group_page(GROUPS[command.words.split()[0]]))


@every_command
def test_a_page_fits_into_a_hundred_columns(command: Command) -> None:
    lines = command_page(command).split("\n\nExample\n")[0].splitlines()
    assert not [line for line in lines if len(line) > WIDTH and not line.startswith("usage:")]


@pytest.mark.parametrize("group", WITH_VERBS, ids=lambda group: group.word)
def test_a_group_lists_its_verbs_with_their_purposes_in_one_column(group: Group) -> None:
    page = group_page(group)
    verbs = page.split("Verbs\n")[1].split("\n\n")[0].splitlines()
    assert page.startswith(f"{group.help}\n")
    assert group.help.endswith(".")
    assert "Example\n  batchpoint " in page
    column = {len(match[0]) for line in verbs if (match := re.match(r"  \S+ +", line))}
    assert len(column) == 1, "purposes begin in one column"
    assert [line.split()[0] for line in verbs if line[2] != " "] == [c.verb for c in group.commands()]
    assert max(map(len, verbs)) <= WIDTH


def test_the_first_page_lists_every_group_that_is_worth_learning() -> None:
    page = main_page()
    assert all(f"\n  {word} " in page for word in ("batch-endpoint", "job", "compute", "completion"))
    assert max(map(len, page.splitlines())) <= WIDTH


def test_flags_of_every_command_are_explained_too() -> None:
    for flag in GLOBAL_FLAGS:
        assert flag.hidden or flag.help.endswith("."), flag.names


def test_a_flag_that_a_command_takes_for_itself_is_not_listed_twice() -> None:
    command, _ = resolve(["account", "set"])
    assert isinstance(command, Command)
    assert command_page(command).count("--subscription") == 1
