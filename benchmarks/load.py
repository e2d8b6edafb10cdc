"""An open loop of HTTP requests: each is due at its moment, and is as late as its answer, whoever made it wait.

``server`` sends its mix with it. Its client is as small as can be, so that it takes little of the cores it shares.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Ask:
    """One request."""

    #: What it counts as.
    kind: str
    method: str
    path: str
    body: bytes = b""


@dataclass
class Answers:
    """What came back."""

    #: Seconds from when a request was due to the end of its answer, by kind; of successes.
    seconds: dict[str, list[float]] = field(default_factory=dict)
    #: Status by kind, of answers that are no success; 0 where the connection broke.
    errors: dict[str, list[int]] = field(default_factory=dict)

    def percentile(self, share: float, kinds: Sequence[str] = ()) -> float:
        """Milliseconds within which that share of the answers came; of all kinds where none is named."""
        found = sorted(s for kind, all_of_it in self.seconds.items() if not kinds or kind in kinds for s in all_of_it)
        return 1000 * found[max(0, math.ceil(share * len(found)) - 1)] if found else math.nan

    def count(self, kinds: Sequence[str]) -> int:
        """How many answers of those kinds there were."""
        return sum(len(self.seconds.get(kind, ())) for kind in kinds)

    def failed(self, but: Sequence[int] = ()) -> int:
        """How many errors there were, those with the statuses ``but`` left aside."""
        return sum(status not in but for found in self.errors.values() for status in found)


class Connection:
    """One kept connection."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._at = parts.hostname, parts.port
        self._head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc, **headers}.items())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, one: Ask) -> int:
        """The status of the answer; 0 where there was none."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._at)
        reader, writer = self._streams
        length = f"Content-Type: application/json\r\nContent-Length: {len(one.body)}\r\n" if one.body else ""
        writer.write(f"{one.method} {one.path} HTTP/1.1\r\n{self._head}{length}\r\n".encode() + one.body)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def run(
    url: str, headers: dict[str, str], clients: int, rate: float, seconds: float, next_ask: Callable[[int], Ask | None]
) -> Answers:
    """Send ``rate`` requests a second over ``clients`` connections; ``next_ask`` gets the number of each.

    A rate of 0 sends the next as soon as a connection is free, until ``next_ask`` answers None.
    """
    return asyncio.run(_run(url, headers, clients, rate, seconds, next_ask))


async def _run(
    url: str, headers: dict[str, str], clients: int, rate: float, seconds: float, next_ask: Callable[[int], Ask | None]
) -> Answers:
    found, began = Answers(), time.perf_counter()
    total = math.inf if rate == 0 else int(rate * seconds)
    number = 0

    async def client() -> None:
        nonlocal number
        connection = Connection(url, headers)
        while number < total:
            mine, number = number, number + 1
            ask = next_ask(mine)
            if ask is None:
                break
            due = began + mine / rate if rate else time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            status = await connection.ask(ask)
            if 200 <= status < 300:
                found.seconds.setdefault(ask.kind, []).append(time.perf_counter() - due)
            else:
                found.errors.setdefault(ask.kind, []).append(status)
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return found
