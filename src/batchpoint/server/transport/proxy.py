"""A CONNECT proxy on loopback: it leads named hosts of the public cloud to a server of ours and forwards nothing else.

``batchpoint connect --proxy`` runs it. It sees no request: between client and server is TLS, through which it only
passes bytes on.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

from batchpoint.errors import UserError
from batchpoint.server.transport.names import is_public

#: Bytes of a request for a connection, and seconds that a client has to send them.
_HEAD_B, _HEAD_S = 1 << 16, 10.0
_CONNECT_S = 10.0
#: Connections at one time; more wait until one ends.
_MOST = 256
_PIECE_B = 1 << 16
_LISTENS_ON = "127.0.0.1"


class _Refused(Exception):
    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def run_proxy(host: str, port: int, listen: int, ready: Callable[[str], None]) -> None:
    """Lead connections to ``host`` and ``port`` until SIGINT or SIGTERM; ``ready`` is told the proxy's address.

    Raises UserError when the port ``listen`` cannot be had.
    """
    try:
        listener = socket.create_server((_LISTENS_ON, listen), backlog=128)
    except (OSError, OverflowError) as error:
        message = f"The proxy cannot have port {listen}: {error}. Choose another with --port, or 0 for any free one."
        raise UserError(message, target="port") from error
    with listener:
        asyncio.run(_Proxy(host, port).run(listener, ready))


class _Proxy:
    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._room = asyncio.Semaphore(_MOST)
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket, ready: Callable[[str], None]) -> None:
        told = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        server = await asyncio.start_server(self._serve, sock=listener, limit=_HEAD_B)
        ready(f"http://{_LISTENS_ON}:{listener.getsockname()[1]}")
        await told.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            async with self._room:
                await self._answer(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Either end is gone, or the proxy is told to stop: nobody is there to be told.
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _check(await _head(reader))
            theirs = await self._connected()
        except _Refused as refused:
            writer.write(_message(refused))
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pass_on(reader, theirs[1]), _pass_on(theirs[0], writer))
        finally:
            theirs[1].close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.wait_for(asyncio.open_connection(self._host, self._port), _CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise _Refused(
                "502 Bad Gateway",
                f"The Batchpoint server at {self._host}:{self._port} does not answer ({error or 'time-out'}). "
                "Start it with 'batchpoint serve'.",
            ) from error


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
    except (asyncio.LimitOverrunError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise _Refused("400 Bad Request", "This is the proxy of Batchpoint; it takes CONNECT requests.") from error
    return head.split(b"\r\n", 1)[0].decode("latin-1")


def _check(line: str) -> None:
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused("400 Bad Request", "This is the proxy of Batchpoint; it takes CONNECT requests.")
    method, target, _ = words
    host, _, port = target.rpartition(":")
    if method != "CONNECT":
        raise _Refused("403 Forbidden", "This proxy of Batchpoint leads https to its server; it forwards nothing else.")
    if port != "443" or not is_public(host):
        raise _Refused(
            "403 Forbidden",
            "This proxy of Batchpoint leads hosts of Azure Machine Learning and of this server's storage accounts to "
            "its server, port 443 alone, and forwards nothing else. Unset HTTPS_PROXY to reach other hosts.",
        )


def _message(refused: _Refused) -> bytes:
    body = f"{refused.sentence}\n".encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE_B):
        target.write(piece)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()
