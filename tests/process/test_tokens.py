"""Which tokens this server believes, and which it does not: forged in every way that is known."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batchpoint.entities.identity.principal import Principal
from batchpoint.entities.identity.role import RoleAssignment
from batchpoint.errors import AccessDenied, LimitExceeded, UserError
from batchpoint.server.identity import secrets
from batchpoint.server.identity.caller import OWNER
from batchpoint.server.identity.tokens.attempts import FAILURES_MOST, WINDOW_S, Attempts
from batchpoint.server.identity.tokens.audiences import Audience, audience_named
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.identity.tokens.checks import LEEWAY_S, TOKEN_LIMIT_BYTES, key_of
from batchpoint.settings import Settings
from batchpoint.store.store import open_store
from tests.forged_tokens import b64, forge, forge_symmetric, jwk, parts_of, rsa_key, unsigned

ANA = Principal(id="11111111-1111-1111-1111-111111111111", name="ana")
CI = Principal(
    id="22222222-2222-2222-2222-222222222222",
    name="ci",
    kind="service_principal",
    client_id="33333333-3333-3333-3333-333333333333",
)
HERE, INVOKE, BLOB = "/batchpoint/v1/info", "/endpoints/e/jobs", "/batchpoint/azureml-blobstore/a.csv"


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    at: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.at


@dataclass
class World:
    """An authority, its clock, and what its tokens are made of."""

    authority: Authority
    clock: Clock
    home: Path

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Those of a good token, with changes; None takes a claim out."""
        token, _ = self.authority.issue(ANA, "management")
        return {name: value for name, value in (parts_of(token)[1] | changed).items() if value is not None}

    def signed(self, claims: Any, header: dict[str, Any] | None = None) -> str:
        """By the server's own key: only what it says is wrong."""
        kid, key = self.authority.keys.signing()
        return forge(claims, key, {"kid": kid, **(header or {})})

    def refused(self, token: str, path: str = HERE) -> str:
        """Why."""
        with pytest.raises(AccessDenied) as caught:
            self.authority.identify(token, path)
        assert self.authority.remembered(token, path) is None
        return caught.value.message


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("tokens") / "home"
    home.mkdir()
    clock = Clock(at=float(int(time.time())))
    with open_store(home) as store:
        store.create_principal(ANA)
        store.create_principal(CI)
        store.put_assignment(RoleAssignment(id="a1", principal_id=ANA.id, role="Reader"))
        yield World(Authority(store, Settings(home=home), clock), clock, home)


def test_a_token_is_believed_where_it_was_issued_for_and_tells_who_comes(world: World) -> None:
    token, expires_on = world.authority.issue(ANA, "management")
    caller = world.authority.identify(token, HERE)
    assert (caller.id, caller.name, caller.kind, caller.is_owner) == (ANA.id, "ana", "User", False)
    assert [grant.role.name for grant in caller.grants] == ["Reader"]
    assert world.authority.remembered(token, HERE) == caller
    assert expires_on == int(world.clock()) + 3600
    header, claims, _ = parts_of(token)
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    assert {
        "aud",
        "iss",
        "exp",
        "nbf",
        "iat",
        "tid",
        "oid",
        "appid",
        "azp",
        "sub",
        "name",
        "ver",
        "jti",
    } <= claims.keys()


def test_the_owner_and_programs_have_tokens_of_the_same_kind(world: World) -> None:
    assert world.authority.identify(world.authority.issue(world.authority.owner, "ml")[0], INVOKE) is OWNER
    program = world.authority.identify(world.authority.issue(CI, "storage")[0], BLOB)
    assert (program.name, program.kind, program.grants) == ("ci", "Application", ())


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", None])
@pytest.mark.parametrize("signature", ["", "AA", "own"])
def test_a_token_that_says_it_needs_no_signature_is_refused(world: World, algorithm: Any, signature: str) -> None:
    kid, key = world.authority.keys.signing()
    head = unsigned(world.claims(), {"alg": algorithm, "kid": kid, "typ": "at+jwt"})
    own = b64(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))
    world.refused(f"{head}.{own if signature == 'own' else signature}")


