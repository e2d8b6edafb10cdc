"""What a job can show for itself: its failed items, its manifest, and whether everything is still as it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpoint.arm.envelope.reading import Body
from batchpoint.client.requests import Requests, segment
from batchpoint.client.transfer.files import fetch
from batchpoint.errors import ResourceNotFound


@dataclass(frozen=True)
class Check:
    """One thing that was read again."""

    what: str
    path: str
    #: ok, changed, missing, or skipped.
    state: str
    #: A sentence where it is not ok.
    said: str

    @property
    def is_wrong(self) -> bool:
        return self.state in ("changed", "missing")


@dataclass(frozen=True)
class Comparison:
    """A job's output beside that of another job."""

    other: str
    equal: bool
    #: First line that differs, from 1, and what stands there in each.
    line: int | None
    here: str
    there: str


@dataclass(frozen=True)
class Verified:
    """What ``verify`` found."""

    checks: tuple[Check, ...]
    #: None: nothing to compare with was named, and the job repeats no other.
    comparison: Comparison | None

    @property
    def is_sound(self) -> bool:
        return not any(check.is_wrong for check in self.checks) and (self.comparison is None or self.comparison.equal)


class Evidence:
    """Asks about jobs that have ended."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def verify(self, job: str, against: str = "") -> Verified:
        """Have everything read again that the job's manifest vouches for, and compare its output with another job's.

        Raises ResourceConflict while the job has not ended, ResourceNotFound for one without a manifest.
        """
        query = {"against": against} if against else {}
        body = self._requests.json_at_last(f"{_of(job)}/verification", query)
        return Verified(tuple(_check(Body(one)) for one in body.items("checks")), _comparison(body))

    def failed_items(self, job: str, folder: Path) -> Sequence[Path]:
        """Put the list of failed items into ``folder``, if the job has any."""
        return self._fetched(job, "failed-items", folder / "failed_items.jsonl")

    def manifest(self, job: str, folder: Path) -> Sequence[Path]:
        """Put the manifest into ``folder``, if the job has one."""
        return self._fetched(job, "manifest", folder / "manifest.json")

    def _fetched(self, job: str, route: str, target: Path) -> Sequence[Path]:
        try:
            return [fetch(self._requests, f"{_of(job)}/{route}", target)]
        except ResourceNotFound:
            return []


def _of(job: str) -> str:
    return f"/batchpoint/v1/jobs/{segment(job)}"


def _check(body: Body) -> Check:
    return Check(*(body.text(name) or "" for name in ("what", "path", "state", "said")))


def _comparison(body: Body) -> Comparison | None:
    if not body.has("comparison"):
        return None
    told = body.child("comparison")
    texts = {name: told.text(name) or "" for name in ("other", "here", "there")}
    return Comparison(equal=bool(told.boolean("equal")), line=told.integer("line"), **texts)
