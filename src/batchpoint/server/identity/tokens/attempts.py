"""How often somebody may fail to log in: the token endpoints ask before they look at a secret, and tell of failures."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

#: Failures in one window, of one client at one address, after which nothing is looked at any more.
FAILURES_MOST = 20
WINDOW_S = 60.0
#: Clients that are remembered at most; the one that has not failed for the longest is forgotten first.
_CLIENTS_MOST = 10_000


class Attempts:
    """Counts failures by address and client. Safe for threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_s(self, address: str, client: str) -> int:
        """Seconds until the client may try again at this address; 0 when it may now."""
        with self._lock:
            failures = self._failures.get(_key(address, client))
            if failures is None or len(failures) < FAILURES_MOST:
                return 0
            return max(0, int(failures[0] + WINDOW_S - self._now()) + 1)

    def failed(self, address: str, client: str) -> None:
        with self._lock:
            key = _key(address, client)
            self._failures.setdefault(key, deque(maxlen=FAILURES_MOST)).append(self._now())
            self._failures.move_to_end(key)
            while len(self._failures) > _CLIENTS_MOST:
                self._failures.popitem(last=False)


def _key(address: str, client: str) -> tuple[str, str]:
    return address, client[:64].lower()
