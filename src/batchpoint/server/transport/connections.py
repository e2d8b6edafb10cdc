"""The connections of the server: as many as its file descriptors allow, none kept for clients that say nothing.

``serve`` gives the protocol to the web server. What is too much, too slow or ambiguous is answered and closed, so that
a flood of connections costs those who flood, and the server needs no restart after it.
"""

import asyncio
import json
import resource
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchpoint.arm.envelope import error_body
from batchpoint.errors import BatchpointError, RequestMalformed, RequestTooSlow, ServerBusy
from batchpoint.server.transport.limits.heads import StrictConnection
from batchpoint.server.transport.limits.slowness import LEAST_BYTES, Patience, Stage, Watch
from batchpoint.server.transport.names import BY_PUBLIC_NAME
from batchpoint.server.transport.request_ids import HEADER, new_request_id
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


def protocol_for(most: int, patience: Patience) -> type[H11Protocol]:
    """The HTTP protocol of a server that holds ``most`` connections."""

    class Bounded(LimitedProtocol):
        def __init__(
            self, config: "Config", server_state: "ServerState", app_state: dict[str, object], _loop: object = None
        ) -> None:
            loop = cast("asyncio.AbstractEventLoop | None", _loop)
            super().__init__(config, server_state, app_state, loop, most=most, patience=patience)

    return Bounded


class LimitedProtocol(H11Protocol):
    """HTTP as strict as ``limits/heads`` reads it, for clients no slower than ``limits/slowness`` allows."""

    conn: StrictConnection

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, object],
        loop: asyncio.AbstractEventLoop | None,
        *,
        most: int,
        patience: Patience,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.conn = StrictConnection()
        self._most = most
        self._patience = patience
        self._watch = Watch(patience, self.loop.time())
        self._tick: asyncio.TimerHandle | None = None
        #: Bytes of answers that were still to be taken at the last tick.
        self._untaken = 0
        #: The connection has been answered for the last time; what still arrives is not read.
        self._is_over = False

    # ---- what the web server calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        if _has_public_name(transport):
            self.app_state = {**self.app_state, BY_PUBLIC_NAME: True}
        self._tick = self.loop.call_later(self._patience.tick_s, self._look)
        if len(self.connections) > self._most:
            self._refuse(ServerBusy())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tick is not None:
            self._tick.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._watch.moved(len(data))
        if not self._is_over:
            super().data_received(data)

    def resume_writing(self) -> None:
        self._watch.moved(LEAST_BYTES)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self.conn.refused or RequestMalformed())

    # ---- slow clients ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        self._watch.moved(max(0, self._untaken - untaken))
        self._untaken = untaken
        stage = self._stage()
        if self._watch.is_too_slow(stage, self.loop.time()):
            self._cut_off(stage)
        self._tick = self.loop.call_later(self._patience.tick_s, self._look)

    def _stage(self) -> Stage:
        """What the connection waits for."""
        theirs = self.conn.their_state
        if self._is_over:
            return "rest"
        if self.flow.write_paused or self.transport.is_closing():
            return "answer"
        if theirs is h11.IDLE:
            return "head" if self.cycle is None or self.conn.has_begun_a_request else "idle"
        if theirs is not h11.SEND_BODY:
            return "work"
        if self.cycle.response_complete:
            return "rest"
        # Nothing is expected of one whose body nobody asks for.
        return "work" if self.flow.read_paused or self.conn.they_are_waiting_for_100_continue else "body"

    def _cut_off(self, stage: Stage) -> None:
        if stage == "head" and self.conn.has_begun_a_request:
            self._refuse(_too_slow("The headers of the request", self._patience.head_s))
        elif stage == "head":
            self.transport.close()
        elif stage == "body" and not self.cycle.response_started:
            self._refuse(_too_slow(f"{LEAST_BYTES >> 10} KiB of the request's body", self._patience.body_s))
        else:
            self.transport.abort()

    # ---- the last answer ------------------------------------------------------------------------------------------

    def _refuse(self, error: BatchpointError) -> None:
        """Answer for the last time. Closed at once, the client might never read it: it is still sending."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering and self.cycle.response_started:
            self.transport.abort()
            return
        self._is_over = True
        if is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(_refusal(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _has_public_name(transport: asyncio.BaseTransport) -> bool:
    connection = transport.get_extra_info("ssl_object")
    return connection is not None and isinstance(connection.context, PublicContext)


def _too_slow(what: str, seconds: float) -> RequestTooSlow:
    return RequestTooSlow(f"{what} did not arrive within {seconds:g} s. Send it again.")


def _refusal(error: BatchpointError) -> bytes:
    request_id, status = new_request_id(), error_body.status_of(error)
    body = json.dumps(error_body.to_json(error, request_id)).encode("ascii")
    retry = "retry-after: 1\r\n" if status in error_body.AGAIN else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{HEADER}: {request_id}\r\n{retry}connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
