"""What each code of an error or of a failed mini-batch means: the sections of ``explanations.toml``.

``batchpoint explain`` prints them, docs/troubleshooting.md is generated from them; it knows no error class.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

#: What a code ends or refuses, in the order in which pages list them.
KINDS = {
    "request": "a request is refused",
    "job": "a job ends",
    "mini-batch": "a mini-batch fails",
    "machine": "something is wrong with the machine",
    "finding": "a preflight finds something",
}


@dataclass(frozen=True)
class Explanation:
    """One section."""

    code: str
    #: A key of ``KINDS``.
    about: Literal["request", "job", "mini-batch", "machine"]
    means: str
    causes: tuple[str, ...]
    remedies: tuple[str, ...]
    #: A message as it may read.
    example: str


@cache
def explanations() -> dict[str, Explanation]:
    """Every section by its code."""
    text = Path(__file__).with_name("explanations.toml").read_text(encoding="utf-8")
    return {
        code: Explanation(
            code,
            section["about"],
            section["means"],
            tuple(section["causes"]),
            tuple(section["remedies"]),
            section["example"].strip(),
        )
        for code, section in tomllib.loads(text).items()
    }


def find(code: str) -> Explanation | None:
    """The section of ``code`` in any case, or None."""
    wanted = code.strip().strip("()").lower()
    return next((found for known, found in explanations().items() if known.lower() == wanted), None)
