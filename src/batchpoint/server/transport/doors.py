"""The two doors of a server: HTTPS wherever the operator wants it, plain HTTP on loopback. One application behind both.

``serve`` opens the sockets and runs it. It knows how connections come in, not what they ask for.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchpoint.server.transport.tls.certificates import Certificates

#: Seconds that a client has for saying goodbye.
_GOODBYE_S = 2.0
#: Connections that may wait to be accepted, and that are accepted at once before any is looked at.
_BACKLOG = 128
#: Ticks of the web server, ten a second, between two looks at the certificates.
_TICKS_BETWEEN_LOOKS = 20


class Arrival(asyncio.Protocol):
    """Stands for a connection until its handshake is over, and then has the real protocol take its place."""

    def __init__(self, real: Callable[[], H11Protocol], arriving: "Arriving") -> None:
        self._real = real
        self._arriving = arriving
        arriving.begin(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._arriving.end(self)
        secure, protocol = cast("asyncio.Transport", transport), self._real()
        secure.set_protocol(protocol)
        protocol.connection_made(secure)


class Arriving:
    """Counts connections whose handshake is not over; the web server counts those that come after it."""

    def __init__(self, at_most_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._at_most_s = at_most_s
        self._now = now
        #: When each began, the oldest first. Nobody is told of a handshake that failed: it counts until it would have
        #: been broken off.
        self._since: dict[Arrival, float] = {}

    def begin(self, arrival: Arrival) -> None:
        self._since[arrival] = self._now()

    def end(self, arrival: Arrival) -> None:
        self._since.pop(arrival, None)

    def count(self) -> int:
        before = self._now() - self._at_most_s
        while self._since and next(iter(self._since.values())) < before:
            self._since.pop(next(iter(self._since)))
        return len(self._since)


class TwoDoors(uvicorn.Server):
    """A web server that speaks TLS on one more socket, and has its certificates looked after."""

    def __init__(
        self, config: uvicorn.Config, secure: socket.socket, certificates: Certificates, room: int, handshake_s: float
    ) -> None:
        """``room``: connections at one time, those included whose handshake may take ``handshake_s``."""
        super().__init__(config)
        self._handshake_s = handshake_s
        self._secure = secure
        self._certificates = certificates
        self._room = room
        self._arriving = Arriving(handshake_s)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        server = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=self._secure,
            ssl=self._certificates.context,
            ssl_handshake_timeout=self._handshake_s,
            ssl_shutdown_timeout=_GOODBYE_S,
            backlog=_BACKLOG,
        )
        self.servers.append(server)

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_BETWEEN_LOOKS == 0:
            self._certificates.refresh()
        return await super().on_tick(counter)

    def _connection(self) -> asyncio.Protocol:
        if len(self.server_state.connections) + self._arriving.count() >= self._room:
            # Nothing can be said before the handshake: the event loop drops the connection, which closes it.
            raise ConnectionRefusedError
        return Arrival(self._protocol, self._arriving)

    def _protocol(self) -> H11Protocol:
        protocol = cast("type[H11Protocol]", self.config.http_protocol_class)
        return protocol(config=self.config, server_state=self.server_state, app_state={}, _loop=None)
