"""Addresses that a user names lead into no private network: however they are written, redirected or resolved."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from batchpoint.errors import InputUnreadable
from batchpoint.storage.web import hosts
from batchpoint.storage.web.fetch import FetchLimits, Visitor, fetch_file

AT_ONCE = FetchLimits(pause_s=0)
INSIDE = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost", "localhost."),
    *("127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]"),
    *("169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fe80::1]"),
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "192.0.0.1", "[fc00::1]", "[fd00::1]"),
    *("224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]"),
    *("[64:ff9b:1::7f00:1]", "[::ffff:0:127.0.0.1]", "[fec0::1]", "[2001:0:7f00:1::]"),
]


@pytest.mark.parametrize("host", INSIDE)
def test_no_spelling_of_a_private_address_is_asked(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match=r"private or local host|cannot be read|cannot be resolved"):
        fetch_file(f"http://{host}:9/secret", tmp_path, limits=AT_ONCE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://user:word@example.com/x",
        "http://example.com:0/x",
        "http://example.com:99999/x",
        "http:///x",
        "http://exa\tmple.com/\nx",
        "file:///etc/passwd",
        "gopher://example.com/x",
        "http://[::1/x",
    ],
)
def test_an_address_that_is_none_is_not_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="is not asked"):
        fetch_file(url, tmp_path, limits=AT_ONCE)


@contextmanager
def site(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """A website on loopback: its port, and the headers of each request that it got."""
    seen: list[dict[str, str]] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
            answer(self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def redirect(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def secret(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "6")
    request.end_headers()
    request.wfile.write(b"secret")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_a_private_network_is_not_followed(status: int, tmp_path: Path) -> None:
    with site(secret) as (inside, asked):
        with (
            site(redirect(f"http://127.0.0.1:{inside}/", status)) as (port, _),
            pytest.raises(InputUnreadable, match="private or local host"),
        ):
            fetch_file(f"http://127.0.0.1:{port}/x", tmp_path, f"127.0.0.1:{port}", AT_ONCE)
        assert asked == []


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:word@127.0.0.1/"])
def test_a_redirect_to_what_is_no_web_address_is_not_followed(to: str, tmp_path: Path) -> None:
    with (
        site(redirect(to)) as (port, _),
        pytest.raises(InputUnreadable, match="is not asked"),
    ):
        fetch_file(f"http://127.0.0.1:{port}/x", tmp_path, f"127.0.0.1:{port}", AT_ONCE)


class Downgrading(Visitor):
    """Gets the same answer from everywhere."""

    @contextmanager
    def _response(self, url: str, attempt: int, headers: dict[str, str]) -> Iterator[httpx.Response]:
        yield httpx.Response(302, headers={"location": "http://example.com/x"})


def test_a_redirect_from_https_to_http_is_not_followed(tmp_path: Path) -> None:
    with Downgrading() as visitor, pytest.raises(InputUnreadable, match="from https to http"):
        visitor.download("https://example.com/x", tmp_path / "x")


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    with (
        site(redirect("/again")) as (port, asked),
        pytest.raises(InputUnreadable, match="more than 10 redirects"),
    ):
        fetch_file(f"http://127.0.0.1:{port}/x", tmp_path, f"127.0.0.1:{port}", AT_ONCE)
    assert len(asked) <= 11


Resolver = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What the name server answers for a name, one list of addresses after the other; the last again and again."""
    answers: dict[str, list[list[str]]] = {}
    ask: Resolver = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: object, **more: object) -> list[tuple[object, ...]]:
        if host not in answers:
            return ask(host, port, *rest, **more)
        known = answers[host]
        found = known.pop(0) if len(known) > 1 else known[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


def test_one_private_address_among_public_ones_is_enough_to_refuse(names: dict[str, list[list[str]]]) -> None:
    names["many.example"] = [["93.184.216.34", "10.0.0.1"]]
    with pytest.raises(InputUnreadable, match=r"private or local host \(10\.0\.0\.1\)"):
        hosts.addresses(hosts.checked("http://many.example/x"), "")


def test_a_name_that_changes_its_address_after_the_check_leads_to_the_checked_one(
    names: dict[str, list[list[str]]], tmp_path: Path
) -> None:
    """The first answer is checked, and a second one, into this machine, is asked for by nobody."""
    with site(secret) as (inside, asked):
        names["rebinding.example"] = [["192.88.99.255"], ["127.0.0.1"]]
        limits = FetchLimits(pause_s=0, connect_s=0.2)
        with pytest.raises(InputUnreadable):
            fetch_file(f"http://rebinding.example:{inside}/x", tmp_path, limits=limits)
        assert asked == []


def test_nothing_of_ours_goes_along_and_nothing_of_an_internal_answer_is_repeated(tmp_path: Path) -> None:
    def refuse(request: BaseHTTPRequestHandler) -> None:
        request.send_response(403)
        request.end_headers()
        request.wfile.write(b"internal-secret-page")

    with site(refuse) as (port, asked), pytest.raises(InputUnreadable) as refused:
        fetch_file(f"http://127.0.0.1:{port}/x?sig=canary", tmp_path, f"127.0.0.1:{port}", AT_ONCE)
    assert not {"authorization", "cookie", "proxy-authorization"} & set(asked[0])
    assert "internal-secret" not in refused.value.message
    assert "canary" not in refused.value.message
