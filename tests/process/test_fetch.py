"""A single file over http, from a real server on this machine."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.errors import InputUnreadable
from batchpoint.storage.web.fetch import FetchLimits, fetch_file

DATA = b"rows\n" * 100_000
AT_ONCE = FetchLimits(pause_s=0)


class Site(http.server.BaseHTTPRequestHandler):
    """Answers each path in its own way."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_GET(self) -> None:
        type(self).seen.append(self.path)
        match self.path.partition("?")[0]:
            case "/rows.csv":
                self._send(200, DATA)
            case "/moved":
                self._send(302, b"", "/rows.csv?x=1")
            case "/inside":
                self._send(302, b"", f"http://localhost:{self.server.server_port}/rows.csv")  # type: ignore[attr-defined]
            case "/odd":
                self._send(302, b"", "file:///etc/passwd")
            case "/round":
                self._send(302, b"", "/round")
            case "/shaky" if len(type(self).seen) < 2:
                self._send(503, b"")
            case "/shaky":
                self._send(200, b"at last")
            case "/short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"too little")
                self.close_connection = True
            case _:
                self._send(404, b"")

    def _send(self, status: int, body: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    Site.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_whole_and_only_once(site: str, tmp_path: Path) -> None:
    path = fetch_file(f"http://{site}/rows.csv?sig=a", tmp_path / "input", site)
    assert path == tmp_path / "input" / "rows.csv"
    assert path.read_bytes() == DATA
    fetch_file(f"http://{site}/rows.csv?sig=a", tmp_path / "input", "127.0.0.1")
    assert Site.seen == ["/rows.csv?sig=a"]


def test_redirects_are_followed_and_the_first_name_is_kept(site: str, tmp_path: Path) -> None:
    path = fetch_file(f"http://{site}/moved", tmp_path, site)
    assert (path.name, path.read_bytes()) == ("moved", DATA)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/none?sig=secret", "answered 404"),
        ("/inside", "localhost is a private or local host"),
        ("/odd", "no http or https address"),
        ("/round", "more than 10 redirects"),
        ("/short", "3 attempts"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(site: str, tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(InputUnreadable, match=told) as raised:
        fetch_file(f"http://{site}{path}", tmp_path, site, AT_ONCE)
    assert "secret" not in raised.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_busy_for_a_moment_is_asked_again(site: str, tmp_path: Path) -> None:
    assert fetch_file(f"http://{site}/shaky", tmp_path, site, AT_ONCE).read_bytes() == b"at last"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"]
)
def test_a_host_inside_is_refused_however_it_is_written(site: str, tmp_path: Path, host: str) -> None:
    port = site.rpartition(":")[2]
    with pytest.raises(InputUnreadable, match="input_hosts_allowed"):
        fetch_file(f"http://{host}:{port}/rows.csv", tmp_path)
    assert Site.seen == []


def test_a_file_larger_than_the_limit_is_stopped(site: str, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="larger than 1,000 bytes"):
        fetch_file(f"http://{site}/rows.csv", tmp_path, site, FetchLimits(max_bytes=1000))
    assert list(tmp_path.iterdir()) == []


def test_a_download_slower_than_the_limit_is_stopped(site: str, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="longer than 0 s"):
        fetch_file(f"http://{site}/rows.csv", tmp_path, site, FetchLimits(total_s=0))
