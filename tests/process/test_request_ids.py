"""Every answer has a request id, whoever gave it, and so has what the server logs meanwhile, each on one line."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import StoreUnavailable
from batchpoint.in_process import InProcessTransport
from batchpoint.server.app import create_app
from batchpoint.server.transport.log_lines import JsonLines
from batchpoint.settings import Settings
from batchpoint.store.store import open_store
from tests.process.servers import SPACE, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("homes") / "home") as found:
        yield found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{SPACE}/batchEndpoints", 200),
        ("GET", f"{SPACE}/batchEndpoints/absent", 404),
        ("GET", "/no/such/route", 404),
        ("TRACE", f"{SPACE}/batchEndpoints", 405),
        ("GET", "/batchpoint/v1/jobs/absent/logs/x?offset=none", 400),
    ],
)
def test_every_answer_has_an_id_and_an_error_repeats_it(server: Server, method: str, path: str, status: int) -> None:
    with server.client() as client:
        first, second = (client.request(method, path) for _ in range(2))
    assert first.status_code == status
    assert first.headers["x-ms-request-id"] != second.headers["x-ms-request-id"]
    if status >= 400:
        error = first.json()["error"]
        assert {"code", "message", "details"} <= error.keys()
        assert error["additionalInfo"][0]["info"]["value"] == {"request": first.headers["x-ms-request-id"]}


def test_one_who_is_not_let_in_gets_an_id_too(server: Server) -> None:
    answer = httpx.get(f"{server.url}{SPACE}/batchEndpoints")
    assert answer.status_code == 401
    assert answer.json()["error"]["additionalInfo"][0]["info"]["value"]["request"] == answer.headers["x-ms-request-id"]


def test_the_id_of_a_client_comes_back_only_when_it_looks_like_one(server: Server) -> None:
    with server.client() as client:
        for given, back in (("my-request.1", "my-request.1"), ("<script>", None), ("x" * 129, None)):
            answer = client.get("/schemas", headers={"x-ms-client-request-id": given})
            assert answer.headers.get("x-ms-client-request-id") == back


def test_a_fault_of_ours_is_in_the_log_by_its_id_and_tells_strangers_nothing_of_the_machine(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(home) as store:
        app = create_app(Settings(home=home), store)
        app.add_api_route("/boom", lambda: Path("/secret/place/of/ours").read_bytes())
        stranger = httpx.Client(transport=InProcessTransport(app, store), base_url="http://localhost")
        answer = stranger.get(app.state.plane.links.signed("/boom"))
        owner = stranger.get("/boom", headers={"Authorization": f"Bearer {(home / 'token').read_text().strip()}"})
    assert (answer.status_code, owner.status_code) == (500, 500)
    assert "/secret/place" in owner.json()["error"]["message"]
    assert "/secret" not in answer.text
    assert "Traceback" not in answer.text + owner.text
    assert answer.headers["x-ms-request-id"] in answer.text
    assert "/secret/place" in caplog.text


def test_a_store_that_cannot_say_who_asks_is_told_without_its_place_and_when_to_ask_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: str) -> None:
        raise StoreUnavailable("/secret/place/batchpoint.db is locked")

    with open_store(home) as store:
        app = create_app(Settings(home=home), store)
        ana = store.create_principal(Principal(id="11111111-1111-1111-1111-111111111111", name="ana"))
        token, _ = app.state.authority.issue(ana, "management")
        monkeypatch.setattr(store, "get_principal", broken)
        client = httpx.Client(transport=InProcessTransport(app, store), base_url="http://localhost")
        answer = client.get("/subscriptions", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "/secret" not in answer.text and answer.headers["x-ms-request-id"] in answer.text
    assert "/secret/place" in caplog.text


HOSTILE = ["one\ntwo", "\r\x1b]0;title\x07", "\u2028\u202e", '"}\n{"level": "INFO"', "x" * (1 << 20)]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_one_event_is_one_line_of_plain_ascii_however_long_or_hostile_its_words_are(hostile: str) -> None:
    try:
        raise ValueError(hostile)
    except ValueError:
        record = logging.LogRecord("batchpoint.x", logging.ERROR, __file__, 1, "about %s", (hostile,), sys.exc_info())
    record.path = hostile
    line = JsonLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 16_000
    assert json.loads(line)["level"] == "ERROR"
