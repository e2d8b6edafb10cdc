"""Every route, over a socket: without a token nothing answers but what is written down here."""

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import APIRouter

from batchpoint.errors import InternalError
from batchpoint.server.identity.openings import OPENINGS
from batchpoint.server.identity.policy import refuse_unguarded
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from tests.callers import every_route
from tests.process.servers import Server, serving

#: Whoever opens a route changes this list, and says why in ``openings``.
OPEN = {
    "GET HEAD": {
        "/schemas",
        "/schemas/{name}",
        "/healthz",
        "/discovery",
        "/metadata/endpoints",
        "/common/discovery/instance",
        "/{tenant}/.well-known/openid-configuration",
        "/{tenant}/v2.0/.well-known/openid-configuration",
        "/{tenant}/discovery/keys",
        "/{tenant}/discovery/v2.0/keys",
        "/pages/{name}",
    },
    "GET HEAD POST": {"/login"},
    "GET": {"/msi/token"},
    "POST": {"/{tenant}/oauth2/token", "/{tenant}/oauth2/v2.0/token", "/logout"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
VALUES = {"subscription": DEFAULT_SUBSCRIPTION, "group": "default", "workspace": "default", "segment": "models"}
ROUTES = sorted({template for _, template in every_route()})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("walk") / "home"
    home.mkdir()
    with serving(home, BATCHPOINT_SUPERVISOR_IDLE_S="0.2") as found:
        yield found


@pytest.fixture
def walker(server: Server) -> Iterator["Walker"]:
    found = Walker(server)
    yield found
    found.close()


class Walker:
    """One connection after the other, on which lines are sent as they are."""

    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def status(self, method: str, path: str, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._connection.request(method, path, headers=headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def path_of(template: str) -> str:
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: VALUES.get(found[1], "x1"), template)


def is_open(method: str, template: str) -> bool:
    return any(method in methods.split() and template in templates for methods, templates in OPEN.items())


def variants(path: str) -> list[str]:
    """Spellings of a path by which a guard that looks at texts is led astray."""
    front, _, last = path.rpartition("/")
    return [
        f"{path}/",
        f"{front}//{last}",
        f"/{path}",
        path.upper(),
        f"{front or '/'}%2f{last}",
        f"{front}/./{last}",
        f"{front}/x/../{last}",
        f"{path};a=b",
        f"/schemas/..{path}",
        f"{path}%00",
    ]


def test_the_list_of_what_is_open_is_the_one_that_the_gate_goes_by() -> None:
    written = {(method, path) for methods, paths in OPEN.items() for path in paths for method in methods.split()}
    assert {(method, path) for path, methods in OPENINGS.items() for method in methods} == written
    assert {path for _, path in written} <= set(ROUTES)


def test_without_a_token_every_route_answers_401_whatever_the_method(walker: Walker) -> None:
    wrong = {
        (method, template): status
        for template in ROUTES
        for method in METHODS
        if (status := walker.status(method, path_of(template))) != 401 and not is_open(method, template)
    }
    assert not wrong
    closed = {
        (method, template)
        for method, template in every_route()
        if is_open(method, template) and walker.status(method, path_of(template)) in (401, 403, 404, 405)
    }
    # Names that are nobody's, and what asks for a secret or a sign of its own.
    names = {("GET", "/schemas/{name}"), ("GET", "/pages/{name}"), ("HEAD", "/pages/{name}")}
    tokens = {("POST", template) for template in OPEN["POST"]}
    assert closed <= names | tokens | {("GET", "/msi/token"), ("POST", "/login")}


def test_no_spelling_of_a_path_leads_around_the_gate(walker: Walker) -> None:
    templates = [template for template in ROUTES if not any(is_open(method, template) for method in METHODS)]
    assert len(templates) > 60
    paths = {variant for template in templates for variant in variants(path_of(template))}
    wrong = {path: status for path in sorted(paths) if (status := walker.status("GET", path)) != 401}
    assert not wrong


def test_a_wrong_token_is_as_good_as_none_and_the_right_one_opens(server: Server, walker: Walker) -> None:
    right = (server.home / "token").read_text().strip()
    for template in ROUTES:
        if not is_open("GET", template):
            assert walker.status("GET", path_of(template), right[:-1]) == 401, template
    for path in ("/batchpoint/v1/info", "/subscriptions", path_of(ROUTES[-1])):
        assert walker.status("GET", path, right) != 401
    for path in ("/nothing/here", "/", "/batchpointer", "/robots.txt"):
        assert walker.status("GET", path) == 401
        assert walker.status("GET", path, right) in (200, 303, 307, 404)


def test_a_route_that_nobody_has_decided_about_keeps_the_server_from_starting() -> None:
    router = APIRouter()
    router.get("/batchpoint/v1/brand-new")(lambda: None)
    with pytest.raises(InternalError, match="GET /batchpoint/v1/brand-new has no policy"):
        refuse_unguarded([router])
    mounted = APIRouter()
    mounted.mount("/somewhere", APIRouter())
    with pytest.raises(InternalError, match="no route that a policy can stand in front of"):
        refuse_unguarded([mounted])
