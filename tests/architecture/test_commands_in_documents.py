"""Every command line in the documents can be typed: the real grammar reads it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.cli.grammar import Command, read_flags
from batchpoint.cli.groups import resolve
from batchpoint.errors import CommandLineInvalid
from tests.architecture.test_documents import DOCUMENTS, ROOT

FENCED = re.compile(r"^```(\w*).*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?: {4,}.*\n)+", re.MULTILINE)
INLINE = re.compile(r"`(batchpoint [^`\n]+)`")
#: What ends a command in a line of shell.
ENDS = {"|", "||", "&&", ";", "&", ")", ">", ">>", "<"}
OPTIONAL = re.compile(r"\[\w+\]|…")


def command_lines(document: Path) -> Iterator[str]:
    """Each line that calls batchpoint, from its first word to its end, pipes and what follows left out."""
    text = document.read_text(encoding="utf-8")
    shells = [block for language, block in FENCED.findall(text) if language == "sh"]
    shells += [block for block in INDENTED.findall(FENCED.sub("", text)) if "batchpoint " in block]
    for shell in shells:
        for line in shell.replace("\\\n", " ").splitlines():
            yield from _calls_in(line)
    for inline in INLINE.findall(FENCED.sub("", text)):
        if not OPTIONAL.search(inline):
            yield inline


def _calls_in(line: str) -> Iterator[str]:
    for found in re.finditer(r"(?:^|[|;&(]|\bdo)\s*(?:batchpoint|az(?= ml))\s", line):
        lexer = shlex.shlex(line[found.end() :], posix=False, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if word in ENDS or word.startswith(")"):
                break
            words.append(word)
        yield " ".join(["batchpoint", *words])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.relative_to(ROOT).as_posix())
def test_every_command_line_is_read(document: Path) -> None:
    unread = []
    for line in command_lines(document):
        words = shlex.split(line)[1:]
        words = words[1:] if words[:1] == ["ml"] else words
        if not words or words[0].startswith("-"):
            continue
        try:
            command, rest = resolve(words)
            # Prose may name a command without what it needs.
            if isinstance(command, Command) and rest:
                read_flags(command, rest)
        except CommandLineInvalid as error:
            unread.append(f"{line}: {error}")
    assert not unread


def test_command_lines_are_found_wherever_they_stand(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "Text, `batchpoint job show --name J` and `batchpoint schema`.\n\n    batchpoint serve  # goes on\n\n"
        "```sh\nJOB=$(batchpoint batch-endpoint invoke --name d --query name -o tsv)\n"
        'az ml job list --query "[].name" | head -2 && batchpoint explain\n'
        "batchpoint job download --name $JOB \\\n  --download-path x > log\n```\n\n```text\nbatchpoint nonsense\n```\n"
    )
    assert set(command_lines(document)) == {
        "batchpoint job show --name J",
        "batchpoint schema",
        "batchpoint serve",
        "batchpoint batch-endpoint invoke --name d --query name -o tsv",
        'batchpoint ml job list --query "[].name"',
        "batchpoint explain",
        "batchpoint job download --name $JOB --download-path x",
    }
