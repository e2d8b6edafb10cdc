"""The rules for names and versions, as data with sentences.

The loader, the references and the server check names with it; it knows no noun.
"""

import re
from dataclasses import dataclass

from batchpoint.errors import ReferenceInvalid


@dataclass(frozen=True)
class NameRule:
    """What a name may look like, and how to say so."""

    #: What carries the name, with its article: ``an endpoint name``.
    subject: str
    shortest: int
    longest: int
    pattern: re.Pattern[str]
    #: The pattern in words, after "use".
    words: str
    #: True where upper case is accepted and lowered.
    lowered: bool = False

    def problems(self, name: str) -> tuple[str, ...]:
        """Each thing that is wrong with ``name``, as a sentence; empty for a good name."""
        found = []
        if not self.shortest <= len(name) <= self.longest:
            found.append(
                f"{_quoted(name)} is {len(name)} long; {self.subject} has {self.shortest} to {self.longest} characters"
            )
        if name and not self.pattern.fullmatch(name):
            found.append(f"{_quoted(name)} is not {self.subject}: use {self.words}")
        return tuple(found)

    def checked(self, name: str) -> str:
        """``name`` in the spelling that is kept, or ReferenceInvalid with every sentence."""
        found = self.problems(name)
        if found:
            raise ReferenceInvalid("; ".join(found), target=name)
        return self.spelled(name)

    def spelled(self, name: str) -> str:
        """``name`` in the spelling that is kept."""
        return name.lower() if self.lowered else name


def _quoted(name: str) -> str:
    shown = name if len(name) <= 60 else name[:57] + "..."
    return f'"{shown}"'


_DASHED = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_DASHED_WORDS = "only letters, digits and dashes, beginning with a letter and ending with a letter or a digit"
_PLAIN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
_PLAIN_WORDS = "only letters, digits, dashes and underscores, beginning with a letter or a digit"
_DOTTED = re.compile(r"(?![-_.])[a-zA-Z0-9_.-]+(?<!\.)")
_DOTTED_WORDS = (
    "only letters, digits, dashes, underscores and dots, beginning with a letter or a digit and not ending with a dot"
)

ENDPOINT = NameRule("an endpoint name", 3, 32, _DASHED, _DASHED_WORDS, lowered=True)
DEPLOYMENT = NameRule("a deployment name", 3, 32, _DASHED, _DASHED_WORDS)
COMPUTE = NameRule("a compute name", 1, 255, _PLAIN, _PLAIN_WORDS)
DATASTORE = NameRule("a datastore name", 1, 255, _PLAIN, _PLAIN_WORDS)
JOB = NameRule("a job name", 1, 255, _PLAIN, _PLAIN_WORDS)
WORKSPACE = NameRule("a workspace name", 2, 33, _PLAIN, _PLAIN_WORDS)
#: Models, data assets, environments, code and components.
ASSET = NameRule("an asset name", 1, 255, _DOTTED, _DOTTED_WORDS)
#: A UUID is nobody's name: it would be taken for the id of somebody else.
PRINCIPAL = NameRule(
    "the name of a user or service principal",
    1,
    100,
    re.compile(r"(?![0-9a-fA-F]{8}-[0-9a-fA-F]{4}-)(?i:(?!owner$))[a-zA-Z0-9][a-zA-Z0-9._@+-]*"),
    "only letters, digits, dots, dashes, underscores, @ and +, beginning with a letter or a digit; not owner, no UUID",
)
ROLE = NameRule(
    "the name of a role",
    1,
    100,
    re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9 ._-]*[a-zA-Z0-9._-])?"),
    "only letters, digits, spaces, dots, dashes and underscores, beginning with a letter or a digit",
)
#: Long enough for a sha256: official clients name the version of an environment written in place by its content.
VERSION = NameRule(
    "a version",
    1,
    64,
    re.compile(r"(?!\.+$)[a-zA-Z0-9._-]+"),
    "only letters, digits, dashes, underscores and dots, not dots alone",
)
