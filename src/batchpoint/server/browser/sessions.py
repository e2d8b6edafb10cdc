"""Sessions of people at a browser: what a cookie says, and whether it still counts. Gate and login page ask it.

A session stands in its cookie alone, signed; the server keeps none. It knows no request and no store.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable

#: How long nobody has to log in again.
LIFETIME_S = 8 * 3600

#: What stands for the owner of the home, who is no principal.
_OWNER = "owner"


class Sessions:
    """Signs and reads the cookies of one home."""

    def __init__(self, key: str, owner_token: str, now: Callable[[], float] = time.time) -> None:
        # With the token of the home in it, so that a new token ends all sessions of before.
        self._key = hashlib.sha256(f"{key}\n{owner_token}".encode()).digest()
        self._now = now
        self._lock = threading.Lock()
        #: Cookies that were logged out, until when they would have been good.
        self._ended: dict[str, int] = {}

    def open(self, principal_id: str | None) -> str:
        """The cookie of a new session; ``None`` is the owner of the home."""
        said = f"{int(self._now()) + LIFETIME_S}.{principal_id or _OWNER}.{secrets.token_urlsafe(18)}"
        return f"{said}.{self._signature('session', said)}"

    def holder(self, cookie: str) -> str | None:
        """Id of the principal whose session it is, empty for the owner; None when it is nobody's, or over."""
        said, _, signature = cookie.rpartition(".")
        expected = self._signature("session", said)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            return None
        until, _, rest = said.partition(".")
        principal = rest.partition(".")[0]
        if int(until) <= self._now() or cookie in self._ended:
            return None
        return "" if principal == _OWNER else principal

    def end(self, cookie: str) -> None:
        """From now on it counts no more, wherever it may have been copied to."""
        if self.holder(cookie) is None:
            return
        with self._lock:
            now = self._now()
            self._ended = {known: until for known, until in self._ended.items() if until > now}
            self._ended[cookie] = int(cookie.partition(".")[0])

    def proof(self, cookie: str) -> str:
        """What a page of ours sends to prove itself: pages of others can have the cookie sent, but not read this."""
        return self._signature("proof", cookie)

    @staticmethod
    def is_same(known: str, shown: str) -> bool:
        """Compares two proofs, and takes as long for any two."""
        return hmac.compare_digest(known.encode(), shown.encode("utf-8", "replace"))

    def _signature(self, purpose: str, text: str) -> str:
        signed = f"{purpose}\n{text}".encode("utf-8", "replace")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()
