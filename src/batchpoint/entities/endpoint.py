"""The batch endpoint: one durable name with a default deployment behind it."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Noun, Tags, snake_cased


class EndpointDefaults(Noun):
    """What an invocation uses when it names nothing."""

    name_rules: ClassVar[dict[str, names.NameRule]] = {"deployment_name": names.DEPLOYMENT}

    #: The deployment that an invocation without one goes to.
    deployment_name: str | None = None


class Endpoint(Noun):
    """A batch endpoint, as written in YAML and as stored."""

    schema_name: ClassVar[str] = "BatchEndpointSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "provisioning_state", "scoring_uri", "openapi_uri", "creation_context", "resourceGroup"}
    )

    #: 2021's previews wrote ``type: batch``; their ``traffic`` is read by the loader.
    spellings: ClassVar[dict[str, str]] = {"type": ""}
    refusals: ClassVar[dict[str, str]] = {
        "type=online": "online endpoints are not offered here; a batch endpoint needs no type, remove the key",
        "deployments": "deployments are files of their own here; move each one out and create it with"
        " batch-deployment create --file",
        **{
            f"auth_mode={mode}": f"{mode} is not offered for batch endpoints; write auth_mode: aad_token"
            for mode in ("aml_token", "key")
        },
    }
    examples: ClassVar[dict[str, str]] = {"name": "name: <endpoint name>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.ENDPOINT}

    #: What invocations call it; upper case is lowered.
    name: str
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Words for programs; kept and shown as they are.
    properties: dict[str, str] = Field(default_factory=dict)
    #: How callers show who they are; only ``aad_token``, a bearer token, is served.
    auth_mode: Annotated[Literal["aad_token", "aml_token", "key"], BeforeValidator(snake_cased)] = "aad_token"
    #: Kept and shown; nothing here acts under another identity.
    identity: dict[str, Any] | None = None
    #: Kept and shown; the region is the server.
    location: str | None = None
    #: What an invocation uses when it names nothing.
    defaults: EndpointDefaults = EndpointDefaults()

    # Set by the server.
    id: str | None = None
    provisioning_state: str | None = None
    scoring_uri: str | None = None
    openapi_uri: str | None = None
    creation_context: CreationContext | None = None
