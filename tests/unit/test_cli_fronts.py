"""What another front of the same commands is told: everything that it needs to offer them, and nothing of its own."""

import json
from typing import Any

import pytest

from batchpoint.cli import fronts
from batchpoint.cli.__main__ import main
from batchpoint.cli.grammar import GLOBAL_FLAGS, Command
from batchpoint.cli.groups import resolve


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([fronts.ASK]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_every_command_is_told_with_the_flags_that_it_reads(told: dict[str, Any]) -> None:
    for one in told["commands"]:
        command, rest = resolve(one["words"].split())
        assert isinstance(command, Command)
        assert not rest
        assert [flag["spellings"] for flag in one["flags"]] == [flag.spellings for flag in command.flags]
        assert one["argument"] == command.argument.lower()
    assert [flag["spellings"] for flag in told["flags"]] == [flag.spellings for flag in GLOBAL_FLAGS]


def test_the_commands_of_articles_are_among_them(told: dict[str, Any]) -> None:
    words = {one["words"] for one in told["commands"]}
    for noun in ("batch-endpoint", "batch-deployment", "compute", "model", "environment", "data", "job", "workspace"):
        assert {f"{noun} show", f"{noun} list"} <= words
    assert {"batch-endpoint invoke", "job stream", "job download", "component create"} <= words


def test_what_az_has_itself_is_left_to_it(told: dict[str, Any]) -> None:
    first = {one["words"].split()[0] for one in told["commands"]}
    assert not first & {"account", "configure", "rest", "login", "logout", "group", "storage", "extension", "version"}
    assert set(told["groups"]) <= first
