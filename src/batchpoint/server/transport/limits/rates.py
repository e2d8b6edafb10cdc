"""How many requests one caller may send in a while: a bucket of tokens for each, refilled at a steady rate.

``app`` puts ``RateLimit`` right inside the gate, where it is known who sends a request. It knows no route but that of
uploads, whose requests are as many as there are files.
"""

import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from batchpoint.errors import TooManyRequests
from batchpoint.server.identity.caller import NOBODY, Caller
from batchpoint.server.transport.error_answers import error_answer

#: Seconds' worth of requests that may come at once.
_BURST_S = 2.0
#: Callers that are remembered; of more, those who have been quiet long enough to have all their tokens go first.
_CALLERS_MAX = 10_000
#: Each of these brings a file: what it costs is its bytes, and they have a pace of their own.
UPLOADS = "/batchpoint/v1/uploads/"


class Rates:
    """Tokens of all callers. Called from one thread."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``per_second`` 0: everybody may do as they like."""
        self._rate = per_second
        self._clock = clock
        #: By caller: how many tokens were left, and when.
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, caller: str) -> float:
        """Take a token; 0 when there was one, else the seconds until there is one again."""
        if not self._rate:
            return 0.0
        now, most = self._clock(), max(1.0, self._rate * _BURST_S)
        left, since = self._left.pop(caller, (most, now))
        left = min(most, left + (now - since) * self._rate)
        taken = left >= 1
        # At the end: the dictionary begins with those who have been quiet for longest.
        self._left[caller] = (left - taken, now)
        if len(self._left) > _CALLERS_MAX:
            del self._left[next(iter(self._left))]
        return 0.0 if taken else (1 - left) / self._rate


class RateLimit:
    """ASGI middleware. The owner of the home has no limit; who is not known has that of the address."""

    def __init__(self, app: ASGIApp, per_second: float) -> None:
        self._app = app
        self._per_second = per_second
        self._rates = Rates(per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("state", {}).get("caller", NOBODY) if scope["type"] == "http" else None
        if caller is None or caller.is_owner or scope["path"].startswith(UPLOADS):
            await self._app(scope, receive, send)
            return
        wait_s = self._rates.wait_s(caller.id or address_of(scope))
        if wait_s:
            again_s = math.ceil(wait_s)
            refusal = error_answer(self._refusal(caller, again_s, scope), is_owner=False, again_s=again_s)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, caller: Caller, wait_s: int, scope: Scope) -> TooManyRequests:
        whose = caller.name or address_of(scope)
        return TooManyRequests(
            f"There were more than {self._per_second:g} requests a second from {whose}. Send the next one in {wait_s} "
            "s, or have the setting requests_per_second of the server raised."
        )


def address_of(scope: Scope) -> str:
    """Where a request comes from; empty for one of this process."""
    client = scope.get("client")
    return str(client[0]) if client else ""
