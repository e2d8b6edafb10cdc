"""How many requests of one caller may be in progress at once: more would only make all of them slow.

``app`` puts ``Crowds`` inside ``RateLimit``. A server that has more to do than it can says so at once, and answers
those that it takes in time.
"""

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from batchpoint.errors import TooManyRequests
from batchpoint.server.identity.caller import NOBODY
from batchpoint.server.transport.error_answers import error_answer
from batchpoint.server.transport.limits.rates import UPLOADS, address_of

#: Seconds after which a client is to ask again.
_AGAIN_S = 1


class Crowds:
    """ASGI middleware; the owner of the home is a caller like others here. Uploads, which last, do not count."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        """``most`` 0: everybody may send as many as they like."""
        self._app = app
        self._most = most
        self._in_progress: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._most or scope["path"].startswith(UPLOADS):
            await self._app(scope, receive, send)
            return
        caller = scope.get("state", {}).get("caller", NOBODY)
        whose = "owner" if caller.is_owner else caller.id or address_of(scope)
        if self._in_progress[whose] >= self._most:
            message = (
                f"{self._most} requests of {caller.name or whose} are being answered. Send the next one when one of "
                "them has been, or have the setting requests_in_progress of the server raised."
            )
            await error_answer(TooManyRequests(message), is_owner=False, again_s=_AGAIN_S)(scope, receive, send)
            return
        self._in_progress[whose] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_progress[whose] -= 1
            if not self._in_progress[whose]:
                del self._in_progress[whose]
