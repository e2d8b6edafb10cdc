"""A person or a program that may use a server. Secrets are never part of a noun."""

from typing import ClassVar, Literal

from batchpoint.entities.noun import CreationContext, Noun

PrincipalKind = Literal["user", "service_principal"]


class Principal(Noun):
    """A person or a program with an identity of its own on this server."""

    schema_name: ClassVar[str] = "PrincipalSchema"

    #: The object id, a UUID: claim ``oid`` of its tokens.
    id: str
    #: What people call it; unique on a server, whatever its casing.
    name: str
    #: A person, or a program.
    kind: PrincipalKind = "user"
    #: What a program logs in with, beside its secret: a UUID. Users have none.
    client_id: str | None = None
    #: Nobody can log in as it, and its tokens are refused.
    disabled: bool = False
    #: Issuer of its tokens when it is not this server: then nobody logs in here as it.
    issuer: str | None = None

    # Set by the server.
    creation_context: CreationContext | None = None
