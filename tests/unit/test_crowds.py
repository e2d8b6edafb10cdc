"""A caller with too many requests in progress is told so, and nobody else is."""

import asyncio
from typing import Any

from batchpoint.server.identity.caller import OWNER, Caller
from batchpoint.server.transport.limits.crowds import Crowds

ANA, BEN = Caller(id="ana", name="ana"), Caller(id="ben", name="ben")


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def status(app: Crowds, caller: Caller, path: str = "/subscriptions") -> int:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "path": path, "state": {"caller": caller}}, None, send)  # type: ignore[arg-type]
    if sent[0]["status"] == 429:
        assert dict(sent[0]["headers"])[b"retry-after"] == b"1"
        assert b"requests_in_progress" in sent[1]["body"]
    return int(sent[0]["status"])


def test_one_more_than_the_most_is_refused_and_only_while_the_others_last() -> None:
    async def play() -> None:
        slow = Slow()
        app = Crowds(slow, most=2)
        first = [asyncio.create_task(status(app, caller)) for caller in (ANA, ANA, BEN, OWNER)]
        await asyncio.sleep(0)
        assert await status(app, ANA) == 429
        upload = asyncio.create_task(status(app, ANA, "/batchpoint/v1/uploads/s/g/w/hash/file"))
        await asyncio.sleep(0)
        assert not upload.done()
        slow.go.set()
        assert [await one for one in (*first, upload)] == [200] * 5
        assert await status(app, ANA) == 200
        assert not app._in_progress

    asyncio.run(play())


def test_a_limit_of_nought_is_none() -> None:
    async def play() -> None:
        slow = Slow()
        app = Crowds(slow, most=0)
        waiting = [asyncio.create_task(status(app, ANA)) for _ in range(500)]
        await asyncio.sleep(0)
        slow.go.set()
        assert {await one for one in waiting} == {200}

    asyncio.run(play())