def test_a_public_key_is_no_secret_to_sign_with(world: World) -> None:
    kid, key = world.authority.keys.signing()
    public = key.public_key()
    forms = serialization.PublicFormat
    texts = [
        public.public_bytes(serialization.Encoding.PEM, forms.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, forms.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.PEM, forms.PKCS1),
        json.dumps(world.authority.keys.jwks()["keys"][0]).encode(),
        json.dumps(world.authority.keys.jwks()).encode(),
        b"",
    ]
    for text in texts:
        assert "algorithm" in world.refused(forge_symmetric(world.claims(), text, {"kid": kid}))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "ES256", "HS256", "EdDSA", "rs256", ["RS256"], 1])
def test_the_algorithm_is_that_of_the_key_whatever_the_token_says(world: World, algorithm: Any) -> None:
    assert "algorithm" in world.refused(world.signed(world.claims(), {"alg": algorithm}))


def test_a_signature_of_another_scheme_with_the_right_key_is_refused(world: World) -> None:
    kid, key = world.authority.keys.signing()
    head = unsigned(world.claims(), {"alg": "RS256", "kid": kid, "typ": "at+jwt"})
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    assert "signature" in world.refused(f"{head}.{b64(key.sign(head.encode(), pss, hashes.SHA256()))}")
    assert "signature" in world.refused(f"{head}.{b64(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA384()))}")


def test_a_stranger_cannot_sign_for_us(world: World) -> None:
    kid, _ = world.authority.keys.signing()
    assert "signature" in world.refused(forge(world.claims(), rsa_key(), {"kid": kid}))
    assert "not known" in world.refused(forge(world.claims(), rsa_key()))


@pytest.mark.parametrize(
    "change",
    [
        lambda iss: None,
        lambda iss: f"{iss}/",
        lambda iss: f"{iss}.evil.example",
        lambda iss: iss.upper(),
        lambda iss: iss[:-1],
        lambda iss: [iss],
        lambda iss: {"iss": iss},
        lambda iss: "https://idp.evil",
        lambda iss: 1,
    ],
)
def test_the_issuer_counts_letter_by_letter(world: World, change: Any) -> None:
    assert "issuer" in world.refused(world.signed(world.claims(iss=change(world.authority.issuer))))


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        [],
        "https://management.azure.com/",
        "https://management.azure.com.evil",
        ["https://x"],
        [1],
        {"a": 1},
        7,
    ],
)
def test_a_token_for_somebody_else_is_refused(world: World, aud: Any) -> None:
    world.refused(world.signed(world.claims(aud=aud)))


def test_one_of_several_audiences_is_enough(world: World) -> None:
    token = world.signed(world.claims(aud=["https://other", "https://management.azure.com"]))
    assert world.authority.identify(token, HERE).name == "ana"


@pytest.mark.parametrize("audience", ["management", "ml", "storage"])
@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (HERE, "management"),
        ("/subscriptions/s/resourceGroups/g/providers/p/workspaces/w/jobs", "management"),
        ("/mferp/managementfrontend/subscriptions/s", "ml"),
        ("/history/v1.0/subscriptions/s", "management"),
        (INVOKE, "ml"),
        ("/endpoints/e/jobs/batchjob-1", "ml"),
        (BLOB, "storage"),
        ("/batchpoint/azureml/", "storage"),
        ("/bp0123456789abcdef/azureml-blobstore", "storage"),
        ("/batchpoint/", "storage"),
    ],
)
def test_each_kind_of_route_wants_its_own_audience(world: World, path: str, wanted: str, audience: Audience) -> None:
    token, _ = world.authority.issue(ANA, audience)
    if audience == wanted:
        assert world.authority.identify(token, path).name == "ana"
    else:
        assert world.refused(token, path).startswith("Audiences in JWT are not allowed.")


