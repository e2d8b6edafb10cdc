"""``batchpoint serve``: the application on a port, one server per home, with the supervisor beside it.

Writes ``server.json`` for clients on the same home, which ``running_server`` reads.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.errors import ResourceConflict, UserError
from batchpoint.settings import Settings
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.lock import is_locked, try_lock

if TYPE_CHECKING:
    from types import FrameType

#: Clients hold the lock for an instant when they look whether it is taken.
_PATIENCE_S = 1.0
#: Seconds that requests in progress get when the server is told to stop.
_GRACEFUL_S = 5


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGINT or SIGTERM. Jobs go on: their drivers are processes of their own, as is who starts the next.

    Raises ResourceConflict when a server runs on the home already, UserError when the port cannot be had.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _only_server(settings.home), _listening(host, port) as listener:
        url = f"http://{_shown_host(host)}:{listener.getsockname()[1]}"
        _run(settings, listener, url)


def running_server(home: Path) -> str | None:
    """The URL of the server that runs on ``home``, if one does."""
    lock, record = home / "server.lock", home / "server.json"
    deadline = time.monotonic() + _PATIENCE_S
    while is_locked(lock):
        # Between the lock and the file lies the start of the server, or its end.
        with contextlib.suppress(FileNotFoundError):
            return str(json.loads(record.read_text(encoding="utf-8"))["url"])
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)
    return None


def _run(settings: Settings, listener: socket.socket, url: str) -> None:
    import uvicorn

    from batchpoint.server.app import create_app
    from batchpoint.server.supervisor import succeeded, supervising
    from batchpoint.server.transport.connections import protocol_for, room_for_connections
    from batchpoint.server.transport.log_lines import log_to_stderr
    from batchpoint.store.file_system import refuse_unsafe
    from batchpoint.store.health import refuse_damaged
    from batchpoint.store.store import open_store, store_file

    log_to_stderr()
    refuse_unsafe(settings.home, settings.network_file_systems_allowed)
    refuse_damaged(store_file(settings.home))
    record = settings.home / "server.json"
    with (
        open_store(settings.home, settings.store_busy_timeout_s) as store,
        succeeded(store, settings),
        supervising(store, settings) as supervisor,
        _signals_ignored_later(),
    ):
        app = create_app(settings, store, supervisor.wake, keeps_idle=True)
        config = uvicorn.Config(
            app,
            http=protocol_for(room_for_connections()),
            log_config=None,
            timeout_graceful_shutdown=_GRACEFUL_S,
            lifespan="off",
        )
        write_atomically(record, json.dumps({"url": url, "pid": os.getpid()}).encode())
        print(f"Batchpoint serves {settings.home} at {url} - stop it with Ctrl-C", file=sys.stderr, flush=True)
        try:
            uvicorn.Server(config).run(sockets=[listener])
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
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        message = f"Cannot listen on {host}, port {port}: {error}. Choose another with --port, or 0 for any free one."
        raise UserError(message, target="port") from error
    with listener:
        yield listener


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


def _shown_host(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
