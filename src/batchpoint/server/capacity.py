"""Gives waiting jobs their instances and lets idle ones go; tells what the nodes of a compute do.

The supervisor settles at each of its looks, routers ask for nodes. The rules are in ``store/allotment``, the rows in
the store; a supervisor that dies takes nothing with it.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from batchpoint.entities.job import JobStatus
from batchpoint.observability.job_logs import JobLogs
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.allotment import Decision, Situation, decide, leaving
from batchpoint.store.store import Store


class Capacity:
    """The instances of all computes of a home."""

    def __init__(self, store: Store, home: Path, gpus: int, *, keeps_idle: bool) -> None:
        self._store = store
        self._home = home
        #: How many the machine has.
        self._gpus = gpus
        #: Instances without a job may stay, because a server runs.
        self._keeps_idle = keeps_idle

    def settle(self) -> int:
        """Do what is due on every compute; answers how many jobs still wait. Raises StoreUnavailable."""
        still_waiting = 0
        for situation in self._store.situations():
            rule = partial(decide, now=datetime.now(UTC), keeps_idle=self._keeps_idle)
            still_waiting += len(situation.waiting)
            if rule(situation).changes(situation):
                decision = self._store.settle(situation.workspace, situation.compute, rule, self._gpus)
                still_waiting -= len(decision.grants) + len(decision.hopeless)
                self._note(situation, decision)
        return still_waiting

    def _note(self, situation: Situation, decision: Decision) -> None:
        """What the users of the jobs see in their streams."""
        told = {one.job for one in situation.waiting if one.sentence}
        for job, sentence in decision.sentences.items():
            self._logs(job).event(sentence)
        for job, numbers in decision.grants.items():
            if job in told:
                which = ", ".join(map(str, numbers))
                self._logs(job).event(f"Has instance{'s' * (len(numbers) != 1)} {which} of {situation.compute} now.")
        for job in decision.hopeless:
            self._logs(job).result(f"Failed (ComputeDeleted): compute {situation.compute} was deleted.")

    def _logs(self, job: str) -> JobLogs:
        return JobLogs(job_folder(self._home, job))


@dataclass(frozen=True)
class Node:
    """One instance as people see it."""

    node_id: str
    number: int
    #: ``idle``, ``running``, ``preparing`` or ``leaving``.
    state: str
    #: Empty unless a job holds it.
    job: str


def nodes(situation: Situation, now: datetime, *, keeps_idle: bool) -> list[Node]:
    """The instances that are there now. Without a server none outlives its job, whoever is left to remove it."""
    going = leaving(situation, now)
    found = []
    for one in situation.instances:
        if one.job:
            state = "preparing" if one.status == JobStatus.PREPARING else "running"
        elif not keeps_idle:
            continue
        else:
            state = "leaving" if one.number in going else "idle"
        found.append(Node(one.node_id, one.number, state, one.job))
    return found


def counted(found: list[Node]) -> Counter[str]:
    """Nodes by state."""
    return Counter(node.state for node in found)
