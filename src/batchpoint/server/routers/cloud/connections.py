"""Secrets with which a program gets tokens without logging in, and the keys that tokens are signed with."""

from typing import Any

from fastapi import APIRouter, Response

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import ResourceNotFound
from batchpoint.server.identity.caller import Caller
from batchpoint.server.identity.delegation import refuse_stronger
from batchpoint.server.identity.secrets import IDENTITY_HEADER_LIFETIME, create_secret
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.routers.asked import By, Sent
from batchpoint.server.routers.cloud.metadata import CLOUD_NAME, AtAuthority

router = APIRouter(prefix="/batchpoint/v1")

#: Who may do this may speak for every principal, but not for the owner of the home.
SPEAK_FOR_OTHERS = "Microsoft.Authorization/principals/write"


@router.post("/connections", status_code=201)
def connect(authority: AtAuthority, by: By, sent: Sent) -> dict[str, Any]:
    """A secret for ``/msi/token``, bound to the caller or to the principal that the body names."""
    principal = _principal(authority, by, sent.text("principal"))
    secret = create_secret(authority.store, principal.id, "identity_header", IDENTITY_HEADER_LIFETIME)
    assert secret.expires_at is not None
    return {
        "identity_header": secret.text,
        "principal": principal.name,
        "cloud": CLOUD_NAME,
        "expires_at": secret.expires_at.isoformat(),
    }


@router.delete("/connections")
def disconnect(authority: AtAuthority, by: By, principal: str | None = None) -> Response:
    """End all such secrets of the caller, or of the principal that the query names; tokens go on until they expire."""
    ended = authority.store.delete_credentials(_principal(authority, by, principal).id, "identity_header")
    return Response(status_code=200 if ended else 204)


@router.post("/keys/rotate")
def rotate(authority: AtAuthority, sent: Sent) -> dict[str, Any]:
    """Sign with a new key from now on; ``{"revoke": true}``: and refuse all tokens that were given out before."""
    return {"kid": authority.rotate(revoke=sent.boolean("revoke") is True)}


def _principal(authority: Authority, by: Caller, name: str | None) -> Principal:
    itself = authority.owner if by.is_owner else authority.store.get_principal(by.id)
    if name is None or (itself is not None and name.lower() == itself.name.lower()):
        found = itself
    else:
        found = authority.store.find_principal(name) if by.may(SPEAK_FOR_OTHERS) else None
    if found is None or found.disabled or found.issuer is not None:
        raise ResourceNotFound(
            f"There is no user or service principal {name or by.name} of this server that you may connect as. "
            "See: user list, principal list",
            target="principal",
        )
    if found is not itself:
        refuse_stronger(authority.store, by, found.id)
    return found