def test_a_token_that_is_remembered_for_one_audience_is_not_for_another(world: World) -> None:
    token, _ = world.authority.issue(ANA, "management")
    world.authority.identify(token, HERE)
    assert world.authority.remembered(token, INVOKE) is None


@pytest.mark.parametrize(
    ("claim", "offset", "is_good"),
    [
        ("exp", -LEEWAY_S + 1, True),
        ("exp", -LEEWAY_S, False),
        ("exp", -LEEWAY_S - 1, False),
        ("nbf", LEEWAY_S, True),
        ("nbf", LEEWAY_S + 1, False),
        ("iat", LEEWAY_S, True),
        ("iat", LEEWAY_S + 1, False),
        ("iat", 10**9, False),
    ],
)
def test_a_minute_between_two_clocks_is_forgiven_and_no_second_more(
    world: World, claim: str, offset: int, is_good: bool
) -> None:
    token = world.signed(world.claims(**{claim: int(world.clock()) + offset}))
    if is_good:
        assert world.authority.identify(token, HERE).name == "ana"
    else:
        world.refused(token)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["9999999999", 9999999999.5, True, [], {}, None])
def test_a_time_is_a_whole_number(world: World, claim: str, value: Any) -> None:
    assert claim in world.refused(world.signed(world.claims(**{claim: value})))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1", "9" * 5000])
def test_a_number_that_is_none_does_not_make_a_token_good_for_ever(world: World, text: str) -> None:
    claims = json.dumps(world.claims(exp=0)).replace('"exp": 0', f'"exp": {text}')
    world.refused(world.signed(claims))


def test_words_that_are_no_json_and_tokens_without_end_are_refused_though_we_signed_them(world: World) -> None:
    claims = world.claims(x=0)
    world.authority.identify(world.signed(claims), HERE)
    for value in ("NaN", "Infinity"):
        assert "JWT" in world.refused(world.signed(json.dumps(claims).replace('"x": 0', f'"x": {value}')))
    assert "too long" in world.refused(world.signed({**claims, "x": "a" * TOKEN_LIMIT_BYTES}))


@pytest.mark.parametrize("kind", ["JWT", "id_token", "logout+jwt", "", None, 1, "at+jwt2"])
def test_a_token_of_another_kind_is_no_access_token(world: World, kind: Any) -> None:
    assert "access token" in world.refused(world.signed(world.claims(), {"typ": kind}))


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MII"]},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
)
def test_a_token_cannot_tell_us_where_its_key_is_or_how_to_read_it(world: World, header: dict[str, Any]) -> None:
    assert "header" in world.refused(world.signed(world.claims(), header))


@pytest.mark.parametrize(
    "kid", ["unknown", "../../token", "' OR 1=1 --", "x" * 10_000, "", None, 1, ["a"], "\x00", "*"]
)
def test_a_key_is_looked_up_by_its_exact_name(world: World, kid: Any) -> None:
    assert "key" in world.refused(forge(world.claims(), world.authority.keys.signing()[1], {"kid": kid}))


def test_another_spelling_of_a_signature_is_another_token(world: World) -> None:
    token, _ = world.authority.issue(ANA, "management")
    head, _, signature = token.rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    for spelled in (twin, f"{signature}=", f"{signature}\n", f" {signature}", signature[:-4], signature + "AAAA", ""):
        world.refused(f"{head}.{spelled}")


@pytest.mark.parametrize(
    "make",
    [
        lambda good: "",
        lambda good: "x",
        lambda good: "..",
        lambda good: good + ".",
        lambda good: good + "." + good,
        lambda good: "a.b.c.d.e",
        lambda good: good.replace(".", ".."),
        lambda good: "é" + good,
        lambda good: good + "A" * TOKEN_LIMIT_BYTES,
        lambda good: "A" * 1_000_000,
        lambda good: unsigned("[]", '{"alg":"RS256","kid":"k"}') + ".AA",
        lambda good: unsigned("{}", "[]") + ".AA",
        lambda good: unsigned("[" * 5000, '{"alg":"RS256","kid":"k"}') + ".AA",
        lambda good: unsigned('{"a":1', '{"alg":"RS256","kid":"k"}') + ".AA",
        lambda good: b64(b"\xff\xfe") + "." + b64(b"{}") + ".AA",
    ],
)
def test_what_is_not_written_like_a_token_is_none(world: World, make: Any) -> None:
    world.refused(make(world.authority.issue(ANA, "management")[0]))


