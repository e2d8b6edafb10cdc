"""Principals, the hashes of their secrets, roles and assignments.

``Store`` is made of it. What a secret or a role allows, the server knows.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from batchpoint.entities.identity.principal import Principal
from batchpoint.entities.identity.role import Role, RoleAssignment
from batchpoint.entities.noun import Noun
from batchpoint.errors import ResourceConflict
from batchpoint.store.database import Database
from batchpoint.store.schema import credentials, principals, role_assignments, roles

N = TypeVar("N", bound=Noun)


@dataclass(frozen=True)
class Credential:
    """A secret of a principal, as far as it is kept."""

    #: A UUID.
    id: str
    principal: str
    #: ``password``, ``client_secret`` or ``identity_header``.
    kind: str
    #: Of the secret.
    sha256: str
    #: Never, when None.
    expires_at: datetime | None = None


class IdentityTable:
    """Who may come in, with what, and what each may do."""

    #: Another object whenever this process has changed who may come in or do what: what was remembered before may be
    #: wrong then.
    identity_state = object()

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_principal(self, principal: Principal) -> Principal:
        """ResourceConflict if its name is taken."""
        key = principal.name.lower()
        values = {
            "id": principal.id,
            "client_id": principal.client_id or "",
            "document": principal.model_dump(mode="json"),
        }
        with self._changing() as connection:
            if connection.scalar(select(principals.c.id).where(principals.c.name == key)):
                message = (
                    f"The name {principal.name} is taken by another user or service principal. Choose another, or have "
                    "a new secret made with reset-secret."
                )
                raise ResourceConflict(message, target=principal.name)
            connection.execute(insert(principals).values(name=key, **values))
        return principal

    def replace_principal(self, principal: Principal) -> bool:
        """Change all but its id and name; False if there is none."""
        document = principal.model_dump(mode="json")
        with self._changing() as connection:
            found = update(principals).where(principals.c.id == principal.id).values(document=document)
            return connection.execute(found).rowcount > 0

    def get_principal(self, principal_id: str) -> Principal | None:
        return self._identity(Principal, principals, principals.c.id == principal_id)

    def find_principal(self, name: str) -> Principal | None:
        """By name, whatever its casing, or by client id."""
        by = (principals.c.name == name.lower()) | ((principals.c.client_id == name) & (principals.c.client_id != ""))
        return self._identity(Principal, principals, by)

    def find_client(self, client_id: str) -> Principal | None:
        """The service principal that logs in with this id."""
        found = principals.c.client_id == client_id.lower()
        return self._identity(Principal, principals, found) if client_id else None

    def list_principals(self) -> list[Principal]:
        """By name."""
        return self._identities(Principal, principals, principals.c.name)

    def delete_principal(self, principal_id: str) -> bool:
        """With its secrets and assignments; False if there is none."""
        with self._changing() as connection:
            connection.execute(delete(credentials).where(credentials.c.principal == principal_id))
            connection.execute(delete(role_assignments).where(role_assignments.c.principal == principal_id))
            return connection.execute(delete(principals).where(principals.c.id == principal_id)).rowcount > 0

    def put_credential(self, credential: Credential) -> None:
        values = {
            "principal": credential.principal,
            "kind": credential.kind,
            "sha256": credential.sha256,
            "expires_at": credential.expires_at,
        }
        with self._database.writing() as connection:
            connection.execute(insert(credentials).values(id=credential.id or str(uuid.uuid4()), **values))

    def credentials_of(self, principal_id: str) -> list[Credential]:
        return self._credentials(credentials.c.principal == principal_id)

    def find_credentials(self, sha256: str) -> list[Credential]:
        """Whose secret has this hash."""
        return self._credentials(credentials.c.sha256 == sha256)

    def delete_credentials(self, principal_id: str, kind: str | None = None) -> int:
        """All of a principal, or those of one kind; answers how many there were."""
        which = credentials.c.principal == principal_id
        if kind is not None:
            which &= credentials.c.kind == kind
        with self._database.writing() as connection:
            return connection.execute(delete(credentials).where(which)).rowcount

    def delete_credential(self, credential_id: str) -> bool:
        """False if there is none."""
        with self._database.writing() as connection:
            found = delete(credentials).where(credentials.c.id == credential_id)
            return connection.execute(found).rowcount > 0

    def put_role(self, role: Role) -> Role:
        """Create or replace."""
        key, document = role.name.lower(), role.model_dump(mode="json")
        with self._changing() as connection:
            if not connection.execute(update(roles).where(roles.c.name == key).values(document=document)).rowcount:
                connection.execute(insert(roles).values(name=key, document=document))
        return role

    def get_role(self, name: str) -> Role | None:
        return self._identity(Role, roles, roles.c.name == name.lower())

    def list_roles(self) -> list[Role]:
        """Those that somebody created, by name."""
        return self._identities(Role, roles, roles.c.name)

    def delete_role(self, name: str) -> bool:
        with self._changing() as connection:
            return connection.execute(delete(roles).where(roles.c.name == name.lower())).rowcount > 0

    def put_assignment(self, assignment: RoleAssignment) -> RoleAssignment:
        values = {"principal": assignment.principal_id, "document": assignment.model_dump(mode="json")}
        with self._changing() as connection:
            connection.execute(insert(role_assignments).values(id=assignment.id, **values))
        return assignment

    def list_assignments(self, principal_id: str | None = None) -> list[RoleAssignment]:
        """Of one principal, or all."""
        column = role_assignments.c.principal
        of_whom = column == principal_id if principal_id is not None else None
        return self._identities(RoleAssignment, role_assignments, role_assignments.c.id, of_whom)

    def delete_assignment(self, assignment_id: str) -> bool:
        with self._changing() as connection:
            found = delete(role_assignments).where(role_assignments.c.id == assignment_id)
            return connection.execute(found).rowcount > 0

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            yield connection
        self.identity_state = object()

    def _identity(self, kind: type[N], table: Table, which: ColumnElement[bool]) -> N | None:
        with self._database.reading() as connection:
            document = connection.scalar(select(table.c.document).where(which))
        return None if document is None else kind.model_validate(document)

    def _identities(
        self, kind: type[N], table: Table, order: ColumnElement[str], which: ColumnElement[bool] | None = None
    ) -> list[N]:
        wanted = select(table.c.document).order_by(order)
        with self._database.reading() as connection:
            found = connection.scalars(wanted if which is None else wanted.where(which))
            return [kind.model_validate(document) for document in found]

    def _credentials(self, which: ColumnElement[bool]) -> list[Credential]:
        with self._database.reading() as connection:
            return [
                Credential(row.id, row.principal, row.kind, row.sha256, _aware(row.expires_at))
                for row in connection.execute(select(credentials).where(which))
            ]


def _aware(moment: datetime | None) -> datetime | None:
    """SQLite gives times back without their zone, which is UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
