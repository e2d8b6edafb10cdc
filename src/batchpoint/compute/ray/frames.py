"""The one form of everything that crosses between driver, bridge and nodes: a JSON header, a line end, raw bytes.

Used on both ends; standard library only, because it is shipped to nodes. Nothing that arrives is ever unpickled here.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

Header = dict[str, Any]

#: Longest header: a worker's environment and a line of the protocol fit in.
HEADER_MAX = 1 << 20
#: Bytes of one piece of a file; larger files travel in several.
PIECE = 1 << 22
#: Longest message that is accepted from a node.
MESSAGE_MAX = 1 << 25


def frame(header: Header, raw: bytes = b"") -> bytes:
    """One frame; its header says how many raw bytes follow."""
    return json.dumps({**header, "n": len(raw)}, separators=(",", ":")).encode() + b"\n" + raw


def frames(message: bytes) -> Iterator[tuple[Header, bytes]]:
    """The frames of a whole message. Raises ValueError where it breaks off."""
    unframer = Unframer()
    yield from unframer.feed(message)
    if unframer.waiting:
        raise ValueError("a message breaks off within a frame")


def checked(value: object) -> bytes:
    """What came from a node, if it is plain bytes of a size that can be meant. Raises ValueError."""
    if type(value) is not bytes or len(value) > MESSAGE_MAX:
        raise ValueError("a node answered with something that is not a message")
    return value


def only_header(message: bytes) -> Header:
    """The header of a message of one frame without raw bytes."""
    ((header, _),) = list(frames(message))
    return header


class Unframer:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._header: Header | None = None

    @property
    def waiting(self) -> bool:
        """True within a frame."""
        return bool(self._rest) or self._header is not None

    def feed(self, block: bytes) -> Iterable[tuple[Header, bytes]]:
        """The frames that ``block`` completes. Raises ValueError when it is not of this form."""
        self._rest += block
        found = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def _next(self) -> tuple[Header, bytes] | None:
        if self._header is None and not self._take_header():
            return None
        assert self._header is not None
        size = self._header["n"]
        if len(self._rest) < size:
            return None
        header, raw = self._header, bytes(self._rest[:size])
        del self._rest[:size]
        self._header = None
        return header, raw

    def _take_header(self) -> bool:
        end = self._rest.find(b"\n")
        if end < 0:
            if len(self._rest) > HEADER_MAX:
                raise ValueError("a frame's header has no end")
            return False
        header = json.loads(self._rest[:end])
        if not isinstance(header, dict) or type(header.get("n")) is not int or not 0 <= header["n"] <= MESSAGE_MAX:
            raise ValueError("not a frame")
        del self._rest[: end + 1]
        self._header = header
        return True
