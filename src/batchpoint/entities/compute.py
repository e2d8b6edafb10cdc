"""The compute: a named pool of instances that deployments refer to, and what a job keeps of it."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags, problem_with

ComputeType = Literal["amlcompute", "ray"]
Isolation = Literal["process", "container"]

#: What tells of machines of this kind alone, and what of a Ray cluster alone.
_ONLY = {
    "amlcompute": (
        "size",
        "tier",
        "ssh_public_access_enabled",
        "ssh_settings",
        "network_settings",
        "identity",
        "enable_node_public_ip",
        "isolation",
    ),
    "ray": (
        "address",
        "cpus_per_instance",
        "gpus_per_instance",
        "resources_per_instance",
        "token_path",
    ),
}
_MEMORY = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kmgt]?)i?b?", re.IGNORECASE)


class Place(Noun):
    """What a job keeps of its compute: where its workers are placed, and how large one instance is."""

    compute: str = ""
    type: ComputeType = "amlcompute"
    #: Of the Ray cluster.
    address: str = ""
    cpus: float = 1
    gpus: float = 0
    #: Bytes that Ray sets aside, or that the containers of an instance may have together; 0 asks for none.
    memory: int = 0
    #: What each worker process runs in.
    isolation: Isolation = "process"
    resources: dict[str, float] = Field(default_factory=dict)
    #: File with the token of the Ray cluster, on the server's machine.
    token_path: str | None = None


class Compute(Noun):
    """A pool of instances: groups of worker processes on this machine (``amlcompute``) or actors of a Ray cluster."""

    schema_name: ClassVar[str] = "AmlComputeSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {
            *("id", "provisioning_state", "provisioning_errors", "created_on", "creation_context", "resourceGroup"),
            *("allocation_state", "current_node_count", "target_node_count", "node_state_counts"),
        }
    )

    refusals: ClassVar[dict[str, str]] = {
        f"type={kind}": f"a {kind} compute is not offered here; write type: amlcompute, a pool on this machine, or"
        " type: ray, a Ray cluster"
        for kind in ("computeinstance", "kubernetes", "virtualmachine", "synapsespark")
    }
    examples: ClassVar[dict[str, str]] = {
        "name": "name: <compute name>",
        "address": "address: auto, <host>:6379 or ray://<host>:10001",
    }
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.COMPUTE}

    #: What deployments call it.
    name: str
    #: What kind of pool it is.
    type: Annotated[ComputeType, Lowered] = "amlcompute"
    #: Kept and shown; an instance is as large as its machine.
    size: str = "Standard_DS3_v2"
    #: A job on ``low_priority`` may hold its instances for a shorter time; nothing else differs.
    tier: Annotated[Literal["dedicated", "low_priority"], Lowered] = "dedicated"
    #: Instances that are kept although nothing runs, while a server does.
    min_instances: int = Field(default=0, ge=0)
    #: Instances that may be in use at the same time.
    max_instances: int = Field(default=4, ge=0)
    #: Seconds an idle instance is kept; without a server instances end with their job.
    idle_time_before_scale_down: int = Field(default=120, ge=0)
    #: Of a Ray cluster: ``auto`` (the one that runs on this machine), ``<host>:6379`` or ``ray://<host>:10001``.
    address: str | None = None
    #: CPUs that Ray sets aside for one instance, which is one actor.
    cpus_per_instance: float = Field(default=1, ge=0)
    #: GPUs that Ray sets aside for one instance; its workers get one each.
    gpus_per_instance: float = Field(default=0, ge=0)
    #: Memory of one instance: ``2g``, ``512m`` or bytes. Ray sets it aside; with ``isolation: container`` it is the
    #: limit that the workers of an instance share.
    memory_per_instance: str | None = None
    #: Resources of the cluster's own making that one instance takes.
    resources_per_instance: dict[str, float] = Field(default_factory=dict)
    #: File with the cluster's token, on the server's machine.
    token_path: str | None = None
    #: ``process``: workers are processes of this machine; ``container``: each runs in a container of the environment's
    #: image, by Docker or Podman (ours).
    isolation: Annotated[Isolation, Lowered] = "process"
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Kept and shown.
    location: str | None = None
    #: Kept and shown.
    ssh_public_access_enabled: bool | None = None
    #: Kept and shown.
    ssh_settings: dict[str, Any] | None = None
    #: Kept and shown.
    network_settings: dict[str, Any] | None = None
    #: Kept and shown.
    identity: dict[str, Any] | None = None
    #: Kept and shown.
    enable_node_public_ip: bool = True

    id: str | None = None
    provisioning_state: str | None = None
    #: Steady, or Resizing while instances come or go; like the counts below a view of the moment, never stored.
    allocation_state: str | None = None
    current_node_count: int | None = None
    #: How many instances there will be when nothing else happens.
    target_node_count: int | None = None
    #: By state: idle, running, preparing, unusable, leaving, preempted.
    node_state_counts: dict[str, int] | None = None
    creation_context: CreationContext | None = None

    @model_validator(mode="after")
    def _minimum_within_maximum(self) -> "Compute":
        if self.min_instances > self.max_instances:
            raise problem_with(
                "min_instances", f"{self.min_instances} is more than max_instances, which is {self.max_instances}"
            )
        return self

    @model_validator(mode="after")
    def _keys_of_its_type(self) -> "Compute":
        other = "ray" if self.type == "amlcompute" else "amlcompute"
        for key in _ONLY[other]:
            if getattr(self, key) != type(self).model_fields[key].get_default(call_default_factory=True):
                raise problem_with(key, f"this key belongs to type: {other}, and the type is {self.type}; remove one")
        if self.type == "ray":
            self._check_cluster()
        elif self.memory_per_instance is not None and self.isolation != "container":
            raise problem_with(
                "memory_per_instance",
                "only containers and Ray limit what an instance has; add isolation: container, or remove this key",
            )
        if self.memory_per_instance is not None and _bytes(self.memory_per_instance) is None:
            raise problem_with("memory_per_instance", f"{self.memory_per_instance} is no size; write 2g, 512m or bytes")
        return self

    def _check_cluster(self) -> None:
        if not self.address:
            raise problem_with("address", "a Ray compute needs one; add " + self.examples["address"])
        if self.token_path is not None and not self.token_path.startswith("/"):
            raise problem_with("token_path", f"{self.token_path} is not an absolute path on the server's machine")

    @property
    def foreign_keys(self) -> tuple[str, ...]:
        """Keys that say nothing about this compute: those of the other type, and what the service does not know."""
        if self.type == "ray":
            return _ONLY["amlcompute"]
        return _ONLY["ray"] if self.isolation == "container" else (*_ONLY["ray"], "isolation")

    @property
    def place(self) -> Place:
        """What a job of this compute keeps of it."""
        if self.type != "ray":
            return Place(
                compute=self.name, isolation=self.isolation, memory=_bytes(self.memory_per_instance or "0") or 0
            )
        return Place(
            compute=self.name,
            type="ray",
            address=self.address or "",
            cpus=self.cpus_per_instance,
            gpus=self.gpus_per_instance,
            memory=_bytes(self.memory_per_instance or "0") or 0,
            resources=self.resources_per_instance,
            token_path=self.token_path,
        )


class ComputeNode(Noun):
    """One instance of a compute, as it is now."""

    node_id: str
    #: None where the instance is on a machine that Ray has chosen.
    private_ip_address: str | None = None
    public_ip_address: str | None = None
    port: int | None = None
    #: idle, running, preparing or leaving.
    node_state: str
    current_job_name: str | None = None


class MachineSize(Noun):
    """A size that instances may have: here all are as large as the machine."""

    name: str
    family: str = "local"
    v_cp_us: int
    gpus: int = 0
    memory_gb: float
    low_priority_capable: bool = True
    supported_compute_types: tuple[str, ...] = ("amlcompute",)


class Usage(Noun):
    """How much there is of something that is limited."""

    name: str
    current_value: int
    limit: int
    unit: str = "Count"


def _bytes(text: str) -> int | None:
    """``2g`` in bytes; None when it is no size."""
    found = _MEMORY.fullmatch(text.strip())
    if found is None:
        return None
    return int(float(found["number"]) * 1024 ** " kmgt".index(found["unit"].lower() or " "))
