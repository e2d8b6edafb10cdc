"""Carries HTTP requests to the application in this process: what ``local`` gives a client when there is no server.

It speaks ASGI with whatever application it is given, and knows none of its routes.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import httpx

from batchpoint.errors import InternalError

if TYPE_CHECKING:
    from batchpoint.store.store import Store

T = TypeVar("T")
Message = MutableMapping[str, Any]
#: An ASGI application.
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

#: The address under which the application in this process answers: where ``batchpoint serve`` would be.
IN_PROCESS_URL = "http://localhost:8787"


class InProcessTransport(httpx.BaseTransport):
    """Carries requests to an application in this process, bodies piece by piece in both directions.

    The application runs in an event loop in a thread of its own, so callers may have one of theirs.
    """

    def __init__(self, app: Application, store: "Store") -> None:
        self._app = app
        self._store = store
        self._loop = _LoopThread()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        exchange = _Exchange(self._app, request)
        start = self._loop.run(exchange.start())
        stream = _AnswerStream(self._loop, exchange)
        return httpx.Response(start["status"], headers=start["headers"], stream=stream, request=request)

    def close(self) -> None:
        self._loop.close()
        self._store.close()


class _LoopThread:
    """An event loop in a daemon thread, started on first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._starting = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, or what it raised."""
        return asyncio.run_coroutine_threadsafe(work, self._started()).result()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                ready = threading.Event()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._live(ready)), name="batchpoint-application", daemon=True
                )
                self._thread.start()
                ready.wait()
            assert self._loop is not None
            return self._loop

    async def _live(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await self._stop.wait()

    def close(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._loop = None


class _Exchange:
    """One request and its answer, spoken in ASGI."""

    def __init__(self, app: Application, request: httpx.Request) -> None:
        self._app = app
        self._scope = _scope_of(request)
        body = request.stream
        assert isinstance(body, httpx.SyncByteStream)
        self._body: Iterator[bytes] | None = iter(body)
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=4)
        self._closed = asyncio.Event()
        self._complete = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Message:
        """Send the request; the answer's status and headers."""
        self._task = asyncio.create_task(self._speak())
        message = await self._answers.get()
        if message is None:
            await self._task
            raise InternalError("The application ended without an answer.")
        return message

    async def next(self) -> bytes | None:
        """The next piece of the answer's body; None at its end."""
        message = await self._answers.get()
        return None if message is None else bytes(message.get("body", b""))

    async def close(self) -> None:
        """Whoever asked does not want the rest."""
        self._closed.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            fault = None if self._task.cancelled() else self._task.exception()
            # Having answered, the application raises a fault again, for a server to see; we have the answer.
            if fault is not None and not self._complete:
                raise fault

    async def _speak(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            # Nobody reads any more once the exchange is closed.
            if not self._closed.is_set():
                await self._answers.put(None)

    async def _receive(self) -> Message:
        if self._body is None:
            await self._closed.wait()
            return {"type": "http.disconnect"}
        piece = await asyncio.to_thread(next, self._body, None)
        if piece is None:
            self._body = None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def _send(self, message: Message) -> None:
        self._complete = message["type"] == "http.response.body" and not message.get("more_body")
        await self._answers.put(message)


class _AnswerStream(httpx.SyncByteStream):
    """The answer's body, read from the application as it is asked for."""

    def __init__(self, loop: _LoopThread, exchange: _Exchange) -> None:
        self._loop = loop
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._loop.run(self._exchange.next())) is not None:
            yield piece

    def close(self) -> None:
        self._loop.run(self._exchange.close())


def _scope_of(request: httpx.Request) -> Message:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": unquote(path.decode("ascii"), errors="surrogateescape"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
    }