def test_a_claim_that_stands_there_twice_is_none(world: World) -> None:
    claims = json.dumps(world.claims(oid=CI.id))
    doubled = claims[:-1] + f', "oid": "{ANA.id}"}}'
    world.refused(world.signed(doubled))
    kid, _ = world.authority.keys.signing()
    head = unsigned(world.claims(), f'{{"alg":"RS256","alg":"RS256","kid":"{kid}","typ":"at+jwt"}}')
    world.refused(f"{head}.AA")


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_token_can_be_changed(world: World, position: int, bit: int) -> None:
    token, _ = world.authority.issue(ANA, "management")
    raw = bytearray(token.encode())
    raw[position % len(raw)] ^= 1 << bit
    world.refused(raw.decode("latin-1"))


@given(text=st.text() | st.binary().map(b64) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}"))
def test_whatever_comes_is_refused_and_nothing_breaks(world: World, text: str) -> None:
    world.refused(text)


@given(
    claims=st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "oid", "sub", "typ"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=3
        ),
    )
)
def test_whatever_we_signed_by_mistake_breaks_nothing(world: World, claims: dict[str, Any]) -> None:
    world.refused(world.signed(claims))
    world.refused(world.signed(world.claims(**{**claims, "iss": world.authority.issuer, "oid": None})))


def test_a_principal_that_is_disabled_or_deleted_is_refused_at_once(world: World) -> None:
    store = world.authority.store
    bob = Principal(id="44444444-4444-4444-4444-444444444444", name="bob")
    store.create_principal(bob)
    token, _ = world.authority.issue(bob, "management")
    assert world.authority.identify(token, HERE).name == "bob"
    store.replace_principal(bob.model_copy(update={"disabled": True}))
    assert world.authority.remembered(token, HERE) is None
    assert "disabled" in world.refused(token)
    store.replace_principal(bob.model_copy(update={"issuer": "https://elsewhere.example"}))
    assert "does not exist" in world.refused(token)
    store.replace_principal(bob)
    assert world.authority.identify(token, HERE).name == "bob"
    store.delete_principal(bob.id)
    assert "does not exist" in world.refused(token)


def test_what_was_remembered_is_looked_at_again_after_seconds(world: World) -> None:
    token, _ = world.authority.issue(ANA, "management")
    world.authority.identify(token, HERE)
    began = world.clock.at
    world.clock.at += 4
    assert world.authority.remembered(token, HERE) is not None
    world.clock.at += 2
    assert world.authority.remembered(token, HERE) is None
    world.clock.at = began


def test_a_token_of_a_job_opens_nothing_of_a_user(world: World) -> None:
    token = world.signed(world.claims(aud="urn:batchpoint:job", oid=world.authority.owner.id))
    for path in (HERE, INVOKE, BLOB):
        assert "Audiences" in world.refused(token, path)


