"""The compute: a named pool of instances that deployments refer to (contract §2.9, §6)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags


class Compute(Noun):
    """An ``amlcompute`` cluster; here its instances are groups of worker processes on this machine."""

    schema_name: ClassVar[str] = "AmlComputeSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "provisioning_state", "provisioning_errors", "created_on", "creation_context", "resourceGroup"}
    )

    name: str
    type: Annotated[Literal["amlcompute"], Lowered] = "amlcompute"
    size: str = "Standard_DS3_v2"
    tier: Annotated[Literal["dedicated", "low_priority"], Lowered] = "dedicated"
    min_instances: int = Field(default=0, ge=0)
    max_instances: int = Field(default=4, ge=0)
    #: Seconds an idle instance is kept.
    idle_time_before_scale_down: int = Field(default=120, ge=0)
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    location: str | None = None
    ssh_public_access_enabled: bool | None = None
    ssh_settings: dict[str, Any] | None = None
    network_settings: dict[str, Any] | None = None
    identity: dict[str, Any] | None = None
    enable_node_public_ip: bool = True

    id: str | None = None
    provisioning_state: str | None = None
    creation_context: CreationContext | None = None

    @model_validator(mode="after")
    def _minimum_within_maximum(self) -> "Compute":
        if self.min_instances > self.max_instances:
            raise ValueError(f"min_instances ({self.min_instances}) is more than max_instances ({self.max_instances})")
        return self
