"""``batchpoint serve``: the application on a port, one server per home, with the supervisor beside it.

Writes ``server.json`` for clients on the same home, which ``running_server`` reads.
"""

import contextlib
import dataclasses
import errno
import json
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batchpoint.errors import ResourceConflict, UserError
from batchpoint.server.transport.names import extra_names, is_loopback
from batchpoint.settings import Settings
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.lock import is_locked, try_lock

if TYPE_CHECKING:
    from types import FrameType

    import uvicorn
    from fastapi import FastAPI

    from batchpoint.server.transport.tls.certificates import Certificates

#: The only address on which anything is said without TLS.
LOOPBACK = "127.0.0.1"
#: All addresses of the machine.
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_NAMELESS = (
    "No other machine can use it yet: it answers to names that it was told. Say by which it is called on the network "
    "with the setting server_hosts_allowed, BATCHPOINT_SERVER_HOSTS_ALLOWED=batch.example.org"
)
#: Clients hold the lock for an instant when they look whether it is taken.
_PATIENCE_S = 1.0
#: Seconds that requests in progress get when the server is told to stop.
_GRACEFUL_S = 5


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 0, http_port: int = 0) -> None:
    """Serve HTTPS on ``host`` and ``port``, and plain HTTP on loopback, until SIGINT or SIGTERM.

    Jobs go on: their drivers are processes of their own, as is who starts the next. Raises ResourceConflict when a
    server runs on the home already, UserError when a port cannot be had or a certificate cannot be used.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Where it listens is a name of its own.
    settings = dataclasses.replace(settings, server_hosts_allowed=",".join(extra_names(settings, host)))
    with (
        _only_server(settings.home),
        _listening(host, port, "--port") as secure,
        _listening(LOOPBACK, http_port, "--http-port") as plain,
    ):
        _run(settings, host, secure, plain)


def running_server(home: Path, door: Literal["url", "https"] = "url") -> str | None:
    """The URL of the server that runs on ``home``, if one does: plain on loopback, or the one with TLS."""
    lock, record = home / "server.lock", home / "server.json"
    deadline = time.monotonic() + _PATIENCE_S
    while is_locked(lock):
        # Between the lock and the file lies the start of the server, or its end.
        with contextlib.suppress(FileNotFoundError):
            return str(json.loads(record.read_text(encoding="utf-8"))[door])
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)
    return None


def _run(settings: Settings, host: str, secure: socket.socket, plain: socket.socket) -> None:
    from batchpoint.server.app import create_app
    from batchpoint.server.supervisor import succeeded, supervising
    from batchpoint.server.transport.log_lines import log_to_stderr
    from batchpoint.server.transport.tls.certificates import Certificates
    from batchpoint.store.file_system import refuse_unsafe
    from batchpoint.store.health import refuse_damaged
    from batchpoint.store.store import open_store, store_file

    log_to_stderr()
    refuse_unsafe(settings.home, settings.network_file_systems_allowed)
    refuse_damaged(store_file(settings.home))
    certificates = Certificates(settings)
    url = f"http://{LOOPBACK}:{plain.getsockname()[1]}"
    https = f"https://{_shown_host(host, certificates, settings)}:{secure.getsockname()[1]}"
    with (
        open_store(settings.home, settings.store_busy_timeout_s) as store,
        succeeded(store, settings),
        supervising(store, settings) as supervisor,
        _signals_ignored_later(),
    ):
        server = _web_server(
            create_app(settings, store, supervisor.wake, keeps_idle=True), settings, secure, certificates
        )
        with _found_by_clients(settings.home, url, https):
            if host in _EVERYWHERE and not extra_names(settings):
                print(_NAMELESS, file=sys.stderr, flush=True)
            server.run(sockets=[plain])


def _web_server(
    app: "FastAPI", settings: Settings, secure: socket.socket, certificates: "Certificates"
) -> "uvicorn.Server":
    import uvicorn

    from batchpoint.server.transport.connections import protocol_for, room_for_connections
    from batchpoint.server.transport.doors import TwoDoors
    from batchpoint.server.transport.limits.slowness import Patience

    room = room_for_connections()
    config = uvicorn.Config(
        app,
        http=protocol_for(room, Patience.of(settings)),
        # Nothing here speaks it, and its connections would be nobody's to look after.
        ws="none",
        timeout_keep_alive=settings.idle_connection_s,
        # Whoever else says where a request comes from is not believed.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACEFUL_S,
        lifespan="off",
    )
    return TwoDoors(config, secure, certificates, room, settings.head_patience_s)


@contextmanager
def _found_by_clients(home: Path, url: str, https: str) -> Iterator[None]:
    from batchpoint.trust import authority_file

    record = home / "server.json"
    elsewhere = "" if home == Settings().home.resolve() else f" --home {shlex.quote(str(home))}"
    write_atomically(record, json.dumps({"url": url, "https": https, "pid": os.getpid()}).encode())
    said = (
        f"Batchpoint serves {home} at {https}, and at {url} on this machine - stop it with Ctrl-C\n"
        f"Its certificates come from {authority_file(home)}. To use it from the Azure SDK, curl or az, in another "
        f'shell:\n  eval "$(batchpoint connect{elsewhere})"'
    )
    print(said, file=sys.stderr, flush=True)
    try:
        yield
    finally:
        record.unlink(missing_ok=True)


@contextmanager
def _only_server(home: Path) -> Iterator[None]:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with try_lock(home / "server.lock") as is_ours:
            if is_ours:
                (home / "server.json").unlink(missing_ok=True)
                yield
                return
        if time.monotonic() > deadline:
            where = running_server(home)
            at = f" at {where}" if where else ""
            message = (
                f"A server runs on {home} already{at}. Use that one, stop it first, or choose another BATCHPOINT_HOME."
            )
            raise ResourceConflict(message, target=str(home))
        time.sleep(0.05)


@contextmanager
def _listening(host: str, port: int, flag: str) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
        # Inherited by each connection: without it the second half of an answer waits 40 ms for the client.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise UserError(_why_not_listening(host, port, flag, error), target=flag.lstrip("-")) from error
    with listener:
        yield listener


def _why_not_listening(host: str, port: int, flag: str, error: OSError | OverflowError) -> str:
    where = f"Cannot listen on {host}, port {port}"
    if isinstance(error, OverflowError):
        return f"{where}: ports go from 0 to 65535. Choose another with {flag}, or 0 for any free one."
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine has no such address. Name one that it has with --host, or 0.0.0.0 for all."
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program does already. Choose another with {flag}, or 0 for any free one."
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{where}: {reason}. Choose another with {flag}, or 0 for any free one."


@contextmanager
def _signals_ignored_later() -> Iterator[None]:
    """The web server stops on a signal and then raises it again: by then it has had its effect."""

    def nothing(_: int, __: "FrameType | None") -> None:
        return

    before = {number: signal.signal(number, nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown_host(host: str, certificates: "Certificates", settings: Settings) -> str:
    """The name to speak to it by: one that its certificate proves, and that leads to the address it listens on."""
    if not is_loopback(host) and host not in _EVERYWHERE:
        return f"[{host}]" if ":" in host else host
    extra = [name for name in extra_names(settings) if "*" not in name]
    candidates = ["localhost", *extra, LOOPBACK]
    return next((name for name in candidates if name in certificates.names), "localhost")
