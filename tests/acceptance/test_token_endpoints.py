"""How programs get tokens from a server that runs: with the clients that people have, and with bad intent."""

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from tests.forged_tokens import forge, jwk, parts_of, rsa_key
from tests.process.servers import SPACE, Server, serving
from tests.websites import site

TENANT = "99999999-9999-9999-9999-999999999999"
SUBJECT = "repo:team/project"
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests here; it trusts an issuer whose keys stand in a file."""
    home = tmp_path_factory.mktemp("endpoints") / "home"
    home.mkdir()
    (home / "ci.json").write_text(json.dumps({"keys": [jwk(rsa_key())]}))
    (home / "issuers.toml").write_text(
        f"""
        [[issuer]]
        url = "https://ci.example"
        jwks_file = "ci.json"
        audiences.management = ["api://batchpoint"]
        [[federation]]
        principal = "ci"
        issuer = "https://ci.example"
        subject = "{SUBJECT}"
        audience = "api://AzureADTokenExchange"
        """
    )
    with serving(home, BATCHPOINT_SUPERVISOR_IDLE_S="0.2") as server:
        yield server


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def ci(owner: httpx.Client) -> dict[str, str]:
    """A service principal that may read."""
    made = owner.post("/batchpoint/v1/principals", json={"name": "ci"}).raise_for_status().json()
    _may_read(owner, made["id"])
    return {"id": made["id"], "client_id": made["clientId"], "client_secret": made["password"]}


def _may_read(owner: httpx.Client, principal: str) -> None:
    assigned = {"principal": principal, "role": "Reader", "scope": "/"}
    owner.post("/batchpoint/v1/assignments", json=assigned).raise_for_status()


@pytest.fixture(scope="module")
def anybody(server: Server) -> Iterator[httpx.Client]:
    """Somebody without a token, over TLS."""
    trusted = ssl.create_default_context(cafile=server.home / "tls" / "ca.pem")
    with httpx.Client(base_url=server.https, verify=trusted) as client:
        yield client


@pytest.fixture
def reads(server: Server, anybody: httpx.Client) -> Callable[[str], int]:
    """The status of a read of ours with a token."""

    def read(token: str, path: str = f"{SPACE}/models") -> int:
        return anybody.get(path, headers={"Authorization": f"Bearer {token}"}).status_code

    return read


@pytest.fixture
def trusting(server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a client that believes the server's certificate and knows of no other identity."""
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.home / "tls" / "ca.pem"))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    return monkeypatch


def scope(server: Server) -> str:
    return f"{server.https}/.default"


def asks(anybody: httpx.Client, **form: str) -> httpx.Response:
    return anybody.post(f"/{TENANT}/oauth2/v2.0/token", data={"grant_type": "client_credentials", **form})


def test_the_secret_credential_of_the_sdk_works(
    server: Server, ci: dict[str, str], trusting: pytest.MonkeyPatch, reads: Callable[..., int]
) -> None:
    credential = ClientSecretCredential(
        TENANT, ci["client_id"], ci["client_secret"], authority=server.https, disable_instance_discovery=True
    )
    token = credential.get_token(scope(server))
    assert reads(token.token) == 200
    assert parts_of(token.token)[1]["oid"] == ci["id"]
    assert 3000 < token.expires_on - time.time() <= 3600
    assert reads(credential.get_token("https://ml.azure.com/.default").token) == 401
    wrong = ClientSecretCredential(
        TENANT, ci["client_id"], "wrong", authority=server.https, disable_instance_discovery=True
    )
    with pytest.raises(ClientAuthenticationError, match="not known"):
        wrong.get_token(scope(server))


@pytest.mark.parametrize(
    "variables",
    [
        {"AZURE_AUTHORITY_HOST": "URL", "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_ID": "ID", "AZURE_CLIENT_SECRET": "S"},
        {
            "AZURE_AUTHORITY_HOST": "URL",
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": "ID",
            "AZURE_FEDERATED_TOKEN_FILE": "FILE",
        },
    ],
    ids=["adfs", "federated"],
)
def test_the_default_credential_works_unchanged_for_a_service_principal(
    server: Server,
    ci: dict[str, str],
    trusting: pytest.MonkeyPatch,
    reads: Callable[..., int],
    tmp_path: Path,
    variables: dict[str, str],
) -> None:
    (tmp_path / "token").write_text(vouched())
    words = {"URL": server.https, "ID": ci["client_id"], "S": ci["client_secret"], "FILE": str(tmp_path / "token")}
    for name, value in variables.items():
        trusting.setenv(name, words.get(value, value))
    token = DefaultAzureCredential().get_token(scope(server)).token
    assert reads(token) == 200
    assert parts_of(token)[1]["appid"] == ci["client_id"]