def test_a_new_key_signs_and_the_old_one_stays_until_its_last_token_has_expired(tmp_path: Path) -> None:
    clock = Clock()
    with open_store(tmp_path) as store:
        store.create_principal(ANA)
        authority = Authority(store, Settings(home=tmp_path, token_key_days=1.0), clock)
        old, _ = authority.issue(ANA, "management")
        clock.at += 86_400 - 3000
        last, _ = authority.issue(ANA, "management")
        clock.at += 3000
        new, _ = authority.issue(ANA, "management")
        assert parts_of(old)[0]["kid"] == parts_of(last)[0]["kid"] != parts_of(new)[0]["kid"]
        assert [key["kid"] for key in authority.keys.jwks()["keys"]] == [parts_of(t)[0]["kid"] for t in (last, new)]
        assert authority.identify(last, HERE).name == authority.identify(new, HERE).name == "ana"
        clock.at += 3600 + LEEWAY_S + 1
        assert len(authority.keys.jwks()["keys"]) == len(list((tmp_path / "keys/tokens").iterdir())) == 1
        again = Authority(store, Settings(home=tmp_path, token_key_days=1.0), clock)
        assert again.identify(authority.issue(ANA, "ml")[0], INVOKE).name == "ana"


def test_revoking_ends_all_tokens_at_once(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create_principal(ANA)
        authority = Authority(store, Settings(home=tmp_path))
        token, _ = authority.issue(ANA, "management")
        authority.identify(token, HERE)
        authority.rotate()
        assert authority.identify(token, HERE).name == "ana"
        authority.rotate(revoke=True)
        assert authority.remembered(token, HERE) is None
        with pytest.raises(AccessDenied):
            authority.identify(token, HERE)
        files = list((tmp_path / "keys/tokens").iterdir())
        assert [(file.stat().st_mode & 0o777, file.suffix) for file in files] == [(0o600, ".pem")]


def test_a_damaged_key_file_is_told_and_another_key_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_store(tmp_path) as store:
        store.create_principal(ANA)
        token, _ = Authority(store, Settings(home=tmp_path)).issue(ANA, "management")
        (damaged,) = (tmp_path / "keys/tokens").iterdir()
        damaged.write_bytes(damaged.read_bytes()[:200])
        authority = Authority(store, Settings(home=tmp_path))
        with pytest.raises(AccessDenied):
            authority.identify(token, HERE)
        assert str(damaged) in caplog.text and "put it back from a copy" in caplog.text
        new, _ = authority.issue(ANA, "management")
        assert authority.identify(new, HERE).name == "ana"
        assert [key["kid"] for key in authority.keys.jwks()["keys"]] == [parts_of(new)[0]["kid"]]


def test_others_can_check_our_tokens_with_what_we_show(world: World) -> None:
    token, _ = world.authority.issue(ANA, "ml")
    keys = jwt.PyJWKSet.from_dict(world.authority.keys.jwks())
    claims = jwt.decode(token, keys[parts_of(token)[0]["kid"]], ["RS256"], audience="https://ml.azure.com")
    assert claims["oid"] == ANA.id
    assert not {"d", "p", "q", "dp", "dq", "qi"} & world.authority.keys.jwks()["keys"][0].keys()


@pytest.mark.parametrize("lifetime", [0, 59, 86_401, -1])
def test_a_lifetime_that_makes_no_sense_is_refused_with_a_sentence(tmp_path: Path, lifetime: int) -> None:
    with open_store(tmp_path) as store, pytest.raises(UserError, match="token_lifetime_s"):
        Authority(store, Settings(home=tmp_path, token_lifetime_s=lifetime))


@pytest.mark.parametrize(
    ("resource", "audience"),
    [
        ("https://localhost:8443", "management"),
        ("https://LOCALHOST:8443/", "management"),
        ("https://localhost:8443//", "management"),
        ("https://management.azure.com/", "management"),
        ("https://management.core.windows.net/", "management"),
        ("https://ml.azure.com", "ml"),
        ("https://ml.azure.localhost", "ml"),
        ("https://ml.azure.", "ml"),
        ("https://storage.azure.com/", "storage"),
        ("https://management.azure.com.evil", None),
        ("https://localhost.evil", None),
        ("https://localhost:8443/endpoints", None),
        ("https://ml.azure.com@evil", None),
        ("https://graph.microsoft.com", None),
        ("https://[", None),
        ("", None),
    ],
)
def test_what_a_client_asks_a_token_for_is_one_of_three_things(resource: str, audience: str | None) -> None:
    assert audience_named(resource, lambda host: host == "localhost") == audience


def test_keys_that_are_weak_or_no_public_ones_are_not_taken() -> None:
    assert key_of(jwk(rsa_key())) is not None
    assert key_of(jwk(rsa_key(1024))) is None
    assert key_of(jwk(rsa_key(), use="enc")) is None
    assert key_of(jwk(rsa_key(), alg="HS256")) is None
    assert key_of(jwk(rsa_key(), alg="none")) is None
    assert key_of(jwk(rsa_key(), alg="ES256")) is None
    assert key_of({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}) is None
    assert key_of({"kty": "oct", "k": "c2VjcmV0", "kid": "k"}) is None
    assert key_of({"kty": "RSA", "kid": "k", "n": "!", "e": "AQAB"}) is None
    assert key_of({"kty": "RSA", "kid": 1}) is None
    private = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)
    assert key_of({**private, "kid": "k"}) is None
    curve = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    assert key_of({**curve, "kid": "k"}).algorithm == "ES384"  # type: ignore[union-attr]
    assert key_of({**curve, "kid": "k", "alg": "ES256"}) is None


