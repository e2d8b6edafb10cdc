"""Users and service principals: create, show, disable, delete, and their secrets, each of which is shown once."""

import uuid
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from batchpoint.arm import people as wire
from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.identity.principal import Principal, PrincipalKind
from batchpoint.entities.naming import names
from batchpoint.errors import ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.server.identity.caller import Caller
from batchpoint.server.identity.delegation import refuse_stronger
from batchpoint.server.identity.secrets import create_secret
from batchpoint.server.intake.creation import context
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.asked import AtPlane, By, Sent, page

router = APIRouter(prefix="/batchpoint/v1")

_WORD = {"user": "user", "service_principal": "service principal"}
#: Days that a secret is good for at most, and unless somebody says otherwise.
_DAYS_MOST, _DAYS = 730, 365


def kind_asked_for(request: Request) -> PrincipalKind:
    """Users have routes of their own, which are otherwise the same."""
    return "user" if request.scope["route"].path.startswith("/batchpoint/v1/users") else "service_principal"


def tenant_of_server(request: Request) -> str:
    """What everybody who logs in here has to name beside their secret."""
    return str(request.app.state.authority.tenant)


OfKind = Annotated[PrincipalKind, Depends(kind_asked_for)]
Tenant = Annotated[str, Depends(tenant_of_server)]


@router.get("/users")
@router.get("/principals")
def list_principals(request: Request, plane: AtPlane, kind: OfKind) -> dict[str, Any]:
    found = [one for one in plane.store.list_principals() if one.kind == kind]
    return page(request, [wire.principal_to_json(one) for one in found])


@router.post("/users", status_code=201)
@router.post("/principals", status_code=201)
def create_principal(plane: AtPlane, by: By, kind: OfKind, tenant: Tenant, sent: Sent) -> dict[str, Any]:
    """With a first secret, which the answer alone has; one of another issuer has none here, and is known by ``id``."""
    issuer = sent.text("issuer") or None
    if issuer and not sent.text("id"):
        message = "Whoever another issuer vouches for needs the object id that its tokens say: give id (--object-id)."
        raise ReferenceInvalid(message, target="id")
    made = Principal(
        id=_own_id(sent) if issuer else str(uuid.uuid4()),
        name=names.PRINCIPAL.checked(sent.text("name") or ""),
        kind=kind,
        client_id=str(uuid.uuid4()) if kind == "service_principal" and not issuer else None,
        issuer=issuer,
        creation_context=context(by),
    )
    if plane.store.get_principal(made.id) is not None:
        raise ResourceConflict(f"There is a principal with the id {made.id} already.", target="id")
    lifetime = _lifetime(sent)
    plane.store.create_principal(made)
    return wire.principal_to_json(made) | ({} if issuer else _secret(plane, made, lifetime, tenant))


def _own_id(sent: Body) -> str:
    text = (sent.text("id") or "").strip()
    if not 1 <= len(text) <= 64 or not text.isascii() or not text.isprintable():
        raise ReferenceInvalid("An object id is 1 to 64 printable ASCII characters.", target="id")
    return text


@router.get("/users/{name}")
@router.get("/principals/{name}")
def get_principal(plane: AtPlane, kind: OfKind, name: str) -> dict[str, Any]:
    """By name, object id or client id."""
    return wire.principal_to_json(_found(plane, kind, name))


@router.delete("/users/{name}")
@router.delete("/principals/{name}")
def delete_principal(plane: AtPlane, by: By, kind: OfKind, name: str) -> Response:
    """With its secrets and its roles."""
    try:
        found = _found(plane, kind, name)
    except ResourceNotFound:
        return Response(status_code=204)
    _check_stronger(plane, by, found)
    plane.store.delete_principal(found.id)
    return Response(status_code=200)


@router.post("/users/{name}/disable")
@router.post("/principals/{name}/disable")
def disable(plane: AtPlane, by: By, kind: OfKind, name: str) -> dict[str, Any]:
    return _switched(plane, by, _found(plane, kind, name), disabled=True)


@router.post("/users/{name}/enable")
@router.post("/principals/{name}/enable")
def enable(plane: AtPlane, by: By, kind: OfKind, name: str) -> dict[str, Any]:
    return _switched(plane, by, _found(plane, kind, name), disabled=False)


@router.post("/users/{name}/secrets", status_code=201)
@router.post("/principals/{name}/secrets", status_code=201)
def reset_secret(plane: AtPlane, by: By, kind: OfKind, tenant: Tenant, name: str, sent: Sent) -> dict[str, Any]:
    """A new secret in the place of all others; beside them with ``{"append": true}``."""
    found, lifetime = _found(plane, kind, name), _lifetime(sent)
    _check_stronger(plane, by, found)
    if found.issuer:
        message = f"{found.name} logs in at {found.issuer}, and has no secret here."
        raise ResourceConflict(message, target=found.name)
    if not sent.boolean("append"):
        plane.store.delete_credentials(found.id)
    return wire.principal_to_json(found) | _secret(plane, found, lifetime, tenant)


@router.delete("/users/{name}/secrets")
@router.delete("/principals/{name}/secrets")
def delete_secrets(plane: AtPlane, by: By, kind: OfKind, name: str) -> Response:
    """All of them; tokens that were given out before live until they expire."""
    found = _found(plane, kind, name)
    _check_stronger(plane, by, found)
    return Response(status_code=200 if plane.store.delete_credentials(found.id) else 204)


def _found(plane: ControlPlane, kind: PrincipalKind, name: str) -> Principal:
    found = plane.store.get_principal(name) or plane.store.find_principal(name)
    if found is None or found.kind != kind:
        group = "user" if kind == "user" else "principal"
        raise ResourceNotFound(f"There is no {_WORD[kind]} {name}. See: {group} list", target=name)
    return found


def _check_stronger(plane: ControlPlane, by: Caller, principal: Principal) -> None:
    if not by.is_owner:
        refuse_stronger(plane.store, by, principal.id)


def _switched(plane: ControlPlane, by: Caller, principal: Principal, *, disabled: bool) -> dict[str, Any]:
    _check_stronger(plane, by, principal)
    changed = principal.model_copy(
        update={"disabled": disabled, "creation_context": context(by, principal.creation_context)}
    )
    plane.store.replace_principal(changed)
    return wire.principal_to_json(changed)


def _secret(plane: ControlPlane, principal: Principal, lifetime: timedelta, tenant: str) -> dict[str, Any]:
    kind: Any = "password" if principal.kind == "user" else "client_secret"
    made = create_secret(plane.store, principal.id, kind, lifetime)
    until = made.expires_at.isoformat() if made.expires_at else None
    return {"password": made.text, "expiresAt": until, "tenant": tenant}


def _lifetime(sent: Body) -> timedelta:
    days = sent.integer("days")
    if days is None:
        return timedelta(days=_DAYS)
    if not 1 <= days <= _DAYS_MOST:
        raise ReferenceInvalid(f"A secret is good for 1 to {_DAYS_MOST} days, not {days}.", target="days")
    return timedelta(days=days)
