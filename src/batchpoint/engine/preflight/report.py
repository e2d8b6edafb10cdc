"""Where the checks of a preflight say what they find: a line of JSON for each thing, as soon as it is known.

The process writes the lines to its stdout; a check that finds the same in a thousand files says so in a few lines.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from batchpoint.entities.evidence.finding import Finding, Severity, finding_of
from batchpoint.errors import JobFailed, UserError

#: Findings of one kind that are told one by one.
TOLD_MAX = 5
_STATES: tuple[Severity, ...] = ("error", "warning", "note")


class Report:
    """What one preflight has found until now."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._check = ""
        #: Severities that the running check has found.
        self._found: set[Severity] = set()
        #: By severity, code and column: the latest finding and how many there were.
        self._kinds: dict[tuple[Severity, str, str], tuple[Finding, int]] = {}
        self._said = ""
        self.counts: dict[Severity, int] = dict.fromkeys(_STATES, 0)

    @contextmanager
    def check(self, name: str, title: str) -> Iterator[None]:
        """A check that begins now; what is found until it ends belongs to it. What keeps it from going on is found."""
        began = self._clock()
        self._check, self._found, self._kinds, self._said = name, set(), {}, ""
        self._line("check", {"name": name, "title": title, "state": "runs"})
        try:
            yield
        except (JobFailed, UserError) as error:
            self.find(finding_of(error))
        self._sum_up()
        state = next((severity for severity in _STATES[:2] if severity in self._found), "ok")
        told = {"name": name, "title": title, "state": state, "said": self._said, "seconds": self._clock() - began}
        self._line("check", told)
        self._check = ""

    def skip(self, name: str, title: str, why: str) -> None:
        """A check that there is no point in making."""
        self._line("check", {"name": name, "title": title, "state": "skipped", "said": why})

    def say(self, text: str) -> None:
        """What the running check came to, in a few words."""
        self._said = text

    def log(self, text: str) -> None:
        """A line of what somebody else says meanwhile."""
        self._line("log", {"text": text})

    def find(self, *findings: Finding) -> None:
        """Tell of them, unless many of the same kind were told of already."""
        for finding in findings:
            self.counts[finding.severity] += 1
            self._found.add(finding.severity)
            kind = finding.severity, finding.code, finding.column
            count = self._kinds.get(kind, (finding, 0))[1] + 1
            self._kinds[kind] = finding, count
            if count <= TOLD_MAX:
                self._tell(finding)

    @property
    def has_errors(self) -> bool:
        """Whether anything was found that a job would fail over."""
        return self.counts["error"] > 0

    def answer(self, kind: str, said: dict[str, Any]) -> None:
        """A line of another kind."""
        self._line(kind, said)

    def end(self) -> None:
        """The last line."""
        counts: dict[str, Any] = {str(severity): count for severity, count in self.counts.items()}
        self._line("end", counts)

    def _sum_up(self) -> None:
        for finding, count in self._kinds.values():
            if count > TOLD_MAX:
                more = f"{count - TOLD_MAX:,} more files or values have the same problem ({finding.code})."
                update = {"message": more, "file": "", "row": None}
                self._tell(finding.model_copy(update=update))

    def _tell(self, finding: Finding) -> None:
        named = finding.model_copy(update={"check": self._check})
        self._line("finding", named.model_dump(mode="json"))

    def _line(self, kind: str, said: dict[str, Any]) -> None:
        self._write(json.dumps({"line": kind, **said}))


def error(code: str, message: str, fix: str, *, file: str = "", column: str = "", row: int | None = None) -> Finding:
    """A finding that a job would fail over."""
    return Finding(code=code, severity="error", message=message, fix=fix, file=file, column=column, row=row)


def warning(code: str, message: str, fix: str, *, file: str = "", column: str = "", row: int | None = None) -> Finding:
    """A finding that may matter."""
    return Finding(code=code, severity="warning", message=message, fix=fix, file=file, column=column, row=row)


def note(code: str, message: str, fix: str, *, file: str = "") -> Finding:
    """A finding that is good to know."""
    return Finding(code=code, severity="note", message=message, fix=fix, file=file)
