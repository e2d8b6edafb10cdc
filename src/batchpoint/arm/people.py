"""Users, service principals, roles and assignments on the wire: shapes of our own, in the spelling of ARM."""

from typing import Any

from batchpoint.arm.envelope.reading import Body, build, creation_context, system_data, without_none
from batchpoint.entities.identity.principal import Principal
from batchpoint.entities.identity.role import Role, RoleAssignment

_KINDS = {"user": "User", "service_principal": "ServicePrincipal"}


def principal_to_json(principal: Principal) -> dict[str, Any]:
    return without_none(
        {
            "id": principal.id,
            "name": principal.name,
            "kind": _KINDS[principal.kind],
            "clientId": principal.client_id,
            "disabled": principal.disabled,
            "issuer": principal.issuer,
            "systemData": system_data(principal.creation_context),
        }
    )


def principal_from_json(body: Body) -> Principal:
    kinds = {wire: kind for kind, wire in _KINDS.items()}
    values = {
        "id": body.text("id"),
        "name": body.text("name"),
        "kind": kinds.get(body.text("kind") or "User"),
        "client_id": body.text("clientId"),
        "disabled": body.boolean("disabled"),
        "issuer": body.text("issuer"),
        "creation_context": creation_context(body),
    }
    return build(Principal, values)


def role_to_json(role: Role) -> dict[str, Any]:
    return without_none(
        {
            "name": role.name,
            "description": role.description,
            "actions": role.actions,
            "notActions": role.not_actions,
        }
    )


def role_from_json(body: Body, name: str | None = None) -> Role:
    """Reads a request, which is named by its URL, or an answer."""
    values = {
        "name": name or body.text("name"),
        "description": body.text("description"),
        "actions": body.items("actions"),
        "not_actions": body.items("notActions"),
    }
    return build(Role, values)


def assignment_to_json(assignment: RoleAssignment, principal_name: str | None) -> dict[str, Any]:
    return without_none(
        {
            "id": assignment.id,
            "principalId": assignment.principal_id,
            "principalName": principal_name,
            "role": assignment.role,
            "scope": assignment.scope,
            "systemData": system_data(assignment.creation_context),
        }
    )


def assignment_from_json(body: Body) -> RoleAssignment:
    values = {
        "id": body.text("id"),
        "principal_id": body.text("principalId"),
        "principal_name": body.text("principalName"),
        "role": body.text("role"),
        "scope": body.text("scope"),
        "creation_context": creation_context(body),
    }
    return build(RoleAssignment, values)
