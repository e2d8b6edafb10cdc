"""The rules by which instances are given to jobs, kept and let go: one pure function over the situation of a compute.

``tables/instances`` loads a situation, applies the decision and saves it in one transaction. Knows no storage and no
clock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: Jobs named in a sentence; the rest are counted.
_NAMED = 3


@dataclass(frozen=True)
class Limits:
    """How many instances a compute may have, and how long one may be idle."""

    minimum: int
    maximum: int
    idle_s: float


@dataclass(frozen=True)
class Instance:
    """A place of a compute."""

    number: int
    node_id: str
    #: The job that holds it; empty when that has ended, or none ever did.
    job: str
    #: Status of that job.
    status: str
    endpoint: str
    #: When it became idle; of one that is held: when the job got it.
    since: datetime
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A job that needs instances."""

    job: str
    endpoint: str
    instances: int
    #: Chosen before: nobody is placed before it any more.
    is_next: bool = False
    #: What its user was told last.
    sentence: str = ""


@dataclass(frozen=True)
class Situation:
    """One compute as it is now."""

    workspace: str
    compute: str
    #: None when the compute has been deleted.
    limits: Limits | None
    #: By number.
    instances: tuple[Instance, ...]
    #: Oldest first; of a long queue those who may be next.
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True)
class Decision:
    """What is to change; nothing of it is done yet."""

    #: Numbers of the instances that each of these jobs gets, in the order in which they were chosen.
    grants: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: The job that is placed before all others as soon as there is room; empty when nobody waits for room.
    next_job: str = ""
    #: What is to be told to the users of waiting jobs, where that has changed.
    sentences: Mapping[str, str] = field(default_factory=dict)
    #: Jobs whose compute is gone.
    hopeless: tuple[str, ...] = ()
    #: Numbers of instances that are to be there without a job.
    added: tuple[int, ...] = ()
    #: Numbers of instances that go.
    removed: tuple[int, ...] = ()

    def changes(self, situation: Situation) -> bool:
        """False when the situation is to stay as it is."""
        before = next((one.job for one in situation.waiting if one.is_next), "")
        told = bool(self.grants or self.sentences or self.hopeless)
        return told or bool(self.added or self.removed) or self.next_job != before


def decide(situation: Situation, now: datetime, *, keeps_idle: bool) -> Decision:
    """What is due. ``keeps_idle``: instances without a job may stay, because a server runs."""
    limits = situation.limits
    if limits is None:
        gone = tuple(one.number for one in situation.instances if not one.job)
        return Decision(hopeless=tuple(one.job for one in situation.waiting), removed=gone)
    grants, next_job, still_waiting = _grant(situation, limits)
    taken = {number for numbers in grants.values() for number in numbers}
    idle = [one for one in situation.instances if not one.job and one.number not in taken]
    removed = _superfluous(situation, limits, idle, len(taken - {one.number for one in situation.instances}), now)
    if not keeps_idle:
        removed = {one.number for one in idle}
    there = ({one.number for one in situation.instances} | taken) - removed
    return Decision(
        grants=grants,
        next_job=next_job,
        sentences=_sentences(situation, limits, grants, next_job, still_waiting),
        added=tuple(_lowest_free(there, limits.minimum - len(there))) if keeps_idle else (),
        removed=tuple(sorted(removed)),
    )


def choose(waiting: Sequence[Waiting], held: Mapping[str, int], maximum: int) -> Waiting | None:
    """Whose turn it is: the job chosen before; else, of the endpoint that holds fewest instances, the oldest job.

    A job that asks for more than the compute may have is passed over. None when nobody is left.
    """
    possible = [one for one in waiting if one.instances <= maximum]
    chosen = next((one for one in possible if one.is_next), None)
    # min() takes the first of equals, and the oldest stands first.
    return chosen or min(possible, key=lambda one: held.get(one.endpoint, 0), default=None)


def leaving(situation: Situation, now: datetime) -> set[int]:
    """Numbers of the idle instances whose time is up."""
    idle = [one for one in situation.instances if not one.job]
    if situation.limits is None:
        return {one.number for one in idle}
    return _superfluous(situation, situation.limits, idle, 0, now)


def lowest_free_gpus(wanted: int, taken: Iterable[int], there: int) -> tuple[int, ...]:
    """GPUs for ``wanted`` workers, of those ``there`` that nobody has; fewer when there are no more."""
    occupied = set(taken)
    return tuple(number for number in range(there) if number not in occupied)[:wanted]


def _grant(situation: Situation, limits: Limits) -> tuple[dict[str, tuple[int, ...]], str, list[Waiting]]:
    """Place jobs one after the other until the next one does not fit; who that is, and who waits."""
    held = Counter(one.endpoint for one in situation.instances if one.job)
    occupied = {one.number for one in situation.instances if one.job}
    idle = [one.number for one in situation.instances if not one.job]
    there = {one.number for one in situation.instances}
    queue = list(situation.waiting)
    grants: dict[str, tuple[int, ...]] = {}
    while (chosen := choose(queue, held, limits.maximum)) is not None:
        if chosen.instances > limits.maximum - len(occupied):
            return grants, chosen.job, queue
        reused, idle = idle[: chosen.instances], idle[chosen.instances :]
        numbers = sorted([*reused, *_lowest_free(there, chosen.instances - len(reused))])
        grants[chosen.job] = tuple(numbers)
        occupied.update(numbers)
        there.update(numbers)
        held[chosen.endpoint] += chosen.instances
        queue.remove(chosen)
    return grants, "", queue


def _lowest_free(taken: set[int], count: int) -> list[int]:
    free = (number for number in range(len(taken) + max(count, 0)) if number not in taken)
    return [number for number, _ in zip(free, range(count), strict=False)]


def _superfluous(situation: Situation, limits: Limits, idle: list[Instance], new: int, now: datetime) -> set[int]:
    """Idle instances beyond the maximum, and beyond the minimum those that have been idle long enough."""
    total = len(situation.instances) + new
    gone: set[int] = set()
    for one in sorted(idle, key=lambda one: (one.since, -one.number)):
        is_old = now - one.since >= timedelta(seconds=limits.idle_s)
        left = total - len(gone)
        if left > limits.maximum or (is_old and left > limits.minimum):
            gone.add(one.number)
    return gone


def _sentences(
    situation: Situation,
    limits: Limits,
    grants: Mapping[str, tuple[int, ...]],
    next_job: str,
    waiting: Iterable[Waiting],
) -> dict[str, str]:
    holders = {one.number: one.job for one in situation.instances if one.job}
    holders |= {number: job for job, numbers in grants.items() for number in numbers}
    used = [holders[number] for number in sorted(holders)]
    found = {}
    for one in waiting:
        wish = f"Waits for {one.instances} instance{'s' * (one.instances != 1)} of compute {situation.compute}"
        if one.instances > limits.maximum:
            text = (
                f"{wish}, which may have {limits.maximum} now. Raise that: compute update --name {situation.compute} "
                f"--max-instances {one.instances}. Or give up: job cancel --name {one.job}"
            )
        elif one.job == next_job:
            text = f"{wish}: {len(used)} of {limits.maximum} are used by {_listed(used)}."
        else:
            # Nothing in it changes while others come and go: a long queue is not written again for each of them.
            text = f"{wish}: other jobs are before it."
        if text != one.sentence:
            found[one.job] = text
    return found


def _listed(jobs: Iterable[str]) -> str:
    names = list(dict.fromkeys(jobs))
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
