"""What ``prune`` removes: a pure function over an inventory, what was chosen, and the time.

It knows no files: ``removal`` looks again before anything goes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from batchpoint.upkeep.inventory import Inventory, JobFiles, Thing

#: Nothing takes longer between the copy of content and the asset or job that refers to it.
UPLOAD_GRACE_S = 3600.0
#: No copy takes longer than this, so what is older was left by a crash.
LEFTOVER_AGE_S = 86400.0


class Kind(StrEnum):
    """What can be chosen; the words are those of the command line."""

    JOBS = "jobs"
    SEGMENTS = "segments"
    LOGS = "logs"
    ENVIRONMENTS = "environments"
    UPLOADS = "uploads"
    #: Always looked for.
    LEFTOVERS = "leftovers"


#: What goes when nothing was chosen: all of it can be made again, or is needed by nobody.
USUAL = frozenset({Kind.SEGMENTS, Kind.ENVIRONMENTS, Kind.UPLOADS})


@dataclass(frozen=True)
class Limits:
    """What was asked for."""

    kinds: frozenset[Kind] = USUAL
    #: Seconds since the end of a job, or the last use of anything else.
    older_than_s: float = 30 * 86400.0
    #: Bytes that all environments may take together; None: as many as they like.
    max_bytes: int | None = None


@dataclass(frozen=True)
class Removal:
    """One thing that goes."""

    kind: Kind
    name: str
    size: int
    #: Why it may go, for people.
    reason: str
    #: Where it is; None for what belongs to a job.
    path: Path | None = None
    workspace: str = ""


def removals(inventory: Inventory, limits: Limits, now: float) -> list[Removal]:
    """What goes, and why, in the order in which it goes."""
    found: list[Removal] = []
    if Kind.JOBS in limits.kinds:
        found += _jobs(inventory.jobs, limits, now)
    gone = {removal.name for removal in found}
    staying = [job for job in inventory.jobs if job.name not in gone]
    if Kind.SEGMENTS in limits.kinds:
        found += _parts(Kind.SEGMENTS, staying, limits, now)
    if Kind.LOGS in limits.kinds:
        found += _parts(Kind.LOGS, staying, limits, now)
        found += _old(Kind.LOGS, inventory.logs, "not written", limits.older_than_s, now)
    if Kind.ENVIRONMENTS in limits.kinds:
        found += _environments(inventory.environments, limits, now)
    if Kind.UPLOADS in limits.kinds:
        age = max(limits.older_than_s, UPLOAD_GRACE_S)
        found += _old(Kind.UPLOADS, inventory.uploads, "nothing refers to it, not used", age, now)
    found += _old(Kind.LEFTOVERS, inventory.orphans, "no job has this folder, not changed", _day(limits), now)
    found += _old(Kind.LEFTOVERS, inventory.leftovers, "left by a process that died", LEFTOVER_AGE_S, now)
    return found


def shown_age(seconds: float) -> str:
    """An age in words: ``3 days``."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count:,} {unit}{'s' if count != 1 else ''}"
    return "less than a minute"


def _day(limits: Limits) -> float:
    return max(limits.older_than_s, LEFTOVER_AGE_S)


def _jobs(jobs: Sequence[JobFiles], limits: Limits, now: float) -> Iterator[Removal]:
    for job in _ended(jobs, limits, now):
        size = job.segments + job.logs + job.rest
        yield Removal(Kind.JOBS, job.name, size, f"ended {_ago(job.ended_at, now)}", workspace=job.workspace)


def _parts(kind: Kind, jobs: Sequence[JobFiles], limits: Limits, now: float) -> Iterator[Removal]:
    for job in _ended(jobs, limits, now):
        size = job.segments if kind is Kind.SEGMENTS else job.logs
        if size:
            yield Removal(kind, job.name, size, f"its job ended {_ago(job.ended_at, now)}", workspace=job.workspace)


def _ended(jobs: Sequence[JobFiles], limits: Limits, now: float) -> list[JobFiles]:
    return [job for job in jobs if now - job.ended_at >= limits.older_than_s]


def _environments(environments: Sequence[Thing], limits: Limits, now: float) -> Iterator[Removal]:
    total = sum(environment.size for environment in environments)
    for environment in sorted(environments, key=lambda one: one.used_at):
        reason = f"not used for {shown_age(now - environment.used_at)}"
        is_too_much = limits.max_bytes is not None and total > limits.max_bytes
        if environment.is_needed or not (is_too_much or now - environment.used_at >= limits.older_than_s):
            continue
        total -= environment.size
        yield _removal(Kind.ENVIRONMENTS, environment, reason)


def _old(kind: Kind, things: Sequence[Thing], reason: str, age_s: float, now: float) -> Iterator[Removal]:
    for thing in things:
        if not thing.is_needed and now - thing.used_at >= age_s:
            yield _removal(kind, thing, f"{reason} for {shown_age(now - thing.used_at)}")


def _removal(kind: Kind, thing: Thing, reason: str) -> Removal:
    return Removal(kind, thing.name, thing.size, reason, thing.path)


def _ago(moment: float, now: float) -> str:
    return f"{shown_age(now - moment)} ago"
