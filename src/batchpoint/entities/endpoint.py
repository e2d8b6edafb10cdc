"""The batch endpoint: one durable name with a default deployment behind it (contract §1.6, §2.1)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags


class EndpointDefaults(Noun):
    """What an invocation uses when it names nothing."""

    #: The deployment that an invocation without one goes to.
    deployment_name: str | None = None


class Endpoint(Noun):
    """A batch endpoint, as written in YAML and as stored."""

    schema_name: ClassVar[str] = "BatchEndpointSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "provisioning_state", "scoring_uri", "openapi_uri", "creation_context", "resourceGroup"}
    )

    name: str
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    properties: dict[str, str] = Field(default_factory=dict)
    #: Only ``aad_token`` is served; the other two parse and are refused with a sentence.
    auth_mode: Annotated[Literal["aad_token", "aml_token", "key"], Lowered] = "aad_token"
    identity: dict[str, Any] | None = None
    location: str | None = None
    defaults: EndpointDefaults = EndpointDefaults()

    # Set by the server.
    id: str | None = None
    provisioning_state: str | None = None
    scoring_uri: str | None = None
    openapi_uri: str | None = None
    creation_context: CreationContext | None = None
