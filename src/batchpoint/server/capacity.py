"""Gives waiting jobs their instances and lets idle ones go; tells what the instances of a compute do.

The supervisor settles at each of its looks, routers ask for counts. The rules are in ``store/allotment``, the rows in
the store; a supervisor that dies takes nothing with it.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from batchpoint.arm.compute import NODE_STATES
from batchpoint.compute import machine
from batchpoint.entities.compute import Compute, ComputeNode, MachineSize
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

    def settle(self) -> bool:
        """Do what is due on every compute; answers whether a job was waiting. Raises StoreUnavailable."""
        was_waiting = False
        for situation in self._store.situations():
            rule = partial(decide, now=datetime.now(UTC), keeps_idle=self._keeps_idle)
            was_waiting = was_waiting or bool(situation.waiting)
            if rule(situation).changes(situation):
                decision = self._store.settle(situation.workspace, situation.compute, rule, self._gpus)
                self._note(situation, decision)
        return was_waiting

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


def nodes(compute: Compute, situation: Situation, now: datetime, *, keeps_idle: bool) -> list[ComputeNode]:
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
        found.append(
            ComputeNode(
                node_id=one.node_id,
                # Where Ray has put it, Ray alone knows.
                private_ip_address=None if compute.type == "ray" else "127.0.0.1",
                node_state=state,
                current_job_name=one.job or None,
            )
        )
    return found


def with_counts(compute: Compute, situation: Situation, now: datetime, *, keeps_idle: bool) -> Compute:
    """The compute with how many instances it has, and will have."""
    counts = Counter(node.node_state for node in nodes(compute, situation, now, keeps_idle=keeps_idle))
    staying = counts.total() - counts["leaving"]
    target = max(staying, compute.min_instances if keeps_idle else 0)
    return compute.model_copy(
        update={
            "allocation_state": "Steady" if target == counts.total() else "Resizing",
            "current_node_count": counts.total(),
            "target_node_count": target,
            "node_state_counts": {state: counts[state] for state in NODE_STATES},
        }
    )


def sizes(computes: Iterable[Compute]) -> list[MachineSize]:
    """The machine, under its own name and under those that computes call it."""
    names = dict.fromkeys(["this-machine", *(compute.size for compute in computes if compute.type != "ray")])
    memory_gb = round(machine.memory_bytes() / 2**30, 1)
    return [MachineSize(name=n, v_cp_us=machine.cores(), gpus=machine.gpus(), memory_gb=memory_gb) for n in names]