def vouched(**changed: Any) -> str:
    """What the build system writes into a file."""
    now = int(time.time())
    claims = {"iss": "https://ci.example", "sub": SUBJECT, "aud": "api://AzureADTokenExchange", "exp": now + 600}
    return forge({**claims, "iat": now, **changed}, rsa_key(), {"typ": "JWT"})


@pytest.mark.parametrize(
    ("endpoint", "secret"), [("IDENTITY_ENDPOINT", "IDENTITY_HEADER"), ("MSI_ENDPOINT", "MSI_SECRET")]
)
def test_the_default_credential_works_unchanged_as_a_managed_identity(
    server: Server,
    owner: httpx.Client,
    trusting: pytest.MonkeyPatch,
    reads: Callable[..., int],
    endpoint: str,
    secret: str,
) -> None:
    issued = owner.post("/batchpoint/v1/connections", json={}).json()
    assert issued["principal"] == "owner"
    trusting.setenv(endpoint, f"{server.https}/msi/token")
    trusting.setenv(secret, issued["identity_header"])
    assert reads(DefaultAzureCredential().get_token(scope(server)).token) == 200
    token = ManagedIdentityCredential().get_token("https://ml.azure.com/.default").token
    assert reads(token, "/endpoints/none/jobs") == 404
    assert reads(token) == 401


def test_msal_gets_a_token_for_a_user_with_a_password(
    server: Server, owner: httpx.Client, anybody: httpx.Client, reads: Callable[..., int]
) -> None:
    made = owner.post("/batchpoint/v1/users", json={"name": "ana"}).json()
    _may_read(owner, made["id"])
    application = msal.ConfidentialClientApplication(
        "any", authority=f"{server.https}/adfs", http_client=Requests(anybody), instance_discovery=False
    )
    found = application.acquire_token_by_username_password("ana", made["password"], [scope(server)])
    assert reads(found["access_token"]) == 200
    assert parts_of(found["access_token"])[1]["idtyp"] == "user"
    assert application.acquire_token_by_username_password("ana", "wrong", [scope(server)])["error"] == "invalid_grant"


