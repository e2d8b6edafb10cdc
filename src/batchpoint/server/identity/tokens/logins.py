"""Who somebody proves to be at a token endpoint: by a secret, or by the token of an issuer that vouches for a program.

Routers hand it the form; what they answer with is theirs.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import AccessDenied
from batchpoint.server.identity.secrets import SecretKind, holder_of, proves
from batchpoint.server.identity.tokens.authority import Authority

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: One sentence for whatever was wrong: who guesses learns nothing from it.
_WRONG_CLIENT = "The client is not known, or what it shows is wrong, expired or not accepted."
_WRONG_USER = "The user is not known, or the password is wrong or expired."


@dataclass(frozen=True)
class Refusal:
    """Why there is no token, in the words of OAuth 2.0."""

    error: str
    description: str
    status: int = 400
    #: For the log alone: more than a stranger may know.
    reason: str = ""


def log_in(authority: Authority, form: Mapping[str, str], authorization: str = "") -> Principal | Refusal:
    """Who sends ``form``; ``authorization`` is the header of that name, in which a client may show its secret."""
    grant = form.get("grant_type", "")
    if grant == "client_credentials":
        return _client(authority, {**form, **_basic(authorization)})
    if grant == "password":
        return _user(authority, form)
    known = "client_credentials and password"
    return Refusal("unsupported_grant_type", f"The grant_type {grant[:80]!r} is not offered; {known} are.")


def named(form: Mapping[str, str], authorization: str = "") -> str:
    """Who the form says it is from: whose failures are counted together."""
    return form.get("username") or {**form, **_basic(authorization)}.get("client_id", "")


def managed(authority: Authority, identity_header: str) -> Principal | None:
    """Whose secret of a connection this is."""
    holder = holder_of(authority.store, "identity_header", identity_header) if identity_header else None
    if holder == authority.owner.id:
        return authority.owner
    found = authority.store.get_principal(holder) if holder else None
    return found if found is not None and not found.disabled else None


def _client(authority: Authority, form: Mapping[str, str]) -> Principal | Refusal:
    client_id = form.get("client_id", "")
    if "client_assertion" in form:
        return _federated(authority, form, client_id)
    if "client_secret" in form:
        known = authority.store.find_client(client_id)
        found = _proven(authority, known, "client_secret", form["client_secret"])
        return found or Refusal("invalid_client", _WRONG_CLIENT, 401)
    return Refusal("invalid_client", "Show a client_secret or a client_assertion.", 401)


def _user(authority: Authority, form: Mapping[str, str]) -> Principal | Refusal:
    known = authority.store.find_principal(form.get("username", ""))
    if known is not None and (known.kind != "user" or known.name.lower() != form.get("username", "").lower()):
        known = None
    return _proven(authority, known, "password", form.get("password", "")) or Refusal("invalid_grant", _WRONG_USER)


def _proven(authority: Authority, known: Principal | None, kind: SecretKind, secret: str) -> Principal | None:
    # The same work for somebody who is not known: how long it takes must not tell.
    is_proven = proves(authority.store, known.id if known else None, kind, secret)
    is_welcome = known is not None and not known.disabled and known.issuer is None
    return known if is_proven and is_welcome else None


def _federated(authority: Authority, form: Mapping[str, str], client_id: str) -> Principal | Refusal:
    refusal = Refusal("invalid_client", _WRONG_CLIENT, 401)
    if form.get("client_assertion_type") != _ASSERTION:
        return replace(refusal, reason=f"client_assertion_type is not {_ASSERTION}")
    try:
        found = authority.federated(form["client_assertion"])
    except AccessDenied as error:
        return replace(refusal, reason=error.message)
    if found is None:
        return replace(
            refusal, reason="no [[federation]] of issuers.toml fits issuer, subject and audience of the token"
        )
    is_same = (found.client_id or found.id).lower() == client_id.lower()
    if found.disabled or found.issuer is not None or not is_same:
        return replace(refusal, reason=f"the token stands for {found.name}, which is disabled or has another client id")
    return found


def _basic(authorization: str) -> dict[str, str]:
    """Client id and secret of a Basic header; nothing for any other."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return {}
    client_id, _, secret = text.partition(":")
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
