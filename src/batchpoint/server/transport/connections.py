"""The connections of the server: as many as its file descriptors allow, none kept for clients that say nothing.

``serve`` gives the protocol to the web server. What is too much is answered with 503 and closed, so that a flood of
connections costs those who flood, and the server needs no restart after it.
"""

import asyncio
import json
import resource
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from batchpoint.arm.envelope import error_body
from batchpoint.errors import ServerBusy
from batchpoint.server.transport.names import BY_PUBLIC_NAME
from batchpoint.server.transport.tls.certificates import PublicContext

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

#: Descriptors that the server needs for itself: its store, its logs, the drivers that it starts.
_OWN_FILES = 32
#: Descriptors of one connection: its socket, and what its request opens.
_FILES_EACH = 2
_FEWEST, _MOST = 8, 10_000


def room_for_connections() -> int:
    """How many connections the server can hold, once it has asked for all the descriptors that it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = _MOST * _FILES_EACH if hard == resource.RLIM_INFINITY else hard
    return max(_FEWEST, min(_MOST, (files - _OWN_FILES) // _FILES_EACH))


def protocol_for(most: int) -> type[H11Protocol]:
    """The HTTP protocol of a server that holds ``most`` connections."""

    class Bounded(H11Protocol):
        def __init__(
            self, config: "Config", server_state: "ServerState", app_state: dict[str, object], _loop: object = None
        ) -> None:
            super().__init__(config, server_state, app_state, cast("asyncio.AbstractEventLoop | None", _loop))

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast("asyncio.Transport", transport))
            if _has_public_name(transport):
                self.app_state = {**self.app_state, BY_PUBLIC_NAME: True}
            if len(self.connections) > most:
                self.transport.write(_refusal())
                self.transport.close()
                return
            # One that sends no request is closed like one that sends no second one.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    return Bounded


def _has_public_name(transport: asyncio.BaseTransport) -> bool:
    connection = transport.get_extra_info("ssl_object")
    return connection is not None and isinstance(connection.context, PublicContext)


def _refusal() -> bytes:
    body = json.dumps(error_body.to_json(ServerBusy())).encode("ascii")
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
