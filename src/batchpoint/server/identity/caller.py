"""Who sends a request, and what that caller may do where. The gate establishes it; routers and ``Desk`` ask it."""

import fnmatch
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from batchpoint.entities.identity.role import Role


@dataclass(frozen=True)
class Grant:
    """A role, and the id of what it was given for: ``/`` for everything."""

    scope: str
    role: Role

    def covers(self, action: str, place: str) -> bool:
        """Whether it allows ``action`` at ``place``, an id; casing does not matter."""
        scope, here = self.scope.rstrip("/").lower(), place.rstrip("/").lower()
        if here != scope and not here.startswith(f"{scope}/"):
            return False
        return _matches(action, self.role.actions) and not _matches(action, self.role.not_actions)


def _matches(action: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


@dataclass(frozen=True)
class Caller:
    """A principal for the time of one request."""

    #: Object id; empty for the owner of the home.
    id: str
    name: str
    #: As ``createdByType`` shows it.
    kind: str = "User"
    grants: tuple[Grant, ...] = ()
    #: Holds the token of the home: may do everything, and name paths on the server's machine.
    is_owner: bool = False

    def may(self, action: str, place: str = "/") -> bool:
        """``place`` is the id of a workspace, resource group or subscription, or ``/``."""
        return self.is_owner or any(grant.covers(action, place) for grant in self.grants)

    def knows_of(self, place: str) -> bool:
        """Whether any role of theirs is about ``place``, about what is around it or about something in it."""
        here = f"{place.rstrip('/')}/".lower()
        scopes = [f"{grant.scope.rstrip('/')}/".lower() for grant in self.grants]
        return self.is_owner or any(here.startswith(scope) or scope.startswith(here) for scope in scopes)


#: Who has the token of the home.
OWNER = Caller(id="", name="owner", is_owner=True)
#: Who has shown nothing, and may read what is open to everybody.
NOBODY = Caller(id="", name="")


def caller_of(connection: HTTPConnection) -> Caller:
    """Whom the gate has let in."""
    found = connection.scope["state"]["caller"]
    assert isinstance(found, Caller)
    return found
