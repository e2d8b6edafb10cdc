"""How many connections count as arriving: until their handshake is over, or would have been broken off."""

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from batchpoint.server.transport.doors import Arrival, Arriving


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Made(asyncio.Protocol):
    pass


class Transport(asyncio.Transport):
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def arrival(arriving: Arriving) -> Arrival:
    return Arrival(lambda: cast("H11Protocol", Made()), arriving)


def test_a_connection_arrives_until_its_handshake_is_over() -> None:
    arriving, transport = Arriving(10.0), Transport()
    first, _ = arrival(arriving), arrival(arriving)
    assert arriving.count() == 2
    first.connection_made(transport)
    assert arriving.count() == 1
    assert isinstance(transport.protocol, Made)


def test_one_of_which_nothing_is_heard_counts_until_it_would_have_been_broken_off() -> None:
    clock = Clock()
    arriving = Arriving(10.0, clock)
    arrival(arriving)
    clock.now += 6
    arrival(arriving)
    clock.now += 6
    assert arriving.count() == 1
    clock.now += 6
    assert arriving.count() == 0
