"""Pieces of Markdown, and the comments that stand above fields in the code."""

import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Iterable

GENERATED = "<!-- Written by docs/generate.py from the code; change it there. -->\n\n"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def field_comments(owner: type) -> dict[str, str]:
    """The ``#:`` comments above the fields of a class."""
    lines = inspect.getsource(owner).splitlines()
    tree = ast.parse(textwrap.dedent("\n".join(lines)))
    comments = {}
    for node in typing.cast(ast.ClassDef, tree.body[0]).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comments[node.target.id] = _comment_above(lines, node.lineno - 1)
    return comments


def _comment_above(lines: list[str], at: int) -> str:
    found: list[str] = []
    while at > 0 and lines[at - 1].strip().startswith("#:"):
        at -= 1
        found.insert(0, lines[at].strip().removeprefix("#:").strip())
    return re.sub(r" \((?:contract|decision)[^)]*\)", "", " ".join(found)).replace("``", "`")
