"""What may be done, and by whom where: roles, and the assignments that bind them to principals."""

from typing import ClassVar

from pydantic import Field

from batchpoint.entities.noun import CreationContext, Noun


class Role(Noun):
    """What may be done by those who have it: action names of the field, ``*`` standing for any part of one."""

    schema_name: ClassVar[str] = "RoleSchema"

    #: Unique on a server, whatever its casing.
    name: str
    #: Text for people.
    description: str | None = None
    #: Allowed, e.g. ``Microsoft.MachineLearningServices/workspaces/batchEndpoints/*``.
    actions: list[str] = Field(default_factory=list)
    #: Not allowed although ``actions`` says so.
    not_actions: list[str] = Field(default_factory=list)


class RoleAssignment(Noun):
    """Gives a principal a role somewhere."""

    schema_name: ClassVar[str] = "RoleAssignmentSchema"

    #: A UUID.
    id: str
    #: Object id of the principal.
    principal_id: str
    #: Name of the role.
    role: str
    #: ``/`` for the whole server, or the id of a subscription, resource group or workspace; holds for all below it.
    scope: str = "/"

    # Set by the server.
    principal_name: str | None = None
    creation_context: CreationContext | None = None