def test_a_secret_is_shown_once_and_kept_as_a_hash(world: World) -> None:
    store = world.authority.store
    first = secrets.create_secret(store, CI.id, "client_secret")
    second = secrets.create_secret(store, CI.id, "client_secret")
    assert len(first.text) >= 43
    assert all(secrets.proves(store, CI.id, "client_secret", one.text) for one in (first, second))
    assert not secrets.proves(store, CI.id, "password", first.text)
    assert not secrets.proves(store, ANA.id, "client_secret", first.text)
    assert not secrets.proves(store, None, "client_secret", first.text)
    assert not secrets.proves(store, CI.id, "client_secret", "")
    assert first.text.encode() not in b"".join(path.read_bytes() for path in world.home.glob("batchpoint.db*"))
    store.delete_credential(first.id)
    assert not secrets.proves(store, CI.id, "client_secret", first.text)
    for _ in range(secrets.SECRETS_MOST - 1):
        secrets.create_secret(store, CI.id, "client_secret")
    with pytest.raises(LimitExceeded):
        secrets.create_secret(store, CI.id, "client_secret")


def test_a_secret_ends_when_its_time_is_over(world: World) -> None:
    store = world.authority.store
    over = secrets.create_secret(store, ANA.id, "password", timedelta(0))
    assert not secrets.proves(store, ANA.id, "password", over.text)
    assert secrets.holder_of(store, "password", over.text) is None
    good = secrets.create_secret(store, ANA.id, "password", timedelta(days=1))
    assert secrets.proves(store, ANA.id, "password", good.text)
    assert [one.id for one in store.credentials_of(ANA.id)] == [good.id]


def test_the_oldest_identity_header_gives_way_to_the_newest(world: World) -> None:
    store = world.authority.store
    issued = [
        secrets.create_secret(store, "p", "identity_header", secrets.IDENTITY_HEADER_LIFETIME)
        for _ in range(secrets.SECRETS_MOST + 1)
    ]
    assert secrets.holder_of(store, "identity_header", issued[0].text) is None
    assert {secrets.holder_of(store, "identity_header", one.text) for one in issued[1:]} == {"p"}
    assert secrets.holder_of(store, "client_secret", issued[1].text) is None


def test_who_fails_too_often_waits_and_nobody_else_does() -> None:
    clock = Clock(at=0.0)
    attempts = Attempts(clock)
    for _ in range(FAILURES_MOST):
        assert attempts.wait_s("1.2.3.4", "Ci") == 0
        attempts.failed("1.2.3.4", "ci")
    assert attempts.wait_s("1.2.3.4", "ci") == WINDOW_S + 1
    assert attempts.wait_s("1.2.3.4", "other") == attempts.wait_s("1.2.3.5", "ci") == 0
    clock.at = WINDOW_S + 1
    assert attempts.wait_s("1.2.3.4", "ci") == 0
