"""The gate in front of every route: it finds out who sends a request, and lets nobody in whom it does not know.

``app`` puts it around the whole application, so that a new route is closed until it is listed as open.
"""

import hmac

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchpoint.entities.identity.role import Role
from batchpoint.errors import AccessDenied, BatchpointError
from batchpoint.server.blobs.service import BlobService
from batchpoint.server.browser.origins import login_before
from batchpoint.server.browser.visitors import Visitors
from batchpoint.server.identity.caller import NOBODY, OWNER, Caller, Grant
from batchpoint.server.identity.links import Links
from batchpoint.server.identity.openings import is_open
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.transport.error_answers import error_answer
from batchpoint.server.transport.names import BY_PUBLIC_NAME, answers_to, is_public

#: A link opens the one path that it was signed for, whatever its route asks for.
_OF_A_LINK = Role(name="link", actions=["*"])
_SEE_OTHER = 303


class Gate:
    """ASGI middleware: no valid token or a foreign Host header, no answer."""

    def __init__(
        self,
        app: ASGIApp,
        owner_token: str,
        links: Links,
        hosts: frozenset[str],
        authority: Authority,
        visitors: Visitors,
        blobs: BlobService,
    ) -> None:
        """``blobs`` answers what is for storage accounts, whose signatures open what no token of ours does."""
        self._app = app
        self._token = owner_token.encode()
        self._links = links
        self._hosts = hosts
        self._authority = authority
        self._visitors = visitors
        self._blobs = blobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        address = self._blobs.address_of(scope)
        try:
            caller = await (self._caller(scope) if address is None else self._bearer(scope))
        except BatchpointError as error:
            await _refuse(error, scope, send)
            return
        scope.setdefault("state", {})["caller"] = caller or NOBODY
        if address is not None:
            await self._blobs.answer(address, caller, scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        host = _host_name(headers.get("host", ""))
        if not self._answers_to(host, scope):
            raise AccessDenied(
                f"This server does not answer to the host name {host!r}. "
                "Its operator can allow it with the setting server_hosts_allowed.",
                target="Host",
            )
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer" and hmac.compare_digest(token.encode("latin-1", "replace"), self._token):
            return OWNER
        if is_open(scope["method"], scope["path"]):
            return NOBODY
        if self._links.allow(scope["method"], scope["path"], QueryParams(scope["query_string"])):
            return Caller(id="", name="a signed link", grants=(Grant("/", _OF_A_LINK),))
        if "authorization" not in headers and "cookie" in headers:
            visitor = await run_in_threadpool(self._visitors.caller, HTTPConnection(scope), scope["method"])
            if visitor is not None:
                return visitor
        if scheme.lower() != "bearer" or not token:
            raise AccessDenied(
                "The request carries no bearer token. That of the owner stands in the file 'token' of the server's "
                "home folder; give it as BATCHPOINT_TOKEN or in the header Authorization: Bearer.",
                target="Authorization",
            )
        return await self._identified(token, scope["path"])

    async def _bearer(self, scope: Scope) -> Caller | None:
        """Whose token a request to a storage account has; None for one without a good token."""
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token):
            return OWNER
        try:
            return await self._identified(token.strip(), self._blobs.place(scope))
        except AccessDenied:
            return None

    async def _identified(self, token: str, path: str) -> Caller:
        if found := self._authority.remembered(token, path):
            return found
        # The store may be busy, and an external issuer slow: nobody else is to wait for that.
        return await run_in_threadpool(self._authority.identify, token, path)

    def _answers_to(self, host: str, scope: Scope) -> bool:
        # A web page on another name cannot reach a loopback server by rebinding its DNS. Names of the public cloud
        # count only on a connection that asked for one when it was made: its client was led here by its own proxy,
        # and believes our authority.
        if answers_to(host, self._hosts):
            return True
        return is_public(host) and bool(scope.get("state", {}).get(BY_PUBLIC_NAME))


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


async def _refuse(error: BatchpointError, scope: Scope, send: Send) -> None:
    accepted = Headers(scope=scope).get("accept", "")
    page = login_before(scope["method"], scope["path"], accepted) if isinstance(error, AccessDenied) else None
    if page is not None and error.target == "Authorization":
        await RedirectResponse(page, _SEE_OTHER)(scope, _nothing, send)
        return
    await error_answer(error, is_owner=False)(scope, _nothing, send)


async def _nothing() -> Message:
    """Neither answer reads anything of its request."""
    return {"type": "http.request"}
