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

    #: What ``--workspace-name`` and ARM ids call it.
    name: str
    #: The resource group that it is filed under; that of the command line when nothing is said.
    resource_group: str | None = None
    #: Kept and shown.
    location: str | None = None
    #: Name for people.
    display_name: str | None = None
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Kept and shown.
    hbi_workspace: bool = False
    #: Kept and shown.
    storage_account: str | None = None
    #: Kept and shown.
    key_vault: str | None = None
    #: Kept and shown.
    application_insights: str | None = None
    #: Kept and shown.
    container_registry: str | None = None
    #: Kept and shown.
    public_network_access: str = "Enabled"
    #: Kept and shown.
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
