"""Reads requests strictly: what two programs could read differently is refused, and so is what is too long.

The protocol in ``connections`` reads with it. It knows no route and no time.
"""

import re
from typing import TYPE_CHECKING

import h11

from batchpoint.errors import BatchpointError, RequestHeadTooLarge, RequestMalformed

if TYPE_CHECKING:
    from h11 import Event

#: Bytes of a request's first line and headers together, and headers.
HEAD_MAX, HEADERS_MAX = 32 << 10, 100
_LENGTH = re.compile(rb"^content-length:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class StrictConnection(h11.Connection):
    """A server's side of one connection. ``refused`` says why the latest request could not be read."""

    refused: BatchpointError | None = None

    def __init__(self) -> None:
        # One more than we count ourselves: which of both refuses must not depend on how the bytes arrive.
        super().__init__(h11.SERVER, HEAD_MAX + 1)

    def next_event(self) -> "Event | type[h11.NEED_DATA] | type[h11.PAUSED]":
        """As h11 has it. Raises RemoteProtocolError, and then ``refused`` is set."""
        try:
            if self.their_state is h11.IDLE:
                check_head(self.trailing_data[0])
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check_request(event)
        except BatchpointError as error:
            self.refused = error
            raise h11.RemoteProtocolError(error.message) from error
        except h11.RemoteProtocolError as error:
            self.refused = _too_long() if error.error_status_hint == 431 else RequestMalformed(_because(str(error)))
            raise
        return event

    @property
    def has_begun_a_request(self) -> bool:
        """Whether there are bytes of a request whose headers are not all there."""
        return self.their_state is h11.IDLE and bool(self.trailing_data[0])


def check_head(received: bytes) -> None:
    """Raises RequestMalformed or RequestHeadTooLarge for the beginning of a request, complete or not."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if len(head) > HEAD_MAX:
        raise _too_long()
    if head.count(b"\n") > HEADERS_MAX:
        raise RequestHeadTooLarge(f"The request has more than {HEADERS_MAX} headers. Send fewer.")
    if head.count(b"\n") != head.count(b"\r\n"):
        raise RequestMalformed(_because("a line ends without a carriage return"))
    if b"\n " in head or b"\n\t" in head:
        raise RequestMalformed(_because("a header goes on in a second line"))
    lengths = _LENGTH.findall(head)
    if len(lengths) > 1 or any(not value.strip().isdigit() for value in lengths if end):
        raise RequestMalformed(_because("its Content-Length is no single number"))


def _check_request(request: h11.Request) -> None:
    names = {name for name, _ in request.headers}
    if {b"content-length", b"transfer-encoding"} <= names:
        raise RequestMalformed(_because("it has both a Content-Length and a Transfer-Encoding"))
    if not request.target.startswith(b"/"):
        raise RequestMalformed(_because("its address is no path; this server is no proxy"))


def _because(why: str) -> str:
    return f"The request cannot be read: {why}. Send it with an HTTP library, or look at what the proxy makes of it."


def _too_long() -> RequestHeadTooLarge:
    return RequestHeadTooLarge(
        f"The address and headers of the request are longer than {HEAD_MAX >> 10} KiB. Send fewer or shorter ones."
    )
