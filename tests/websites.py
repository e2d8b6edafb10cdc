"""Small websites on this machine that answer what a test says."""

import contextlib
import http.client
import http.server
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers what the test says, by the path and query that is asked."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[str], tuple[int, str, bytes]]
    seen: list[str]

    def do_GET(self) -> None:
        type(self).seen.append(self.path)
        status, kind, body = type(self).answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status in (301, 302):
            self.send_header("Location", body.decode())
            body = b""
        self.send_header("Content-Length", str(len(body)))
        with contextlib.suppress(ConnectionError):  # who was canceled no longer listens
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def site(answer: Callable[[str], tuple[int, str, bytes]]) -> Iterator[str]:
    handler = type("Handler", (Answering,), {"answer": staticmethod(answer), "seen": []})
    with serving(handler) as host:
        yield host


@contextmanager
def serving(handler: Callable[..., socketserver.BaseRequestHandler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def xml_page(names: list[str], marker: str = "") -> bytes:
    blobs = "".join(f"<Blob><Name>{name}</Name><Properties/></Blob>" for name in names)
    inside = f"<Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker>"
    return f"<?xml version='1.0'?><EnumerationResults>{inside}</EnumerationResults>".encode()


@contextmanager
def relay(port: int, refuses: Callable[[str, str], bool]) -> Iterator[str]:
    """Stands before a server of this machine; what it refuses, by method and path, is answered with 503."""

    class Relay(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if refuses(self.command, self.path):
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as behind:
                behind.request(self.command, self.path, body, dict(self.headers))
                answer = behind.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - so the server looks for them

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Relay) as host:
        yield host
