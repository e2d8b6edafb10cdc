"""The page where people log in with a browser, and out again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import AuthorizationFailed
from batchpoint.server.browser import pages
from batchpoint.server.browser.origins import is_own, safe_return
from batchpoint.server.browser.visitors import Visitors, server_of
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.identity.tokens.logins import Refusal, log_in
from batchpoint.server.routers.cloud.metadata import AtAuthority
from batchpoint.server.routers.cloud.tokens import Form

router = APIRouter()

#: One sentence for whatever was wrong: who guesses learns nothing from it.
_WRONG = "The name is not known, or the password or secret is wrong or expired."
_TOO_MANY = "Too many failed logins. Wait a minute, then check the password."
_ELSEWHERE = "The form was not sent by the login page of this server. Open /login and try again."
_SEE_OTHER = 303


def visitors(request: Request) -> Visitors:
    found = request.app.state.visitors
    assert isinstance(found, Visitors)
    return found


AtVisitors = Annotated[Visitors, Depends(visitors)]


@router.get("/login", include_in_schema=False)
def login_page(request: Request) -> Response:
    return _page("", safe_return(request.query_params.get("next", "")))


@router.post("/login", include_in_schema=False)
def log_in_here(request: Request, authority: AtAuthority, visitors: AtVisitors, form: Form) -> Response:
    """Opens a session for a user, a service principal or the owner of the home, and leads on."""
    if isinstance(form, Refusal):
        return _page(form.description, safe_return(""), form.status)
    onward = safe_return(form.get("next", ""))
    if not is_own(request.headers, server_of(request)):
        return _page(_ELSEWHERE, onward, 403)
    address, name = request.client.host if request.client else "", form.get("name", "").strip()
    if authority.attempts.wait_s(address, name):
        return _page(_TOO_MANY, onward, 429)
    secret = form.get("secret", "")
    principal = _known(authority, name, secret) if name else visitors.owner_by(secret)
    if principal is None:
        authority.attempts.failed(address, name)
        return _page(_WRONG, onward, 401)
    answer = RedirectResponse(onward, _SEE_OTHER, {"Cache-Control": "no-store"})
    visitors.welcome(request, principal.id, answer)
    return answer


@router.post("/logout", include_in_schema=False)
def log_out(request: Request, visitors: AtVisitors, form: Form) -> Response:
    """Ends the session; the form carries the proof of the page that it stands on."""
    if isinstance(form, Refusal):
        raise AuthorizationFailed(form.description)
    visitors.prove(request, form.get("proof", ""))
    answer = RedirectResponse("/login", _SEE_OTHER, {"Cache-Control": "no-store"})
    visitors.dismiss(request, answer)
    return answer


def _page(said: str, onward: str, status: int = 200) -> Response:
    return pages.page("login", {"said": said, "next": onward}, status)


def _known(authority: Authority, name: str, secret: str) -> Principal | None:
    for form in (
        {"grant_type": "password", "username": name, "password": secret},
        {"grant_type": "client_credentials", "client_id": name, "client_secret": secret},
    ):
        found = log_in(authority, form)
        if isinstance(found, Principal):
            return found
    return None