class Requests:
    """What MSAL asks of a client for HTTP, on one that believes the server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        return self._client.get(url, params=params, headers=headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        return self._client.post(url, params=params, data=data, headers=headers)


def test_the_older_endpoint_answers_in_texts(
    server: Server, ci: dict[str, str], anybody: httpx.Client, reads: Callable[..., int]
) -> None:
    form = {"grant_type": "client_credentials", "resource": "https://management.azure.com/"}
    login = {name: ci[name] for name in ("client_id", "client_secret")}
    answer = anybody.post(f"/{TENANT}/oauth2/token", data={**form, **login})
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.json()
    assert (found["expires_in"], found["resource"]) == ("3600", "https://management.azure.com/")
    assert int(found["expires_on"]) - int(found["not_before"]) == 3600
    assert reads(found["access_token"]) == 200
    basic = anybody.post(f"/{TENANT}/oauth2/token", data=form, auth=(ci["client_id"], ci["client_secret"]))
    assert reads(basic.json()["access_token"]) == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({}, 401, "invalid_client"),
        ({"client_id": "x" * 5000, "client_secret": "\x00' OR 1=1 --"}, 401, "invalid_client"),
        ({"client_assertion": "a.b.c"}, 401, "invalid_client"),
        ({"grant_type": "password", "username": "nobody", "password": "x"}, 400, "invalid_grant"),
        ({"x" * 70_000: "y"}, 413, "invalid_request"),
        ({f"f{number}": "y" for number in range(60)}, 400, "invalid_request"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_the_words_of_oauth(
    anybody: httpx.Client, form: dict[str, str], status: int, error: str
) -> None:
    answer = asks(anybody, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"].endswith(".")


def test_a_form_that_says_something_twice_is_refused(anybody: httpx.Client) -> None:
    body = b"grant_type=client_credentials&client_id=a&client_id=b"
    assert anybody.post("/adfs/oauth2/token", content=body).json()["error"] == "invalid_request"
    assert anybody.post("/adfs/oauth2/token", content=b"\xff\xfe").json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": "repo:evil/project"},
        {"aud": "api://batchpoint"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
    ],
)
def test_an_assertion_must_fit_in_issuer_subject_and_audience(
    anybody: httpx.Client, ci: dict[str, str], changed: dict[str, Any]
) -> None:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"client_id": ci["client_id"], "client_assertion_type": kind, "scope": "https://ml.azure.com/.default"}
    assert asks(anybody, **form, client_assertion=vouched()).status_code == 200
    wrong = asks(anybody, **form, client_assertion=vouched(**changed))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    other = asks(anybody, **{**form, "client_id": "other"}, client_assertion=vouched())
    assert other.content == wrong.content


def test_a_user_of_a_trusted_issuer_comes_in_with_its_token_and_has_no_secret_here(
    server: Server, owner: httpx.Client, anybody: httpx.Client, reads: Callable[..., int]
) -> None:
    token = vouched(sub="eve-at-ci", aud="api://batchpoint")
    assert reads(token) == 401
    assert '"object_id": "eve-at-ci"' in server.said()
    eve = {"name": "eve", "issuer": "https://ci.example", "id": "eve-at-ci"}
    assert "password" not in owner.post("/batchpoint/v1/users", json=eve).raise_for_status().json()
    assert reads(token) == 403
    _may_read(owner, "eve-at-ci")
    assert reads(token) == 200
    assert reads(vouched(sub="eve-at-ci")) == reads(token, "/endpoints/none/jobs") == 401
    connected = anybody.post("/batchpoint/v1/connections", json={}, headers={"Authorization": f"Bearer {token}"})
    assert connected.status_code == 404


def test_resources_of_others_get_no_token(anybody: httpx.Client, ci: dict[str, str]) -> None:
    login = {name: ci[name] for name in ("client_id", "client_secret")}
    answer = asks(anybody, **login, scope="https://graph.microsoft.com/.default")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_resource")
    assert asks(anybody, **login, scope=f"{anybody.base_url}/.default openid profile").status_code == 200


def test_whoever_guesses_learns_nothing_and_must_wait(server: Server, owner: httpx.Client, ci: dict[str, str]) -> None:
    trusted = ssl.create_default_context(cafile=server.home / "tls" / "ca.pem")
    victim = owner.post("/batchpoint/v1/principals", json={"name": "victim"}).json()
    answers: dict[str, set[tuple[int, bytes]]] = {"known": set(), "unknown": set()}
    with httpx.Client(base_url=server.https, verify=trusted) as guesser:
        for _ in range(20):
            for who, client in (("known", victim["clientId"]), ("unknown", TENANT)):
                answer = asks(guesser, client_id=client, client_secret="guess")
                answers[who].add((answer.status_code, answer.content))
        assert answers["known"] == answers["unknown"]
        assert {status for status, _ in answers["known"]} == {401}
        limited = asks(guesser, client_id=victim["clientId"], client_secret=victim["password"])
        assert limited.status_code == 429
        assert 0 < int(limited.headers["Retry-After"]) <= 61
        login = {name: ci[name] for name in ("client_id", "client_secret")}
        assert asks(guesser, **login, scope="https://ml.azure.com/.default").status_code == 200
    told = [json.loads(line)["client"] for line in server.said().splitlines() if "login refused" in line]
    assert 1 <= len(told) <= 20


def test_who_is_disabled_is_out_at_once_and_for_good(
    owner: httpx.Client, anybody: httpx.Client, reads: Callable[..., int]
) -> None:
    made = owner.post("/batchpoint/v1/principals", json={"name": "leaving"}).json()
    _may_read(owner, made["id"])
    header = owner.post("/batchpoint/v1/connections", json={"principal": "leaving"}).json()["identity_header"]
    login = {"client_id": made["clientId"], "client_secret": made["password"]}

    def comes_in() -> tuple[int, int]:
        asked = {"resource": "https://management.azure.com", "api-version": "2019-08-01"}
        managed = anybody.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": header})
        return managed.status_code, asks(anybody, **login, scope="https://ml.azure.com/.default").status_code

    token = asks(anybody, **login, scope="https://management.azure.com/.default").json()["access_token"]
    assert (reads(token), comes_in()) == (200, (200, 200))
    owner.post("/batchpoint/v1/principals/leaving/disable").raise_for_status()
    assert (reads(token), comes_in()) == (401, (401, 401))
    owner.post("/batchpoint/v1/principals/leaving/enable").raise_for_status()
    assert reads(token) == 200
    owner.delete("/batchpoint/v1/principals/leaving").raise_for_status()
    assert (reads(token), comes_in()) == (401, (401, 401))


def test_nobody_speaks_for_others_without_being_allowed_to(
    owner: httpx.Client, anybody: httpx.Client, ci: dict[str, str]
) -> None:
    login = {name: ci[name] for name in ("client_id", "client_secret")}
    token = asks(anybody, **login, scope="https://management.azure.com/.default").json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    own = anybody.post("/batchpoint/v1/connections", json={}, headers=headers)
    assert (own.status_code, own.json()["principal"]) == (201, "ci")
    for other in ("owner", "ana", "nobody", "victim"):
        answer = anybody.post("/batchpoint/v1/connections", json={"principal": other}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert anybody.post("/batchpoint/v1/keys/rotate", headers=headers).status_code == 403


def test_connections_end_when_their_principal_says_so(
    owner: httpx.Client, anybody: httpx.Client, ci: dict[str, str]
) -> None:
    login = {name: ci[name] for name in ("client_id", "client_secret")}
    token = asks(anybody, **login, scope="https://management.azure.com/.default").json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def opens(identity_header: str) -> int:
        asked = {"resource": "https://ml.azure.com"}
        return anybody.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": identity_header}).status_code

    own, of_owner = (
        anybody.post("/batchpoint/v1/connections", json={}, headers=who).json()["identity_header"]
        for who in (headers, dict(owner.headers))
    )
    assert anybody.delete("/batchpoint/v1/connections?principal=owner", headers=headers).status_code == 404
    assert anybody.delete("/batchpoint/v1/connections", headers=headers).status_code == 200
    assert (opens(own), opens(of_owner)) == (401, 200)
    assert owner.delete("/batchpoint/v1/connections").status_code == 200
    assert opens(of_owner) == 401
    assert owner.delete("/batchpoint/v1/connections").status_code == 204


def test_keys_can_be_changed_and_all_tokens_be_revoked(
    server: Server, owner: httpx.Client, anybody: httpx.Client, reads: Callable[..., int]
) -> None:
    header = {"X-IDENTITY-HEADER": owner.post("/batchpoint/v1/connections", json={}).json()["identity_header"]}

    def issued() -> str:
        answer = anybody.get("/msi/token", params={"resource": server.https}, headers=header)
        return str(answer.raise_for_status().json()["access_token"])

    before = issued()
    kid = owner.post("/batchpoint/v1/keys/rotate").raise_for_status().json()["kid"]
    after = issued()
    assert parts_of(after)[0]["kid"] == kid != parts_of(before)[0]["kid"]
    shown = anybody.get(f"/{TENANT}/discovery/v2.0/keys").json()["keys"]
    assert {parts_of(token)[0]["kid"] for token in (before, after)} <= {key["kid"] for key in shown}
    assert reads(before) == reads(after) == 200
    owner.post("/batchpoint/v1/keys/rotate", json={"revoke": True}).raise_for_status()
    assert reads(before) == reads(after) == 401
    assert reads(issued()) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic b3duZXI6VE9LRU4="},
        {"Authorization": "TOKEN"},
        {"Authorization": "Token TOKEN"},
        {"Authorization": "Bearer TOKENx"},
        {"Authorization": "Bearer TOKEN TOKEN"},
        {"Authorization": "Bearer \xe9"},
        {"Cookie": "token=TOKEN; Authorization=Bearer TOKEN"},
        {"X-IDENTITY-HEADER": "TOKEN"},
    ],
)
def test_nothing_but_a_bearer_token_in_its_header_opens_the_api(
    server: Server, anybody: httpx.Client, headers: dict[str, str]
) -> None:
    token = (server.home / "token").read_text().strip()
    filled = {name: value.replace("TOKEN", token).encode("latin-1") for name, value in headers.items()}
    for path in (f"{SPACE}/models", "/endpoints/e/jobs", "/batchpoint/v1/info"):
        answer = anybody.get(path, headers=filled, params={"access_token": token, "token": token})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("header", ["kid", "jku", "x5u"])
def test_an_address_in_a_token_is_never_asked(
    server: Server, anybody: httpx.Client, reads: Callable[..., int], header: str
) -> None:
    asked: list[str] = []
    with site(lambda path: asked.append(path) or (200, "application/json", b"{}")) as host:  # type: ignore[func-returns-value]
        issuer = anybody.get("/adfs/.well-known/openid-configuration").json()["issuer"]
        token = forge({"iss": issuer, "exp": 9_999_999_999}, rsa_key(), {header: f"http://{host}/keys"})
        assert reads(token) == 401
    assert asked == []


def test_a_megabyte_of_token_is_refused_and_the_server_lives(server: Server, reads: Callable[..., int]) -> None:
    assert reads("a" * 20_000) == 401
    # It may be closed before all has been sent.
    with contextlib.suppress(httpx.TransportError):
        assert reads("a" * 1_000_000) in {400, 401, 431}
    assert reads((server.home / "token").read_text().strip()) == 200


def test_what_the_server_says_of_itself_needs_no_token(server: Server, anybody: httpx.Client) -> None:
    listed = anybody.get("/metadata/endpoints?api-version=2019-05-01").json()
    single = anybody.get("/metadata/endpoints?api-version=2022-09-01").json()
    assert listed == [single]
    assert (single["name"], single["resourceManager"]) == ("Batchpoint", f"{server.https}/")
    assert single["authentication"]["loginEndpoint"] == server.https
    assert single["suffixes"]["storage"] == server.https.removeprefix("https://")
    for path in (TENANT, f"{TENANT}/v2.0", "adfs", "adfs/v2.0"):
        found = anybody.get(f"/{path}/.well-known/openid-configuration").json()
        assert found["token_endpoint"] == f"{server.https}/{path.removesuffix('/v2.0')}/oauth2/v2.0/token"
    asked = {"authorization_endpoint": f"https://evil.example/{TENANT}/oauth2/v2.0/authorize"}
    instance = anybody.get("/common/discovery/instance", params=asked).json()
    assert instance["tenant_discovery_endpoint"] == f"{server.https}/{TENANT}/v2.0/.well-known/openid-configuration"


def test_no_secret_and_no_token_is_written_anywhere(server: Server, owner: httpx.Client, ci: dict[str, str]) -> None:
    secrets = [ci["client_secret"], (server.home / "token").read_text().strip()]
    secrets.append(owner.post("/batchpoint/v1/connections", json={}).json()["identity_header"])
    assert not [secret for secret in secrets if secret in server.said()]
    written = [path for path in server.home.rglob("*") if path.is_file() and path.name != "token"]
    for path in written:
        content = path.read_bytes()
        assert not [path for secret in secrets if secret.encode() in content]


def test_workload_identity_tells_when_the_assertion_is_for_somebody_else(
    server: Server, ci: dict[str, str], trusting: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(vouched(sub="repo:evil"))
    credential = WorkloadIdentityCredential(
        tenant_id=TENANT,
        client_id=ci["client_id"],
        token_file_path=str(tmp_path / "token"),
        authority=server.https,
        disable_instance_discovery=True,
    )
    with pytest.raises(ClientAuthenticationError, match="not known"):
        credential.get_token(scope(server))


def test_whoever_guesses_identity_headers_must_wait_and_nobody_who_has_one(
    owner: httpx.Client, anybody: httpx.Client
) -> None:
    good = owner.post("/batchpoint/v1/connections", json={}).json()["identity_header"]

    def status(identity_header: str) -> int:
        asked = {"resource": "https://ml.azure.com"}
        return anybody.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": identity_header}).status_code

    seen = {status(f"guess-{number}") for number in range(25)}
    assert seen == {401, 429}
    assert status("guess") == 429
    assert status(good) == 200
