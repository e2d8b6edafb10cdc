"""What is kept about a workspace and a resource group; ``entities.workspace`` is the path that leads there."""

from typing import Any, ClassVar

from pydantic import Field

from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Noun, Tags


class WorkspaceRecord(Noun):
    """A workspace: endpoints, jobs, assets, computes and datastores of one workspace are seen by no other."""

    schema_name: ClassVar[str] = "WorkspaceSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "discovery_url", "mlflow_tracking_uri", "provisioning_state", "creation_context", "resourceGroup"}
    )
    examples: ClassVar[dict[str, str]] = {"name": "name: <workspace name>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.WORKSPACE}

    name: str
    #: Resource group; default that of the command line.
    resource_group: str | None = None
    location: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    #: Kept for the record, like the four ids below: nothing here depends on it.
    hbi_workspace: bool = False
    storage_account: str | None = None
    key_vault: str | None = None
    application_insights: str | None = None
    container_registry: str | None = None
    public_network_access: str = "Enabled"
    identity: dict[str, Any] | None = None

    # Set by the server.
    id: str | None = None
    discovery_url: str | None = None
    mlflow_tracking_uri: str | None = None
    provisioning_state: str | None = None
    creation_context: CreationContext | None = None


class ResourceGroup(Noun):
    """A group of workspaces."""

    schema_name: ClassVar[str] = "ResourceGroupSchema"

    name: str
    location: str | None = None
    tags: Tags = Field(default_factory=dict)
    id: str | None = None
