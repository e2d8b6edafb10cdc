"""Where tokens are given out for a secret or for the token of another issuer, and for managed identities.

Who somebody is, ``logins`` finds out; the shapes of the answers are those that the clients of Azure read.
"""

import base64
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from batchpoint.entities.identity.principal import Principal
from batchpoint.server.identity.tokens.audiences import Audience, audience_named
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.identity.tokens.logins import Refusal, log_in, managed, named
from batchpoint.server.routers.asked import plane
from batchpoint.server.routers.cloud.metadata import AtAuthority
from batchpoint.server.transport.names import answers_to, extra_names

log = logging.getLogger(__name__)

router = APIRouter()

_FORM_LIMIT_BYTES = 65_536
_FIELDS_MOST = 50
#: Answers with a token or with the reason why there is none are kept by nobody.
_UNKEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
#: What stands behind the resource in a scope of Azure.
_SCOPES = ("/.default", "/user_impersonation")


@dataclass(frozen=True)
class Issued:
    """A token that was just given out."""

    principal: Principal
    text: str
    #: Seconds since the epoch.
    expires_on: int
    #: Seconds from now on.
    expires_in: int


async def sent_form(request: Request) -> dict[str, str] | Refusal:
    """The form that was sent."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _FORM_LIMIT_BYTES:
            return Refusal("invalid_request", "The form is too large.", 413)
    try:
        pairs = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MOST)
    except ValueError:
        return Refusal("invalid_request", "The body is no form; send it as application/x-www-form-urlencoded.")
    form = dict(pairs)
    if len(form) != len(pairs):
        return Refusal("invalid_request", "A field of the form stands there twice.")
    return form


Form = Annotated[dict[str, str] | Refusal, Depends(sent_form)]


@router.post("/{tenant}/oauth2/v2.0/token")
def token(request: Request, authority: AtAuthority, form: Form) -> JSONResponse:
    """The access token that the form asks for, as the second version of Azure's endpoint answers it."""
    if isinstance(form, Refusal):
        return _refused(form)
    found = _issued(request, authority, form)
    if isinstance(found, Refusal):
        return _refused(found)
    answer = {
        "token_type": "Bearer",
        "expires_in": found.expires_in,
        "ext_expires_in": found.expires_in,
        "access_token": found.text,
    }
    if form.get("grant_type") == "password" and "client_info" in form:
        who = {"uid": found.principal.id, "utid": authority.tenant}
        answer["client_info"] = base64.urlsafe_b64encode(json.dumps(who).encode()).decode().rstrip("=")
    return JSONResponse(answer, headers=_UNKEPT)


@router.post("/{tenant}/oauth2/token")
def older_token(request: Request, authority: AtAuthority, form: Form) -> JSONResponse:
    """The same as the first version answers it: every number is a text."""
    if isinstance(form, Refusal):
        return _refused(form)
    found = _issued(request, authority, form)
    if isinstance(found, Refusal):
        return _refused(found)
    answer = {
        "token_type": "Bearer",
        "expires_in": str(found.expires_in),
        "ext_expires_in": str(found.expires_in),
        "expires_on": str(found.expires_on),
        "not_before": str(found.expires_on - found.expires_in),
        "resource": form.get("resource", ""),
        "access_token": found.text,
    }
    return JSONResponse(answer, headers=_UNKEPT)


@router.get("/msi/token")
def managed_identity(request: Request, authority: AtAuthority) -> JSONResponse:
    """A token for whoever shows the secret of a connection, as App Service answers it."""
    secret = request.headers.get("X-IDENTITY-HEADER") or request.headers.get("secret") or ""
    address = request.client.host if request.client else ""
    principal = managed(authority, secret)
    if principal is None:
        # Who shows a good secret never waits for others at the same address that do not.
        if wait := authority.attempts.wait_s(address, ""):
            return _refused(_too_many(), wait)
        authority.attempts.failed(address, "")
        message = "The identity header is missing, wrong or expired. `batchpoint connect` issues a new one."
        return _refused(Refusal("unauthorized_client", message, 401))
    resource = request.query_params.get("resource", "")
    audience = _audience(request, authority, resource)
    if isinstance(audience, Refusal):
        return _refused(audience)
    text, expires_on = authority.issue(principal, audience)
    answer = {
        "access_token": text,
        "expires_on": str(expires_on),
        "resource": resource,
        "token_type": "Bearer",
        "client_id": principal.client_id or principal.id,
    }
    return JSONResponse(answer, headers=_UNKEPT)


def _issued(request: Request, authority: Authority, form: Mapping[str, str]) -> Issued | Refusal:
    authorization = request.headers.get("authorization", "")
    address, who = request.client.host if request.client else "", named(form, authorization)
    if authority.attempts.wait_s(address, who):
        return _too_many()
    principal = log_in(authority, form, authorization)
    if isinstance(principal, Refusal):
        authority.attempts.failed(address, who)
        _tell(authority, address, who, principal)
        return principal
    audience = _audience(request, authority, _resource(form))
    return audience if isinstance(audience, Refusal) else _given(authority, principal, audience)


def _tell(authority: Authority, address: str, who: str, refusal: Refusal) -> None:
    if not authority.told.wait_s(address, ""):
        authority.told.failed(address, "")
        reason = refusal.reason or refusal.error
        log.warning("login refused", extra={"client": who[:64], "address": address, "reason": reason})


def _given(authority: Authority, principal: Principal, audience: Audience) -> Issued:
    text, expires_on = authority.issue(principal, audience)
    return Issued(principal, text, expires_on, authority.lifetime_s)


def _resource(form: Mapping[str, str]) -> str:
    """What the token is wanted for: the resource, or the one scope that has one."""
    if "resource" in form:
        return form["resource"]
    for scope in form.get("scope", "").split():
        for ending in _SCOPES:
            if scope.endswith(ending):
                return scope.removesuffix(ending)
    return form.get("scope", "")


def _audience(request: Request, authority: Authority, resource: str) -> Audience | Refusal:
    extra = frozenset(extra_names(plane(request).settings, request.url.hostname or ""))
    found = audience_named(resource, lambda host: answers_to(host, extra))
    if found is not None:
        return found
    known = "the address of this server, https://management.azure.com, https://ml.azure.com, https://storage.azure.com"
    return Refusal("invalid_resource", f"There are no tokens for {resource[:200]!r} here, only for: {known}.")


def _too_many() -> Refusal:
    return Refusal("temporarily_unavailable", "Too many failed logins. Wait a minute, then check the secret.", 429)


def _refused(refusal: Refusal, retry_after_s: int = 60) -> JSONResponse:
    body = {"error": refusal.error, "error_description": refusal.description}
    headers = dict(_UNKEPT)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Basic"
    if refusal.status == 429:
        headers["Retry-After"] = str(retry_after_s)
    return JSONResponse(body, status_code=refusal.status, headers=headers)
