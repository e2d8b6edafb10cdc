"""Who sends a request from a browser: the session in its cookie, and the proof that a page of ours sent it.

The gate asks it for requests without a token; the pages ask it to open and end sessions.
"""

from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import AuthorizationFailed
from batchpoint.server.browser.origins import is_own
from batchpoint.server.browser.sessions import LIFETIME_S, Sessions
from batchpoint.server.identity.caller import Caller
from batchpoint.server.identity.home import drawn_once, token_of
from batchpoint.server.identity.tokens.audiences import wanted_by
from batchpoint.server.identity.tokens.authority import Authority

#: Header with which a page of ours proves itself.
PROOF = "X-Batchpoint-Proof"

_SAFE = frozenset({"GET", "HEAD"})


class Visitors:
    """People at a browser."""

    def __init__(self, authority: Authority, home: Path) -> None:
        self._authority = authority
        self._home = home
        self._owner_token = token_of(home)
        # Browsers give cookies to all ports of a host: two servers on one must not take each other's.
        self._name = f"batchpoint-{authority.tenant[:8]}"

    @cached_property
    def sessions(self) -> Sessions:
        """With a key that is drawn when the first browser comes."""
        return Sessions(drawn_once(self._home / "keys" / "sessions"), self._owner_token)

    def owner_by(self, token: str) -> Principal | None:
        """The owner of the home, for its token."""
        return self._authority.owner if self.sessions.is_same(self._owner_token, token.strip()) else None

    def cookie(self, connection: HTTPConnection) -> str:
        """The session that a request brings along; empty when it has none."""
        return connection.cookies.get(self._cookie_name(connection), "")

    def caller(self, connection: HTTPConnection, method: str) -> Caller | None:
        """Whose session a request comes with, if it counts and is for what a browser may do.

        Reads the store. Raises AuthorizationFailed for a change that no page of ours has proved to want.
        """
        cookie = self.cookie(connection)
        # Blobs are whatever somebody uploaded: no session is ever needed for them, nor put at risk by them.
        if not cookie or wanted_by(connection.scope["path"]) == "storage":
            return None
        holder = self.sessions.holder(cookie)
        found = None if holder is None else self._authority.caller_by_id(holder or self._authority.owner.id)
        if found is not None and method not in _SAFE:
            self.prove(connection, connection.headers.get(PROOF, ""))
        return found

    def prove(self, connection: HTTPConnection, proof: str) -> None:
        """Raises AuthorizationFailed unless a page of this server, shown in this very session, sent the request."""
        known = self.sessions.proof(self.cookie(connection))
        if not is_own(connection.headers, server_of(connection)) or not self.sessions.is_same(known, proof):
            raise AuthorizationFailed(
                "The request comes with a session of a browser, but not from a page of this server. Programs log in "
                "with a token instead: the header Authorization: Bearer.",
                target=PROOF,
            )

    def welcome(self, connection: HTTPConnection, principal_id: str, answer: Response) -> None:
        """Give the browser a session of the principal with ``answer``."""
        holder = None if principal_id == self._authority.owner.id else principal_id
        self._set(connection, answer, self.sessions.open(holder), LIFETIME_S)

    def dismiss(self, connection: HTTPConnection, answer: Response) -> None:
        """End the session, and have the browser forget it."""
        self.sessions.end(self.cookie(connection))
        self._set(connection, answer, "", 0)

    def _set(self, connection: HTTPConnection, answer: Response, value: str, max_age: int) -> None:
        is_safe = connection.url.scheme == "https"
        name = self._cookie_name(connection)
        answer.set_cookie(name, value, max_age, path="/", secure=is_safe, httponly=True, samesite="strict")

    def _cookie_name(self, connection: HTTPConnection) -> str:
        return f"__Host-{self._name}" if connection.url.scheme == "https" else self._name


def server_of(connection: HTTPConnection) -> str:
    """Scheme and host under which the browser knows this server."""
    parts = urlsplit(str(connection.url))
    return f"{parts.scheme}://{parts.netloc}"
