"""Users, service principals, roles and who gives them to whom; and the log of all that."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batchpoint.in_process import IN_PROCESS_URL, InProcessTransport
from batchpoint.server.app import create_app
from batchpoint.server.identity.home import token_of
from batchpoint.server.identity.secrets import proves
from batchpoint.server.identity.tokens.attempts import FAILURES_MOST
from batchpoint.server.transport.audit import LINE_BYTES, line_of
from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from batchpoint.store.store import open_store
from tests.callers import GROUP, Callers, callers_on, workspace

HERE, THERE = workspace("here"), workspace("there")
ROLES, GIVEN, USERS, PROGRAMS = (f"/batchpoint/v1/{word}" for word in ("roles", "assignments", "users", "principals"))
ML = "Microsoft.MachineLearningServices/workspaces"


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    home: Path = tmp_path_factory.mktemp("people") / "home"
    home.mkdir(mode=0o700)
    with callers_on(home) as found:
        yield found


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def give(client: httpx.Client, whom: str, role: str, scope: str) -> httpx.Response:
    return client.post(GIVEN, json={"principal": whom, "role": role, "scope": scope})


def test_a_secret_is_shown_once_and_kept_as_a_hash(callers: Callers) -> None:
    made = callers.owner.post(PROGRAMS, json={"name": "nightly", "days": 2}).json()
    assert {"id", "clientId", "tenant", "password", "expiresAt"} <= made.keys()
    assert proves(callers.store, made["id"], "client_secret", made["password"])
    for path in (PROGRAMS, f"{PROGRAMS}/nightly", f"{PROGRAMS}/{made['clientId']}", "/batchpoint/v1/audit"):
        assert made["password"] not in callers.owner.get(path).text
    kept = b"".join(p.read_bytes() for p in callers.settings.home.rglob("*") if p.is_file())
    assert made["password"].encode() not in kept
    second = callers.owner.post(f"{PROGRAMS}/nightly/secrets", json={"append": True}).json()["password"]
    assert proves(callers.store, made["id"], "client_secret", made["password"])
    third = callers.owner.post(f"{PROGRAMS}/nightly/secrets", json={}).json()["password"]
    good = [proves(callers.store, made["id"], "client_secret", one) for one in (made["password"], second, third)]
    assert good == [False, False, True]
    assert callers.owner.delete(f"{PROGRAMS}/nightly/secrets").status_code == 200
    assert not proves(callers.store, made["id"], "client_secret", third)
    assert callers.owner.delete(f"{PROGRAMS}/nightly/secrets").status_code == 204


def test_names_are_unique_and_nobody_is_called_what_somebody_else_is_known_by(callers: Callers) -> None:
    known = callers.owner.post(PROGRAMS, json={"name": "known"}).json()
    assert code(callers.owner.post(USERS, json={"name": "KNOWN"})) == (409, "ResourceConflict")
    for name in (known["clientId"], known["id"], "owner", "Owner", "", "a b", "x\n", "é", "../x", "a" * 101, "-x"):
        assert code(callers.owner.post(USERS, json={"name": name})) == (400, "InvalidReference"), name
    assert callers.owner.get(f"{USERS}/known").status_code == 404
    assert callers.owner.get(f"{PROGRAMS}/Known").json()["id"] == known["id"]
    assert callers.owner.delete(f"{PROGRAMS}/known").status_code == 200
    assert callers.owner.delete(f"{PROGRAMS}/known").status_code == 204


def test_one_of_another_issuer_has_no_secret_here(callers: Callers) -> None:
    body = {"name": "far", "issuer": "https://idp.example", "id": "oid-1"}
    made = callers.owner.post(USERS, json=body).json()
    assert (made["id"], made["issuer"]) == ("oid-1", "https://idp.example")
    assert "password" not in made
    assert code(callers.owner.post(f"{USERS}/far/secrets", json={})) == (409, "ResourceConflict")
    assert code(callers.owner.post(USERS, json={"name": "far2", "issuer": "https://idp.example"}))[0] == 400
    assert code(callers.owner.post(USERS, json={**body, "name": "far3"}))[0] == 409


def test_nobody_gives_more_than_they_have_nor_further(callers: Callers) -> None:
    callers.of("target")
    owner_here = callers.of("owner-here", "Owner", HERE)
    contributor = callers.of("contributor", "Contributor", "/")
    limited = {"actions": [f"{ML}/models/*", "Microsoft.Authorization/roleAssignments/*"]}
    assert callers.owner.put(f"{ROLES}/usher", json=limited).status_code == 201
    usher = callers.of("usher", "usher", HERE)
    modeller = {"actions": [f"{ML}/models/read"]}
    assert callers.owner.put(f"{ROLES}/modeller", json=modeller).status_code == 201
    refused = [
        give(contributor, "target", "Reader", HERE),
        give(owner_here, "target", "Reader", THERE),
        give(owner_here, "target", "Reader", GROUP),
        give(owner_here, "target", "Reader", "/"),
        give(usher, "target", "Reader", HERE),
        give(usher, "usher", "Owner", HERE),
        give(usher, "usher", "usher", "/"),
        give(callers.of("target"), "target", "Owner", HERE),
    ]
    assert [code(answer) for answer in refused] == [(403, "AuthorizationFailed")] * len(refused)
    assert give(owner_here, "target", "Owner", HERE).status_code == 201
    assert give(usher, "target", "modeller", HERE).status_code == 201
    assert give(usher, "target", "modeller", f"{HERE}/").status_code == 200
    # A role is everybody's: whoever changes it must be able to give it everywhere.
    for client in (owner_here, usher, contributor):
        assert code(client.put(f"{ROLES}/modeller", json={"actions": ["*"]})) == (403, "AuthorizationFailed")
        assert code(client.post(USERS, json={"name": "sock"})) == (403, "AuthorizationFailed")


def test_what_a_role_withholds_cannot_be_given_by_who_has_it_withheld(callers: Callers) -> None:
    rest = {"actions": ["*"], "notActions": [f"{ML}/datastores/listSecrets/action"]}
    assert callers.owner.put(f"{ROLES}/nearly", json=rest).status_code == 201
    nearly = callers.of("nearly", "nearly", "/")
    callers.of("friend")
    wider = {"all": ["*"], "secrets": [f"{ML}/datastores/*"], "exact": [f"{ML}/datastores/LISTSECRETS/action"]}
    for name, actions in wider.items():
        assert code(nearly.put(f"{ROLES}/{name}", json={"actions": actions})) == (403, "AuthorizationFailed"), name
    assert code(give(nearly, "friend", "Owner", "/")) == (403, "AuthorizationFailed")
    assert give(nearly, "friend", "nearly", HERE).status_code == 201
    assert nearly.put(f"{ROLES}/models", json={"actions": [f"{ML}/models/*"]}).status_code == 201


def test_the_secret_of_somebody_stronger_is_not_to_be_had(callers: Callers) -> None:
    directory = {"actions": ["Microsoft.Authorization/principals/*", f"{ML}/read"]}
    assert callers.owner.put(f"{ROLES}/registrar", json=directory).status_code == 201
    registrar = callers.of("registrar", "registrar", "/")
    callers.of("boss", "Owner", HERE)
    callers.of("weak", "registrar", HERE)
    for path in ("secrets", "disable", "enable"):
        assert code(registrar.post(f"{USERS}/boss/{path}", json={})) == (403, "AuthorizationFailed"), path
    for path in (f"{USERS}/boss", f"{USERS}/boss/secrets"):
        assert code(registrar.delete(path)) == (403, "AuthorizationFailed")
    # One who is disabled has all that again when somebody enables them.
    assert callers.owner.post(f"{USERS}/boss/disable").json()["disabled"] is True
    assert code(registrar.post(f"{USERS}/boss/secrets", json={})) == (403, "AuthorizationFailed")
    assert registrar.post(f"{USERS}/weak/secrets", json={}).status_code == 201
    assert callers.owner.post(f"{USERS}/boss/enable").json()["disabled"] is False
    connected = registrar.post("/batchpoint/v1/connections", json={"principal": "boss"})
    assert code(connected) == (403, "AuthorizationFailed")
    assert registrar.post("/batchpoint/v1/connections", json={"principal": "weak"}).status_code == 201


def test_a_role_is_one_of_names_and_stars_and_is_not_deleted_under_those_who_have_it(callers: Callers) -> None:
    for actions in ([], ["x"], ["a/[b]"], ["a/?"], ["a/b c"], ["/a"], ["a/" + "b" * 300], ["a/b"] * 201):
        assert code(callers.owner.put(f"{ROLES}/bad", json={"actions": actions})) == (400, "InvalidReference"), actions
    for method in ("PUT", "DELETE"):
        answer = callers.owner.request(method, f"{ROLES}/reader", json={"actions": ["*"]})
        assert code(answer) == (409, "ResourceConflict")
    assert callers.owner.put(f"{ROLES}/held", json={"actions": ["a/b"]}).status_code == 201
    callers.of("holder", "HELD", HERE)
    assert code(callers.owner.delete(f"{ROLES}/held")) == (409, "ResourceConflict")
    (given,) = callers.owner.get(f"{GIVEN}?principal=holder").json()["value"]
    assert callers.owner.delete(f"{GIVEN}/{given['id']}").status_code == 200
    assert callers.owner.delete(f"{ROLES}/held").status_code == 200
    for scope in ("", "here", "/subscriptions", f"{HERE}/models/m", "/subscriptions/s/resourceGroups/g\nx", "/x" * 300):
        assert code(give(callers.owner, "holder", "Reader", scope)) == (400, "InvalidReference"), scope


def test_assignments_are_shown_to_whom_they_are_about_and_to_who_may_read_them(callers: Callers) -> None:
    seen = callers.of("seen", "Invoker", HERE).get(GIVEN).json()["value"]
    assert [(one["principalName"], one["role"]) for one in seen] == [("seen", "Invoker")]
    other = callers.of("other-place", "Owner", THERE)
    assert {one["scope"] for one in other.get(GIVEN).json()["value"]} == {THERE}
    assert other.delete(f"{GIVEN}/{seen[0]['id']}").status_code == 204
    assert code(callers.of("seen").delete(f"{GIVEN}/{seen[0]['id']}")) == (403, "AuthorizationFailed")


def test_every_change_and_every_refusal_stands_in_the_log_and_no_reading(callers: Callers) -> None:
    log = callers.settings.home / "audit.log"
    before = len(log.read_bytes().splitlines())
    client = callers.of("reader", "Reader", HERE)
    after_setup = len(log.read_bytes().splitlines())
    assert after_setup == before + 2
    client.get(HERE)
    answer = client.delete(f"{HERE}/models/m?sig=secret", headers={"User-Agent": "x"})
    httpx.Client(base_url=client.base_url, transport=callers.transport).post("/endpoints/e/jobs")
    denied, unknown = (json.loads(line) for line in log.read_bytes().splitlines()[after_setup:])
    principal = callers.store.find_principal("reader")
    assert principal is not None
    assert denied["requestId"] == answer.headers["x-ms-request-id"]
    assert {key: denied[key] for key in ("caller", "objectId", "action", "scope", "method", "path", "status")} == {
        "caller": "reader",
        "objectId": principal.id,
        "action": f"{ML}/models/delete",
        "scope": HERE,
        "method": "DELETE",
        "path": f"{HERE}/models/m",
        "status": 403,
    }
    assert (unknown["caller"], unknown["status"], unknown["address"]) == ("", 401, "127.0.0.1")
    assert b"secret" not in log.read_bytes().splitlines()[-2]
    assert callers.owner.get("/batchpoint/v1/audit?top=1").json()["value"][0]["requestId"] == unknown["requestId"]
    assert code(client.get("/batchpoint/v1/audit")) == (403, "AuthorizationFailed")


def test_an_upload_is_one_line_however_many_files_it_has(home: Path) -> None:
    with open_store(home) as store:
        transport = InProcessTransport(create_app(Settings(home=home), store), store)
        owner = {"Authorization": f"Bearer {token_of(home)}"}
        client = httpx.Client(base_url=IN_PROCESS_URL, transport=transport, headers=owner)
        upload = f"/batchpoint/v1/uploads/{DEFAULT_SUBSCRIPTION}/default/default/{'a' * 64}"
        for name in ("one", "two"):
            assert client.put(f"{upload}/images/{name}.png", content=b"x").status_code == 201
        assert client.put(f"{upload}/../images", content=b"x").status_code >= 400
        assert client.post(f"{upload}/images").status_code >= 400
        lines = [json.loads(line) for line in (home / "audit.log").read_bytes().splitlines()]
        assert [(line["method"], line["status"] >= 400) for line in lines] == [("PUT", True), ("POST", True)]


def test_strangers_who_are_refused_again_and_again_fill_no_disk(home: Path) -> None:
    with open_store(home) as store:
        transport = InProcessTransport(create_app(Settings(home=home), store), store)
        stranger = httpx.Client(base_url=IN_PROCESS_URL, transport=transport)
        for _ in range(FAILURES_MOST + 5):
            assert stranger.post("/endpoints/e/jobs").status_code == 401
        assert len((home / "audit.log").read_bytes().splitlines()) == FAILURES_MOST
        owner = {"Authorization": f"Bearer {token_of(home)}"}
        stranger.delete("/batchpoint/v1/users/nobody", headers=owner)
        assert json.loads((home / "audit.log").read_bytes().splitlines()[-1])["isOwner"]


@pytest.mark.parametrize("text", ["\n", "\r\n{}", "\x1b[31m", "\u2028", '"', "\x7f", "\udc80", "\U0001f600", "x"])
def test_a_line_of_the_log_is_one_line_whatever_stands_in_a_request(text: str) -> None:
    entry = {"path": text * 100_000, "caller": text * 500, "scope": text * 9000, "status": 403, "requestId": "r"}
    line = line_of(entry)
    assert len(line) <= LINE_BYTES
    assert line.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in line[:-1])
    assert json.loads(line)["status"] == 403
