"""The two doors of a server: HTTPS wherever the operator wants it, plain HTTP on loopback. One application behind both.

``serve`` opens the sockets and runs it. It knows how connections come in, not what they ask for.
"""

import asyncio
import socket

import uvicorn

from batchpoint.server.transport.tls.certificates import Certificates

#: Seconds that a client has for saying goodbye.
_GOODBYE_S = 2.0
#: Ticks of the web server, ten a second, between two looks at the certificates.
_TICKS_BETWEEN_LOOKS = 20


class TwoDoors(uvicorn.Server):
    """A web server that speaks TLS on one more socket, and has its certificates looked after."""

    def __init__(
        self, config: uvicorn.Config, secure: socket.socket, certificates: Certificates, handshake_s: float
    ) -> None:
        super().__init__(config)
        self._handshake_s = handshake_s
        self._secure = secure
        self._certificates = certificates

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        server = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=self._secure,
            ssl=self._certificates.context,
            ssl_handshake_timeout=self._handshake_s,
            ssl_shutdown_timeout=_GOODBYE_S,
            backlog=self.config.backlog,
        )
        self.servers.append(server)

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_BETWEEN_LOOKS == 0:
            self._certificates.refresh()
        return await super().on_tick(counter)

    def _connection(self) -> asyncio.Protocol:
        protocol = self.config.http_protocol_class
        return protocol(config=self.config, server_state=self.server_state, app_state={}, _loop=None)  # type: ignore[call-arg]
