"""Roles: those that are built in and those that somebody made; and which principal has which of them where."""

import re
import uuid
from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm import people as wire
from batchpoint.entities.identity.role import Role, RoleAssignment
from batchpoint.entities.naming import names
from batchpoint.errors import ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.server.identity.actions import AUTHORIZATION
from batchpoint.server.identity.caller import Caller
from batchpoint.server.identity.delegation import checked_scope, refuse_more
from batchpoint.server.identity.policy import refusal
from batchpoint.server.identity.roles import BUILT_IN, find_role, is_built_in
from batchpoint.server.intake.creation import context
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.asked import AtPlane, By, Sent, page

router = APIRouter(prefix="/batchpoint/v1")

_ACTION = re.compile(r"\*|[A-Za-z0-9.*_-]+(/[A-Za-z0-9.*_-]+)+")
_ACTION_LENGTH, _ACTIONS_MOST = 256, 200
_READ, _WRITE, _DELETE = (f"{AUTHORIZATION}/roleAssignments/{verb}" for verb in ("read", "write", "delete"))


@router.get("/roles")
def list_roles(request: Request, plane: AtPlane) -> dict[str, Any]:
    """Those that are built in first."""
    return page(request, [wire.role_to_json(role) for role in (*BUILT_IN, *plane.store.list_roles())])


@router.get("/roles/{name}")
def get_role(plane: AtPlane, name: str) -> dict[str, Any]:
    return wire.role_to_json(_role(plane, name))


@router.put("/roles/{name}")
def put_role(plane: AtPlane, by: By, name: str, sent: Sent, response: Response) -> dict[str, Any]:
    """Create a role, or change what it allows to all who have it."""
    role = wire.role_from_json(sent, names.ROLE.checked(name))
    _refuse_built_in(name, "changed")
    _check_actions(role)
    refuse_more(by, role, "/")
    response.status_code = 200 if plane.store.get_role(name) else 201
    plane.store.put_role(role)
    return wire.role_to_json(role)


@router.delete("/roles/{name}")
def delete_role(plane: AtPlane, name: str) -> Response:
    """ResourceConflict while somebody has it."""
    _refuse_built_in(name, "deleted")
    held = sum(1 for one in plane.store.list_assignments() if one.role.lower() == name.lower())
    if held:
        message = f"Assignments of the role {name}: {held}. Take it away first: role assignments, then role unassign."
        raise ResourceConflict(message, target=name)
    return Response(status_code=200 if plane.store.delete_role(name) else 204)


@router.get("/assignments")
def list_assignments(request: Request, plane: AtPlane, by: By) -> dict[str, Any]:
    """Those that the caller has, and those at scopes where the caller may read them; ``?principal=`` chooses."""
    chosen = request.query_params.get("principal")
    known = {one.id: one.name for one in plane.store.list_principals()}
    found = [
        one
        for one in plane.store.list_assignments()
        if (one.principal_id == by.id or by.may(_READ, one.scope))
        and (chosen is None or chosen.lower() in (one.principal_id.lower(), known.get(one.principal_id, "").lower()))
    ]
    return page(request, [wire.assignment_to_json(one, known.get(one.principal_id)) for one in found])


@router.post("/assignments", status_code=201)
def assign(plane: AtPlane, by: By, sent: Sent, response: Response) -> dict[str, Any]:
    """Give a principal a role: ``principal`` by name, object id or client id, ``role`` and ``scope``."""
    scope = checked_scope(sent.text("scope") or "")
    if not by.may(_WRITE, scope):
        raise refusal(by, _WRITE, scope)
    role, wanted = _role(plane, sent.text("role") or ""), sent.text("principal") or ""
    refuse_more(by, role, scope)
    principal = plane.store.get_principal(wanted) or plane.store.find_principal(wanted)
    if principal is None:
        message = f"There is no user or service principal {wanted}. Create one with: principal create --name {wanted}"
        raise ResourceNotFound(message, target="principal")
    for one in plane.store.list_assignments(principal.id):
        if (one.role.lower(), one.scope.lower()) == (role.name.lower(), scope.lower()):
            response.status_code = 200
            return wire.assignment_to_json(one, principal.name)
    made = RoleAssignment(
        id=str(uuid.uuid4()), principal_id=principal.id, role=role.name, scope=scope, creation_context=context(by)
    )
    plane.store.put_assignment(made)
    return wire.assignment_to_json(made, principal.name)


@router.delete("/assignments/{assignment}")
def unassign(plane: AtPlane, by: By, assignment: str) -> Response:
    found = next((one for one in plane.store.list_assignments() if one.id == assignment), None)
    # One that the caller may not read is as good as none.
    if found is None or not _may_see(by, found):
        return Response(status_code=204)
    if not by.may(_DELETE, found.scope):
        raise refusal(by, _DELETE, found.scope)
    plane.store.delete_assignment(assignment)
    return Response(status_code=200)


def _may_see(by: Caller, one: RoleAssignment) -> bool:
    return one.principal_id == by.id or by.may(_READ, one.scope) or by.may(_DELETE, one.scope)


def _role(plane: ControlPlane, name: str) -> Role:
    found = find_role(plane.store, name)
    if found is None:
        known = ", ".join(role.name for role in (*BUILT_IN, *plane.store.list_roles()))
        raise ResourceNotFound(f"There is no role {name}; roles are: {known}.", target=name)
    return found


def _refuse_built_in(name: str, what: str) -> None:
    if is_built_in(name):
        message = f"{name} is built in and cannot be {what}. Make a role of your own: role create --name NAME"
        raise ResourceConflict(message, target=name)


def _check_actions(role: Role) -> None:
    every = (*role.actions, *role.not_actions)
    bad = next((one for one in every if len(one) > _ACTION_LENGTH or not _ACTION.fullmatch(one)), None)
    if bad is not None:
        raise ReferenceInvalid(
            f"{bad[:80]!r} is no action. Write names such as Microsoft.MachineLearningServices/workspaces/models/read; "
            "* stands for any part, and alone for everything.",
            target="actions",
        )
    if not role.actions or len(every) > _ACTIONS_MOST:
        message = f"A role allows 1 to {_ACTIONS_MOST} actions; {role.name} has {len(every)}."
        raise ReferenceInvalid(message, target="actions")
