"""Who may speak to the server: the token file of a home, and the gate in front of every route.

``app`` puts the gate around the whole application, so that a new route is closed until it carries the token.
"""

import hmac
import json
import os
import secrets
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from batchpoint.arm.envelope import error_body
from batchpoint.errors import AccessDenied, BatchpointError
from batchpoint.storage.atomic import publish_without_clobber

#: Names under which a loopback server is spoken to. A web page on another name cannot reach it by rebinding its DNS.
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

#: What everybody may read: nothing of a home, and editors send no token.
OPEN_TO_READ = "/schemas"


def token_of(home: Path) -> str:
    """The bearer token of ``home``, drawn on first use and kept in a file that its owner alone can read."""
    return _drawn_once(home / "token")


def home_id_of(home: Path) -> str:
    """What client and server compare to learn that they work on one home; no secret."""
    return _drawn_once(home / "id")


def _drawn_once(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # Another process may have drawn one meanwhile: then that one counts.
        publish_without_clobber(aside, path)
        aside.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()


class Gate:
    """ASGI middleware: no valid token or a foreign Host header, no answer."""

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = LOOPBACK_HOSTS | hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        error = self._refusal(scope) if scope["type"] == "http" else AccessDenied()
        if error is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _refuse(error, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> AccessDenied | None:
        headers = Headers(scope=scope)
        host = _host_name(headers.get("host", ""))
        if host not in self._hosts:
            return AccessDenied(
                f"This server does not answer to the host name {host!r}. "
                "Its operator can allow it with the setting server_hosts_allowed.",
                target="Host",
            )
        if _is_open(scope["method"], scope["path"]):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("latin-1", "replace"), self._token
        ):
            return AccessDenied(
                "The request carries no valid bearer token. The token stands in the file 'token' of the server's "
                "home folder; give it as BATCHPOINT_TOKEN or in the header Authorization: Bearer.",
                target="Authorization",
            )
        return None


def _is_open(method: str, path: str) -> bool:
    return method in ("GET", "HEAD") and (path == OPEN_TO_READ or path.startswith(f"{OPEN_TO_READ}/"))


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


async def _refuse(error: BatchpointError, send: Send) -> None:
    body = json.dumps(error_body.to_json(error)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": error_body.status_of(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})
