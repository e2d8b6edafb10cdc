"""The id of every request: on its answer, in its error body, and on whatever the server logs while it is at it.

``app`` puts ``RequestIds`` around everything else. It knows no route and no caller.
"""

import re
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What clients of Azure look for, and send to find their own request again.
HEADER, CLIENT_HEADER = "x-ms-request-id", "x-ms-client-request-id"

#: Anything else that a client calls its request is not repeated.
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def new_request_id() -> str:
    return str(uuid.uuid4())


def current_request_id() -> str:
    """The id of the request that is being answered; empty outside of one."""
    return _current.get()


class RequestIds:
    """ASGI middleware, the outermost: ``scope["state"]["request_id"]`` for all inside, headers for the client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Not setdefault: what the web server brings along is shared by all requests of a connection.
        scope["state"] = {**scope.get("state", {}), "request_id": new_request_id()}
        given = Headers(scope=scope).get(CLIENT_HEADER, "")
        token = _current.set(scope["state"]["request_id"])

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = scope["state"]["request_id"]
                if _SANE.fullmatch(given):
                    headers[CLIENT_HEADER] = given
            await send(message)

        try:
            await self._app(scope, receive, marked)
        finally:
            _current.reset(token)
