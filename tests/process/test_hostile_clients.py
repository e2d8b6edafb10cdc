"""Clients that send too much, too slowly, or what can be read in two ways: refused, each with an error of one shape."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from tests.process.servers import SPACE, Server, serving

QUICK = {
    "BATCHPOINT_HEAD_PATIENCE_S": "1",
    "BATCHPOINT_SLOW_CLIENT_PATIENCE_S": "1",
    "BATCHPOINT_IDLE_CONNECTION_S": "2",
}
ENDPOINT = f"{SPACE}/batchEndpoints/abused"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that is patient for a second only."""
    with serving(tmp_path_factory.mktemp("homes") / "home", **QUICK) as found:
        yield found


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    url = httpx.URL(server.url)
    with closing(socket.create_connection((url.host, url.port or 0), timeout=30)) as connection:
        yield connection


def head(server: Server, method: str = "PUT", path: str = ENDPOINT, *lines: str) -> bytes:
    token = (server.home / "token").read_text().strip()
    said = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *lines]
    return "\r\n".join([*said, "", ""]).encode()


def whole_answer(connection: socket.socket) -> bytes:
    """Until the server closes the connection."""
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer in the shape that all errors have."""
    start, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    request_id = error["additionalInfo"][0]["info"]["value"]["request"]
    assert f"x-ms-request-id: {request_id}".encode() in start.lower()
    assert b"connection: close" in start.lower()
    return int(start.split()[1]), error["code"]


AMBIGUOUS = {
    "a length and chunks": ["Content-Length: 2", "Transfer-Encoding: chunked"],
    "two lengths": ["Content-Length: 2", "Content-Length: 3"],
    "the same length twice": ["Content-Length: 2", "Content-Length: 2"],
    "a list of lengths": ["Content-Length: 2, 2"],
    "a negative length": ["Content-Length: -1"],
    "a length with a sign": ["Content-Length: +2"],
    "a header in two lines": ["X-Long: one", " two"],
    "an unknown coding": ["Transfer-Encoding: gzip, chunked"],
    "a coding in disguise": ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    "a space before the colon": ["Content-Length : 2"],
    "a control character": ["X-Bad: a\x00b"],
    "no name": [": nothing"],
}


@pytest.mark.parametrize("lines", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered(
    server: Server, lines: list[str]
) -> None:
    with connected(server) as connection:
        connection.sendall(head(server, "PUT", ENDPOINT, *lines) + b"{}" + head(server, "GET"))
        answer = whole_answer(connection)
    assert refusal(answer) == (400, "RequestMalformed")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ],
    ids=["bare line feeds", "an absolute address", "not HTTP at all"],
)
def test_what_is_no_request_to_this_server_is_refused(server: Server, first: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(first)
        assert refusal(whole_answer(connection)) == (400, "RequestMalformed")


@pytest.mark.parametrize(
    "lines",
    [["X-Long: " + "x" * (33 << 10)], [f"X-{number}: x" for number in range(101)], [f"X: {'y' * 500}"] * 90],
    ids=["one long header", "many headers", "much together"],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_headers_have_a_length_and_a_number_however_they_arrive(
    server: Server, lines: list[str], at_once: bool
) -> None:
    sent = head(server, "GET", ENDPOINT, *lines)
    with connected(server) as connection:
        for start in range(0, len(sent), len(sent) if at_once else 1000):
            connection.sendall(sent[start : start + (len(sent) if at_once else 1000)])
            if not at_once:
                time.sleep(0.001)
        assert refusal(whole_answer(connection)) == (431, "RequestHeadTooLarge")


def test_headers_as_long_as_they_may_be_are_read(server: Server) -> None:
    with server.client() as client:
        assert client.get(f"{SPACE}/jobs", headers={"X-Long": "x" * (31 << 10)}).status_code == 200
        assert client.get(f"{SPACE}/jobs", headers={f"X-{n}": "x" for n in range(90)}).status_code == 200


SLOW = {
    "nothing at all": (b"", None),
    "half a line": (b"GET /", (408, "RequestTooSlow")),
    "half of the headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", (408, "RequestTooSlow")),
}


@pytest.mark.parametrize(("sent", "told"), SLOW.values(), ids=SLOW)
def test_a_connection_that_does_not_get_to_the_end_of_its_headers_is_closed(
    server: Server, sent: bytes, told: tuple[int, str] | None
) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        answer = whole_answer(connection)
    assert (refusal(answer) if told else answer) == (told or b"")


def test_headers_that_trickle_are_cut_off_although_something_always_comes(server: Server) -> None:
    with connected(server) as connection, pytest.raises(OSError):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            time.sleep(0.1)


@pytest.mark.parametrize("lines", [["Content-Length: 1000"], ["Transfer-Encoding: chunked"]], ids=["length", "chunks"])
def test_a_body_that_does_not_come_is_not_waited_for(server: Server, lines: list[str]) -> None:
    with connected(server) as connection:
        connection.sendall(head(server, "PUT", ENDPOINT, *lines) + (b"1\r\n{\r\n" if "chunked" in lines[0] else b"{"))
        assert refusal(whole_answer(connection)) == (408, "RequestTooSlow")


def test_one_who_does_not_read_the_answers_is_cut_off(server: Server) -> None:
    with server.client() as client:
        client.put(ENDPOINT, json={"properties": {"description": "x" * 4000, "authMode": "AADToken"}})
    with connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        asked = head(server, "GET")
        with pytest.raises(ConnectionError):
            while True:
                connection.sendall(asked * 100)


def test_slow_sockets_in_hundreds_disturb_nobody_and_are_gone_after_their_time(server: Server) -> None:
    url = httpx.URL(server.url)
    slow = [socket.create_connection((url.host, url.port or 0), timeout=30) for _ in range(300)]
    try:
        for one in slow:
            one.sendall(b"GET / HTTP/1.1\r\nHost:")
        with server.client() as client:
            assert all(client.get(f"{SPACE}/jobs").status_code == 200 for _ in range(20))
        assert {refusal(whole_answer(one)) for one in slow} == {(408, "RequestTooSlow")}
    finally:
        for one in slow:
            one.close()


BOMBS = {
    "deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not a number": b'{"a": NaN}',
    "endless": b'{"a": -Infinity}',
    "a huge exponent": b'{"a": 1e400}',
    "a huge integer": b'{"a": ' + b"9" * 1_000_000 + b"}",
    "a key twice": b'{"properties": {}, "properties": {"description": "other"}}',
    "no UTF-8": b'{"a": "\xff"}',
    "a string without an end": b'{"a": "' + b'\\"' * 1_000_000,
    "commas": b'{"a": [' + b"," * 1_000_000,
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_json_that_is_none_or_means_harm_is_refused(server: Server, body: bytes) -> None:
    with server.client(timeout_s=20) as client:
        answer = client.put(ENDPOINT, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserError")


def test_a_million_keys_and_a_byte_order_mark_are_read(server: Server) -> None:
    many = {f"k{number}": 1 for number in range(400_000)}
    with server.client() as client:
        for body in (json.dumps({"properties": {"authMode": "AADToken"}, "more": many}), '\ufeff{"properties": {}}'):
            assert client.put(ENDPOINT, content=body.encode()).status_code in (200, 201)


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "in chunks"])
def test_a_json_body_has_a_length(server: Server, announced: bool) -> None:
    piece = b" " * (1 << 20)
    with server.client() as client:
        sent = piece * 9 if announced else iter([piece] * 9)
        answer = client.put(ENDPOINT, content=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestTooLarge")


def test_chunks_without_end_are_cut_off(server: Server) -> None:
    with connected(server) as connection, pytest.raises(OSError):
        connection.sendall(head(server, "PUT", ENDPOINT, "Transfer-Encoding: chunked"))
        while True:
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


def test_an_upload_that_breaks_off_leaves_nothing_behind(server: Server) -> None:
    path = f"/batchpoint/v1/uploads/{'0' * 64}/model/weights.bin"
    with connected(server) as connection:
        connection.sendall(head(server, "PUT", path, "Content-Length: 1000000") + b"x" * 200_000)
        connection.shutdown(socket.SHUT_WR)
        whole_answer(connection)
    left = [one for one in (server.home / "uploads").rglob("*") if one.is_file()]
    assert left == []


def test_methods_that_a_route_does_not_have_are_named(server: Server) -> None:
    with server.client() as client:
        answer = client.request("DELETE", f"{SPACE}/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "MethodNotAllowed")
    assert "GET" in answer.headers["allow"]


def test_what_clients_do_is_no_fault_of_the_server(server: Server) -> None:
    """Runs last: whatever the tests above did, the server has logged no fault, and still answers."""
    assert not [line for line in server.said().splitlines() if '"ERROR"' in line]
    with server.client() as client:
        assert client.get(f"{SPACE}/jobs").status_code == 200
