"""Tokens of other issuers, which the operator trusts: their keys, how they change, what happens when nobody answers."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import AccessDenied, UserError, ValidationFailed
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.identity.tokens.trust import read_trust
from batchpoint.settings import Settings
from batchpoint.store.store import Store, open_store
from tests.forged_tokens import forge, jwk, rsa_key
from tests.websites import site

EVE = "55555555-5555-5555-5555-555555555555"
HERE, INVOKE = "/batchpoint/v1/info", "/endpoints/e/jobs"
DAY_S = 86_400
HOUR_S = 3600


@dataclass
class Issuer:
    """An OpenID provider on this machine: what it shows can be changed, and it counts the questions."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk(rsa_key())])
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        self.asked.append(path)
        if path in self.answers:
            status, body = self.answers[path]
            return status, "application/json", body
        shown: dict[str, Any] = {"keys": self.keys}
        if path == "/.well-known/openid-configuration":
            shown = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return 200, "application/json", json.dumps(shown).encode()

    def token(self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, number: int = 0) -> str:
        """A good one, but for what is said; ``number`` is that of the key that signs."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": "api://here", "sub": EVE, "exp": now + 7 * DAY_S, "iat": now, "azp": "app"}
        said = {name: value for name, value in {**usual, **(claims or {})}.items() if value is not None}
        return forge(said, rsa_key(2048, number), {"typ": "JWT", **(header or {})})


@dataclass
class World:
    """A home that trusts an issuer."""

    home: Path
    store: Store
    issuer: Issuer
    at: float = field(default_factory=time.time)

    def trusts(self, more: str = "", profile: str = "oidc") -> Authority:
        """As a server on the home that starts now."""
        block = f'[[issuer]]\nurl = "{self.issuer.url}"\nprofile = "{profile}"\naudiences.management = ["api://here"]\n'
        (self.home / "issuers.toml").write_text(block + more)
        return Authority(self.store, Settings(home=self.home), lambda: self.at)

    def knows(self, name: str = "eve", **changed: Any) -> Principal:
        return self.store.create_principal(Principal(id=EVE, name=name, issuer=self.issuer.url, **changed))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with issuing() as issuer, open_store(tmp_path) as store:
        yield World(tmp_path, store, issuer)


@contextmanager
def issuing() -> Iterator[Issuer]:
    issuer = Issuer()
    with site(issuer.answer) as host:
        issuer.url = f"http://{host}"
        yield issuer


def refused(authority: Authority, token: str, path: str = HERE) -> str:
    with pytest.raises(AccessDenied) as caught:
        authority.identify(token, path)
    return caught.value.message


def test_a_user_of_a_trusted_issuer_is_known_by_the_object_id(world: World) -> None:
    world.knows()
    authority = world.trusts()
    assert authority.identify(world.issuer.token(), HERE).name == "eve"
    assert authority.identify(world.issuer.token({"aud": ["x", "api://here"]}), HERE).name == "eve"
    assert world.issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_nobody_comes_in_whom_nobody_let_in(world: World, caplog: pytest.LogCaptureFixture) -> None:
    authority = world.trusts()
    assert "not known here" in refused(authority, world.issuer.token())
    assert [record.object_id for record in caplog.records] == [EVE]  # type: ignore[attr-defined]
    world.store.create_principal(Principal(id=EVE, name="of another issuer", issuer="https://other"))
    assert "not known here" in refused(authority, world.issuer.token())
    world.store.replace_principal(Principal(id=EVE, name="of another issuer"))
    assert "not known here" in refused(authority, world.issuer.token())
    world.store.replace_principal(Principal(id=EVE, name="eve", issuer=world.issuer.url, disabled=True))
    assert "disabled" in refused(authority, world.issuer.token())


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "api://other"},
        {"aud": "https://management.azure.com"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"nbf": 9_999_999_999},
        {"events": {}},
        {"at_hash": "x"},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"sub": None},
        {"sub": None, "oid": EVE},
        {"sub": [EVE]},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(world: World, claims: dict[str, Any]) -> None:
    world.knows()
    refused(world.trusts(), world.issuer.token(claims))


def test_an_audience_is_good_for_what_the_operator_says_alone(world: World) -> None:
    world.knows()
    authority = world.trusts('audiences.ml = ["api://invoke"]\n')
    assert "Audiences" in refused(authority, world.issuer.token(), INVOKE)
    assert authority.identify(world.issuer.token({"aud": "api://invoke"}), INVOKE).name == "eve"
    assert "Audiences" in refused(authority, world.issuer.token({"aud": "api://invoke"}))


def test_entra_is_believed_for_its_own_claims(world: World) -> None:
    world.knows()
    authority = world.trusts(profile="entra")
    good = {"oid": EVE, "sub": "pairwise", "tid": "t", "ver": "2.0"}
    assert authority.identify(world.issuer.token(good), HERE).name == "eve"
    assert authority.identify(world.issuer.token({**good, "azp": None, "appid": "a"}), HERE).name == "eve"
    for name in ("tid", "ver", "azp"):
        assert "Entra" in refused(authority, world.issuer.token({**good, name: None}))
    refused(authority, world.issuer.token({**good, "oid": "pairwise", "sub": EVE}))
    assert "access token" in refused(authority, world.issuer.token(good, {"typ": ""}))


def test_the_strict_profile_wants_tokens_that_say_what_they_are(world: World) -> None:
    world.knows()
    authority = world.trusts(profile="at+jwt")
    good = {"client_id": "c", "jti": "j"}
    assert authority.identify(world.issuer.token(good, {"typ": "at+JWT"}), HERE).name == "eve"
    assert authority.identify(world.issuer.token(good, {"typ": "application/at+jwt"}), HERE).name == "eve"
    assert "access token" in refused(authority, world.issuer.token(good))
    assert "RFC 9068" in refused(authority, world.issuer.token({"jti": "j"}, {"typ": "at+jwt"}))


def test_many_unknown_keys_are_one_question_and_addresses_in_tokens_none(world: World) -> None:
    world.knows()
    authority = world.trusts()
    authority.identify(world.issuer.token(), HERE)
    asked = len(world.issuer.asked)
    for number in range(50):
        refused(authority, world.issuer.token(header={"kid": f"unknown-{number}"}))
        refused(authority, world.issuer.token(header={"jku": f"{world.issuer.url}/evil", "kid": "x"}))
        refused(authority, world.issuer.token(header={"kid": "../../evil"}))
    assert len(world.issuer.asked) == asked
    world.at += 31
    for number in range(50):
        refused(authority, world.issuer.token(header={"kid": f"unknown-{number}"}))
    assert world.issuer.asked[asked:] == ["/.well-known/openid-configuration", "/keys"]


def test_a_new_key_is_taken_up_and_one_that_is_withdrawn_is_refused_within_the_hour(world: World) -> None:
    world.knows()
    authority = world.trusts()
    old, new = world.issuer.token(), world.issuer.token(header={"kid": "key-2"}, number=1)
    authority.identify(old, HERE)
    world.issuer.keys = [jwk(rsa_key(2048, 1), "key-2")]
    world.at += 31
    assert authority.identify(new, HERE).name == "eve"
    assert "not known" in refused(authority, old)
    world.issuer.keys = []
    world.at += HOUR_S + 1
    assert "not known" in refused(authority, new)


def test_an_issuer_that_is_down_is_believed_for_a_day_also_by_a_server_that_starts_meanwhile(world: World) -> None:
    world.knows()
    world.trusts().identify(world.issuer.token(), HERE)
    world.issuer.answers = {"/.well-known/openid-configuration": (500, b""), "/keys": (500, b"")}
    world.at += DAY_S - 60
    authority = world.trusts()
    assert authority.identify(world.issuer.token(), HERE).name == "eve"
    assert "not known" in refused(authority, world.issuer.token(header={"kid": "other"}))
    world.at += 120
    assert "not known" in refused(authority, world.issuer.token())
    world.issuer.answers = {}
    world.at += 31
    assert authority.identify(world.issuer.token(), HERE).name == "eve"


def test_an_issuer_that_was_never_there_lets_nobody_in_and_breaks_nothing(world: World) -> None:
    world.knows()
    world.issuer.answers = {"/.well-known/openid-configuration": (404, b"")}
    authority = world.trusts()
    assert "not known" in refused(authority, world.issuer.token())
    local = world.store.create_principal(Principal(id="66666666-6666-6666-6666-666666666666", name="local"))
    assert authority.identify(authority.issue(local, "management")[0], HERE).name == "local"


@pytest.mark.parametrize(
    "configuration",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"issuer": "https://other", "jwks_uri": "URL/keys"}',
        b'{"issuer": "URL"}',
        b'{"issuer": "URL", "jwks_uri": "file:///etc/passwd"}',
        b'{"issuer": "URL", "jwks_uri": "http://169.254.169.254/latest"}',
        b'{"issuer": "URL", "jwks_uri": "http://10.0.0.1/keys"}',
        b'{"issuer": "URL", "jwks_uri": "http://[::1]:9/keys"}',
        b'{"issuer": "URL", "jwks_uri": "http://localhost:9/keys"}',
        b'{"issuer": "URL", "jwks_uri": "gopher://x"}',
    ],
)
def test_an_issuer_cannot_lead_us_elsewhere(world: World, configuration: bytes) -> None:
    world.knows()
    configuration = configuration.replace(b"URL", world.issuer.url.encode())
    world.issuer.answers = {"/.well-known/openid-configuration": (200, configuration)}
    assert "not known" in refused(world.trusts(), world.issuer.token())
    assert "/keys" not in world.issuer.asked


def test_an_issuer_cannot_have_us_ask_a_neighbour_that_would_answer(world: World) -> None:
    world.knows()
    with issuing() as neighbour:
        for host in (neighbour.url, neighbour.url.replace("127.0.0.1", "localhost")):
            said = json.dumps({"issuer": world.issuer.url, "jwks_uri": f"{host}/keys"}).encode()
            world.issuer.answers = {"/.well-known/openid-configuration": (200, said)}
            assert "not known" in refused(world.trusts(), world.issuer.token())
        assert neighbour.asked == []


@pytest.mark.parametrize(
    "keys", [b"", b"{}", b'{"keys": 1}', b'{"keys": [1, {"kty": "oct", "k": "eA", "kid": "key-1"}]}', b"x" * (1 << 21)]
)
def test_what_is_no_set_of_keys_is_not_taken(world: World, keys: bytes) -> None:
    world.knows()
    world.issuer.answers = {"/keys": (200, keys)}
    assert "not known" in refused(world.trusts(), world.issuer.token())


def test_keys_can_stand_in_a_file(world: World) -> None:
    world.knows()
    (world.home / "keys.json").write_text(json.dumps({"keys": world.issuer.keys}))
    assert world.trusts('jwks_file = "keys.json"\n').identify(world.issuer.token(), HERE).name == "eve"
    assert world.issuer.asked == []


def test_a_program_is_vouched_for_by_issuer_subject_and_audience_together(world: World) -> None:
    ci = Principal(id=EVE, name="ci", kind="service_principal", client_id="77777777-7777-7777-7777-777777777777")
    world.store.create_principal(ci)
    vouched = (
        f'[[federation]]\nprincipal = "ci"\nissuer = "{world.issuer.url}"\nsubject = "repo:x"\naudience = "api://y"\n'
    )
    authority = world.trusts(vouched)
    good = {"sub": "repo:x", "aud": "api://y"}
    assert authority.federated(world.issuer.token(good)) == ci
    for wrong in ({"sub": "repo:x2"}, {"aud": "api://here"}, {"sub": None}):
        with pytest.raises(AccessDenied, match=r"No \[\[federation\]\]"):
            authority.federated(world.issuer.token({**good, **wrong}))
    for wrong in ({"iss": "https://evil"}, {"exp": 1}, {"aud": None}):
        with pytest.raises(AccessDenied):
            authority.federated(world.issuer.token({**good, **wrong}))
    with pytest.raises(AccessDenied):
        authority.federated(world.issuer.token(good, number=1))


def test_mistakes_in_the_file_are_listed_together(tmp_path: Path) -> None:
    (tmp_path / "issuers.toml").write_text(
        """
        colour = "red"
        [[issuer]]
        url = "http://idp.example"
        profile = "okta"
        audiences.everything = ["x"]
        audiences.ml = "x"
        [[issuer]]
        url = "https://idp.example/?a=b"
        jwks_file = "missing.json"
        [[issuer]]
        uri = "https://idp.example"
        [[federation]]
        principal = "ci"
        issuer = "https://unknown.example"
        subject = 1
        """
    )
    with pytest.raises(ValidationFailed) as caught:
        read_trust(tmp_path)
    assert {problem.key for problem in caught.value.problems} == {
        *("issuer[0].url", "issuer[0].profile", "issuer[0].audiences.everything", "issuer[0].audiences.ml"),
        *("issuer[1].url", "issuer[1].jwks_file", "issuer[2].url", "issuer[2].uri", "colour"),
        *("federation[0].subject", "federation[0].audience", "federation[0].issuer"),
    }
    (tmp_path / "issuers.toml").write_text("[[issuer")
    with pytest.raises(UserError, match="not valid TOML"):
        read_trust(tmp_path)
