"""Joins client and server: ``connect`` finds the server of a home, or runs the same application in this process.

The only module that may import both sides. The command line and Python programs start here.
"""

import dataclasses
import hashlib
import ipaddress
import logging
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from batchpoint.client import Client
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import AccessDenied, ServerUnreachable, UserError
from batchpoint.in_process import IN_PROCESS_URL, InProcessTransport
from batchpoint.server.serve import running_server, serve
from batchpoint.settings import Settings
from batchpoint.storage.lock import is_locked
from batchpoint.trust import bundle_file, certificates_in, client_context, write_bundle

__all__ = ["connect", "connect_over_tls", "lead_public_hosts", "serve"]

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
