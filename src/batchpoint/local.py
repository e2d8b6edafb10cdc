"""Joins client and server: ``connect`` finds the server of a home, or runs the same application in this process.

The only module that may import both sides. The command line and Python programs start here.
"""

import asyncio
import dataclasses
import hashlib
import ipaddress
import logging
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import httpx

from batchpoint.client import Client
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import AccessDenied, InternalError, ServerUnreachable, UserError
from batchpoint.server.serve import running_server, serve
from batchpoint.settings import Settings
from batchpoint.storage.lock import is_locked
from batchpoint.trust import bundle_file, certificates_in, client_context, write_bundle

if TYPE_CHECKING:
    from batchpoint.store.store import Store

__all__ = ["connect", "connect_over_tls", "lead_public_hosts", "serve"]

T = TypeVar("T")
Message = MutableMapping[str, Any]
#: An ASGI application.
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

#: The address under which the application in this process answers: where ``batchpoint serve`` would be.
IN_PROCESS_URL = "http://localhost:8787"

#: Whoever asks for a connection waits that long for a server that says nothing.
_QUICKLY = httpx.Timeout(10.0)

#: Supervisors that this process has started. They outlive it; kept so that those that end are waited for.
_supervisors: list["subprocess.Popen[bytes]"] = []


def connect(settings: Settings) -> Client:
    """A client of the server that ``settings`` name, else of the one running on the home, else of none.

    Without a server the application runs in this process, on the home itself, and a detached supervisor starts the
    drivers. Close the client, or use it as a context manager.
    """
    workspace = Workspace(settings.subscription, settings.resource_group, settings.workspace)
    if settings.server:
        home_id = _read_if_there(settings, "id")
        context = _context_for(settings)
        return Client(settings.server.rstrip("/"), _token_for(settings), workspace, home_id=home_id, context=context)
    url = running_server(settings.home)
    if url:
        return Client(url, _read_if_there(settings, "token"), workspace, shares_home=True)
    return _in_process(settings, workspace)


def connect_over_tls(settings: Settings) -> tuple[Client, Path]:
    """A client of the HTTPS door of the server that ``settings`` name, else of the one running on the home.

    With it, a file of the certificates that programs have to believe who speak to that server. Raises ServerUnreachable
    when no server runs, UserError for an address without TLS.
    """
    url = settings.server.rstrip("/") or running_server(settings.home, "https")
    if not url:
        raise ServerUnreachable(
            f"No server runs on {settings.home}. Start one with 'batchpoint serve', or name one with --server.",
            target=str(settings.home),
        )
    if not url.startswith("https://"):
        raise UserError(f"Programs need a server with TLS; {url} has none. Name one that begins with https://.")
    settings = dataclasses.replace(settings, server=url)
    workspace = Workspace(settings.subscription, settings.resource_group, settings.workspace)
    home_id = "" if settings.server_ca or not _is_loopback(url) else _read_if_there(settings, "id")
    context, token = _context_for(settings), _token_for(settings)
    bundle = _bundle_for(settings)
    return Client(url, token, workspace, home_id=home_id, context=context, timeout=_QUICKLY), bundle


def lead_public_hosts(url: str, port: int, ready: Callable[[str], None]) -> None:
    """Run a proxy that leads hosts of the public cloud to the server at ``url``, until SIGINT or SIGTERM.

    ``ready`` is told its address. Raises UserError when it cannot listen on ``port``.
    """
    from batchpoint.server.transport.proxy import run_proxy

    address = urlsplit(url)
    run_proxy(address.hostname or "", address.port or 443, port, ready)


def _context_for(settings: Settings) -> ssl.SSLContext | None:
    """Which certificates of ``settings.server`` are believed; None where nothing is encrypted."""
    return client_context(_authorities(settings)) if settings.server.startswith("https://") else None


def _authorities(settings: Settings) -> list[Path]:
    if settings.server_ca:
        return [Path(settings.server_ca).expanduser()]
    ours = bundle_file(settings.home)
    return [ours] if _is_loopback(settings.server) and ours.is_file() else []


def _bundle_for(settings: Settings) -> Path:
    if not settings.server_ca and _is_loopback(settings.server) and bundle_file(settings.home).is_file():
        return bundle_file(settings.home)
    name = hashlib.sha256(settings.server.encode()).hexdigest()[:12]
    bundle = bundle_file(settings.home).with_name(f"bundle-{name}.pem")
    bundle.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_bundle(bundle, [certificates_in(path) for path in _authorities(settings)])
    return bundle


def _token_for(settings: Settings) -> str:
    """The token of the home is sent to no other machine, and no token through a network without TLS."""
    if not settings.server.startswith("https://") and not _is_loopback(settings.server):
        raise AccessDenied(
            f"A token is not sent to {settings.server}: others on the way could read it. Name the server by an address "
            "that begins with https://.",
            target="server",
        )
    token = settings.token or (_read_if_there(settings, "token") if _is_loopback(settings.server) else "")
    if not token:
        raise AccessDenied(
            f"There is no token for {settings.server}. Give it as BATCHPOINT_TOKEN; "
            "it stands in the file 'token' of that server's home folder.",
            target="token",
        )
    return token


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_if_there(settings: Settings, name: str) -> str:
    path = settings.home / name
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""


def _in_process(settings: Settings, workspace: Workspace) -> Client:
    from batchpoint.server.app import create_app
    from batchpoint.server.identity.home import token_of
    from batchpoint.store.file_system import refuse_unsafe
    from batchpoint.store.store import open_store

    refuse_unsafe(settings.home, settings.network_file_systems_allowed)
    store = open_store(settings.home, settings.store_busy_timeout_s)
    _log_to(settings.home / "server.log")
    app = create_app(settings, store, lambda: ensure_supervisor(settings))
    if store.has_open_jobs():
        # Left by a supervisor that was killed, or by a machine that was switched off.
        ensure_supervisor(settings)
    transport = InProcessTransport(app, store)
    return Client(IN_PROCESS_URL, token_of(settings.home), workspace, shares_home=True, transport=transport)


def _log_to(path: Path) -> None:
    """What a server would log goes to a file of the home, made when there is something to say; never to the user."""
    from batchpoint.server.transport.log_lines import JsonLines

    ours = logging.getLogger("batchpoint.server")
    if not ours.handlers:
        handler = logging.FileHandler(path, delay=True)
        handler.setFormatter(JsonLines())
        ours.addHandler(handler)
        ours.propagate = False


def ensure_supervisor(settings: Settings) -> None:
    """Start a detached supervisor, unless one lives: that one looks for new jobs even after it has let its lock go."""
    from batchpoint.server.supervision.drivers import start_detached
    from batchpoint.server.supervisor import lock_of

    _supervisors[:] = [process for process in _supervisors if process.poll() is None]
    if is_locked(lock_of(settings.home)):
        return
    with (settings.home / "supervisor.log").open("ab") as output:
        _supervisors.append(start_detached("batchpoint.server.supervisor", [], settings, output.fileno()))


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
