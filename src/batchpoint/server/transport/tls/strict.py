"""Tells browsers to speak nothing but HTTPS to a host again, where that is safe to say. ``app`` puts it around all."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchpoint.server.transport.names import answers_to, is_loopback

#: Seconds; a year.
_FOR_S = 31_536_000


class StrictTransport:
    """ASGI middleware: the header ``Strict-Transport-Security`` on answers over TLS, under names that are the server's.

    Never under loopback names, which other programs have too, nor under names of the public cloud.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["scheme"] != "https" or not self._is_ours(scope):
            await self._app(scope, receive, send)
            return

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Strict-Transport-Security"] = f"max-age={_FOR_S}"
            await send(message)

        await self._app(scope, receive, send_strictly)

    def _is_ours(self, scope: Scope) -> bool:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] or host
        return not is_loopback(name) and answers_to(name, self._hosts)
