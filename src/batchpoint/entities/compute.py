"""The compute: a named pool of instances that deployments refer to."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags, problem_with


class Compute(Noun):
    """An ``amlcompute`` cluster; here its instances are groups of worker processes on this machine."""

    schema_name: ClassVar[str] = "AmlComputeSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "provisioning_state", "provisioning_errors", "created_on", "creation_context", "resourceGroup"}
    )

    refusals: ClassVar[dict[str, str]] = {
        f"type={kind}": f"a {kind} compute is not offered here; write type: amlcompute, a pool on this machine"
        for kind in ("computeinstance", "kubernetes", "virtualmachine", "synapsespark")
    }
    examples: ClassVar[dict[str, str]] = {"name": "name: <compute name>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.COMPUTE}

    #: What deployments call it.
    name: str
    #: What kind of pool it is.
    type: Annotated[Literal["amlcompute"], Lowered] = "amlcompute"
    #: Kept and shown; an instance is as large as its machine.
    size: str = "Standard_DS3_v2"
    #: Kept and shown.
    tier: Annotated[Literal["dedicated", "low_priority"], Lowered] = "dedicated"
    #: Instances that are kept although nothing runs.
    min_instances: int = Field(default=0, ge=0)
    #: Instances that may be in use at the same time.
    max_instances: int = Field(default=4, ge=0)
    #: Seconds an idle instance is kept.
    idle_time_before_scale_down: int = Field(default=120, ge=0)
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
    creation_context: CreationContext | None = None

    @model_validator(mode="after")
    def _minimum_within_maximum(self) -> "Compute":
        if self.min_instances > self.max_instances:
            raise problem_with(
                "min_instances", f"{self.min_instances} is more than max_instances, which is {self.max_instances}"
            )
        return self
