"""What a check of ``doctor`` answers: a sentence, how bad it is, the remedy, and how it is mended if that is safe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "fixed", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    #: What was looked at: ``store``, ``job monday``.
    check: str
    level: Level
    message: str
    #: What to do, for whoever reads it; empty where nothing has to be done.
    remedy: str = ""
    #: Does it; answers what was done, or nothing where it could not be.
    mend: Callable[[], str] | None = None
    #: True where mending removes something: somebody has to say yes.
    asks: bool = False

    def shape(self) -> dict[str, str]:
        """As it is printed in JSON."""
        shown = {"check": self.check, "level": self.level, "message": self.message}
        return {**shown, "remedy": self.remedy} if self.remedy else shown


def ok(check: str, message: str) -> Finding:
    """All is well, or as it may be."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Something that may well be meant, or that mends itself."""
    return Finding(check, "warning", message, remedy)


def problem(check: str, message: str, remedy: str) -> Finding:
    """Something that loses work or data, or stops it."""
    return Finding(check, "problem", message, remedy)
