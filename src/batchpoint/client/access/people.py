"""Users, service principals and roles from the client's side."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchpoint.arm import people as wire
from batchpoint.arm.envelope.reading import Body
from batchpoint.client.requests import Requests, segment
from batchpoint.entities.identity.principal import Principal
from batchpoint.entities.identity.role import Role, RoleAssignment

_OURS = "/batchpoint/v1"


@dataclass(frozen=True)
class NewPrincipal:
    """A principal with a secret that nobody can read again."""

    principal: Principal
    #: Empty for one that logs in elsewhere.
    secret: str = ""
    #: ISO-8601.
    expires_at: str | None = None
    #: What to name when logging in.
    tenant: str = ""


class Principals:
    """Users, or service principals; each is named by its name, object id or client id."""

    def __init__(self, requests: Requests, collection: str) -> None:
        self._requests = requests
        self._path = f"{_OURS}/{collection}"

    def create(
        self, name: str, *, days: int | None = None, issuer: str | None = None, object_id: str | None = None
    ) -> NewPrincipal:
        """With a secret that is good for ``days``; with ``issuer``, one whose tokens come from there.

        ResourceConflict if the name is taken.
        """
        sent = {"name": name, "days": days, "issuer": issuer, "id": object_id}
        given = {key: value for key, value in sent.items() if value is not None}
        return _new(self._requests.json("POST", self._path, given))

    def get(self, name: str) -> Principal:
        return wire.principal_from_json(self._requests.json("GET", self._of(name)))

    def list(self) -> Sequence[Principal]:
        return [wire.principal_from_json(body) for body in self._requests.pages(self._path)]

    def delete(self, name: str) -> None:
        """With its secrets and roles. ResourceNotFound if there is none."""
        self._requests.delete(self._of(name), name)

    def switch(self, name: str, *, disabled: bool) -> Principal:
        """Let nobody come in as it any more, or again."""
        verb = "disable" if disabled else "enable"
        return wire.principal_from_json(self._requests.json("POST", f"{self._of(name)}/{verb}"))

    def reset_secret(self, name: str, *, days: int | None = None, append: bool = False) -> NewPrincipal:
        """A new secret in the place of all others, or beside them."""
        sent = {"append": append} | ({} if days is None else {"days": days})
        return _new(self._requests.json("POST", f"{self._of(name)}/secrets", sent))

    def delete_secrets(self, name: str) -> None:
        """All of them. ResourceNotFound if there is none."""
        self._requests.delete(f"{self._of(name)}/secrets", f"secret of {name}")

    def _of(self, name: str) -> str:
        return f"{self._path}/{segment(name)}"


class Roles:
    """Roles, and who has which of them where."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def list(self) -> Sequence[Role]:
        """Those that are built in first."""
        return [wire.role_from_json(body) for body in self._requests.pages(f"{_OURS}/roles")]

    def get(self, name: str) -> Role:
        return wire.role_from_json(self._requests.json("GET", f"{_OURS}/roles/{segment(name)}"))

    def create_or_update(self, role: Role) -> Role:
        path = f"{_OURS}/roles/{segment(role.name)}"
        return wire.role_from_json(self._requests.json("PUT", path, wire.role_to_json(role)))

    def delete(self, name: str) -> None:
        """ResourceNotFound if there is none, ResourceConflict while somebody has it."""
        self._requests.delete(f"{_OURS}/roles/{segment(name)}", f"role {name}")

    def assign(self, principal: str, role: str, scope: str) -> RoleAssignment:
        """Give it, or answer that it was given already."""
        sent = {"principal": principal, "role": role, "scope": scope}
        return wire.assignment_from_json(self._requests.json("POST", f"{_OURS}/assignments", sent))

    def assignments(self, principal: str | None = None) -> Sequence[RoleAssignment]:
        query = {"principal": principal} if principal else None
        return [wire.assignment_from_json(body) for body in self._requests.pages(f"{_OURS}/assignments", query)]

    def unassign(self, assignment_id: str) -> None:
        """ResourceNotFound if there is none."""
        self._requests.delete(f"{_OURS}/assignments/{segment(assignment_id)}", f"assignment {assignment_id}")

    def audit(self, most: int) -> Sequence[Body]:
        """The latest entries of the audit log, oldest first."""
        return list(self._requests.pages(f"{_OURS}/audit", {"top": str(most)}))


def _new(body: Body) -> NewPrincipal:
    principal = wire.principal_from_json(body)
    return NewPrincipal(principal, body.text("password") or "", body.text("expiresAt"), body.text("tenant") or "")
