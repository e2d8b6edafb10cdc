"""Links that carry their own permission: one path, read only, for a while. Logs and outputs are given out as such.

``Links.signed`` makes the query of one, the gate asks ``Links.allow``. The key stands in the home and never leaves it.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

#: Seconds that a link is good for.
LIFETIME_S = 3600


class Links:
    """Signs and checks links with one key."""

    def __init__(self, key: str, now: Callable[[], float] = time.time) -> None:
        self._key = key.encode("ascii")
        self._now = now

    def signed(self, path: str, lifetime_s: int = LIFETIME_S) -> str:
        """``path`` (decoded, without a query) with the query that opens it."""
        until = int(self._now()) + lifetime_s
        return f"{path}?{urlencode({'until': until, 'signature': self._signature(path, until)})}"

    def allow(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether ``query`` opens ``path`` now."""
        until, signature = query.get("until", ""), query.get("signature", "")
        if method not in ("GET", "HEAD") or not until.isdecimal() or len(until) > 12 or int(until) < self._now():
            return False
        return hmac.compare_digest(self._signature(path, int(until)).encode(), signature.encode("utf-8", "replace"))

    @staticmethod
    def drawn() -> str:
        """A name that nobody has: 32 hexadecimal digits."""
        return secrets.token_hex(16)

    def proof(self, fact: str) -> str:
        """What shows later that this home said ``fact``."""
        # No link's text has this beginning: one is no proof, and a proof opens nothing.
        return self._mac(f"fact\n{fact}")

    def proves(self, fact: str, proof: str) -> bool:
        return hmac.compare_digest(self.proof(fact).encode(), proof.encode("utf-8", "replace"))

    def _signature(self, path: str, until: int) -> str:
        return self._mac(f"{until}\n{path}")

    def _mac(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
