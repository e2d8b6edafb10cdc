"""``seed_rows.toml`` accounts for the article: every statement has a test, waits for something, or asks nothing."""

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STATEMENTS = 107
#: What rows may wait for: each needs something that the command line and the engine do not have yet.
LATER = {"mlflow", "studio"}

ROWS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("seed_rows.toml").read_text(encoding="utf-8"))[
    "row"
]


@cache
def defined_in(path: str) -> frozenset[str]:
    """The names of the tests that a file defines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def named(row: dict[str, Any]) -> list[str]:
    return [row["test"]] if isinstance(row["test"], str) else row["test"]


def test_every_statement_stands_once_and_in_order() -> None:
    assert [row["number"] for row in ROWS] == list(range(1, STATEMENTS + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["number"]))
def test_a_statement_has_a_test_or_says_what_it_waits_for_or_why_it_needs_none(row: dict[str, Any]) -> None:
    assert row["statement"].strip()
    answers = row.keys() - {"number", "statement"}
    assert len(answers) == 1, "a row has one of: test, later, none"
    answer = answers.pop()
    assert answer in {"test", "later", "none"}
    if answer == "test":
        assert named(row)
        for test in named(row):
            path, _, name = test.partition("::")
            assert (ROOT / path).is_file(), f"there is no file {path}"
            assert name in defined_in(path), f"{path} has no {name}"
    elif answer == "later":
        assert row["later"] in LATER
    else:
        assert row["none"] == "no behaviour"
