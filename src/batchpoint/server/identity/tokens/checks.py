"""Whether a token is what it says: its form, its signature by a given key, its claims. Fetches and stores nothing.

Our own tokens and those of external issuers go through it alike. What cannot be told for sure is refused.
"""

import base64
import binascii
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from batchpoint.errors import AccessDenied

if TYPE_CHECKING:
    from jwt.types import JWKDict

#: How far two clocks may be apart, in seconds.
LEEWAY_S = 60
#: Longer ones are no tokens of ours or of any issuer that we know of.
TOKEN_LIMIT_BYTES = 16_384

#: What a key may be used with. Whoever holds a public key must not be able to sign: no symmetric ones, and no "none".
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
#: Algorithm of a JWK that names none, by its curve.
_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
_RSA_BITS_LEAST = 2048

#: Headers that would tell us where to get a key, or change what the rest means. We take neither from a token.
_REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_KID_LIMIT = 256
_SEGMENTS = 3
#: Most probably it is the token of another home.
_NO_JWT = (
    "The request carries no valid bearer token: it is neither a JWT nor that of the owner, which stands in the file "
    "'token' of the server's home folder. Give one as BATCHPOINT_TOKEN or in the header Authorization: Bearer."
)


@dataclass(frozen=True)
class Key:
    """A public key, bound to its one algorithm."""

    kid: str
    algorithm: str
    #: As the library of the algorithm takes it.
    public: Any


@dataclass(frozen=True)
class Token:
    """A token as far as it can be read without a key: nothing in it may be believed before ``verify``."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def kid(self) -> str:
        return str(self.header["kid"])

    @property
    def type(self) -> str:
        """What kind of token the header says it is, lower-cased: ``at+jwt``, ``jwt``; empty when it does not say."""
        return str(self.header.get("typ", "")).lower().removeprefix("application/")


def read(text: str) -> Token:
    """Take a token apart. Raises AccessDenied unless it is written in the one way in which a token can be."""
    if len(text) > TOKEN_LIMIT_BYTES:
        refuse("The token is too long.")
    parts = text.split(".")
    if len(parts) != _SEGMENTS:
        refuse(_NO_JWT)
    header, claims, signature = (_decoded(part) for part in parts)
    token = Token(_object(header), _object(claims), f"{parts[0]}.{parts[1]}".encode("ascii"), signature)
    if strange := sorted(_REFUSED_HEADERS & token.header.keys()):
        refuse(f"A token with the header {strange[0]} is not accepted.")
    kid = token.header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _KID_LIMIT:
        refuse("The token does not name the key that it is signed with.")
    return token


def verify(token: Token, key: Key | None) -> None:
    """Raises AccessDenied unless ``key`` signed it, with the algorithm of the key."""
    import jwt

    if key is None:
        refuse("The token is signed with a key that is not known here.")
    # The algorithm comes from the key. The header may only agree.
    if token.header.get("alg") != key.algorithm or key.algorithm not in ALGORITHMS:
        refuse("The token is signed with another algorithm than its key is for.")
    algorithm = jwt.get_algorithm_by_name(key.algorithm)
    if not token.signature or not algorithm.verify(token.signed, key.public, token.signature):
        refuse("The signature of the token is wrong.")


def check_times(claims: dict[str, Any], now: float, *, required: Collection[str] = ("exp",)) -> None:
    """Raises AccessDenied unless the token is good now, give or take LEEWAY_S."""
    times: dict[str, int] = {}
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        # bool is an int, and a fraction or a text is nothing that an issuer of ours writes.
        if type(value) is int:
            times[name] = value
        elif value is not None or name in required:
            refuse(f"The claim {name} of the token is missing or no whole number.")
    if now >= times.get("exp", now) + LEEWAY_S:
        refuse("The token has expired; get a new one.")
    if any(now < times[name] - LEEWAY_S for name in ("nbf", "iat") if name in times):
        refuse("The token is not valid yet; compare the clocks of the two machines.")


def audiences_of(claims: dict[str, Any]) -> frozenset[str]:
    """Whom a token was issued for. Raises AccessDenied when that is no text and no list of texts."""
    found = claims.get("aud")
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        refuse("The token does not say whom it was issued for.")
    return frozenset(listed)


def key_of(jwk: "JWKDict") -> Key | None:
    """A key of a JWKS; None for one that is weak, symmetric, for something else than signatures, or unreadable."""
    import jwt

    kid = jwk.get("kid")
    if not isinstance(kid, str) or jwk.get("use", "sig") != "sig":
        return None
    algorithm = jwk.get("alg") or ("RS256" if jwk.get("kty") == "RSA" else _BY_CURVE.get(str(jwk.get("crv"))))
    if algorithm not in ALGORITHMS or not _fits(jwk, algorithm):
        return None
    try:
        public = jwt.get_algorithm_by_name(algorithm).from_jwk(jwk)
    except (jwt.exceptions.PyJWTError, ValueError, TypeError):
        return None
    return Key(kid, algorithm, public) if _is_strong(public) else None


def _fits(jwk: "JWKDict", algorithm: str) -> bool:
    if algorithm[:2] in ("RS", "PS"):
        return jwk.get("kty") == "RSA"
    return _BY_CURVE.get(str(jwk.get("crv"))) == algorithm


def _is_strong(public: Any) -> bool:
    """And public: a private key in a JWKS is a mistake that nobody should build on."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(public, rsa.RSAPublicKey):
        return public.key_size >= _RSA_BITS_LEAST
    return isinstance(public, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey))


def _decoded(segment: str) -> bytes:
    """Base64url without padding, in its one canonical spelling: no two tokens may have one signature."""
    try:
        raw = base64.b64decode(segment.encode("ascii") + b"=" * (-len(segment) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        refuse(_NO_JWT)
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != segment:
        refuse(_NO_JWT)
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_doubles, parse_constant=_no_number)
    except (ValueError, RecursionError):
        refuse(_NO_JWT)
    if not isinstance(found, dict):
        refuse(_NO_JWT)
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def refuse(why: str) -> NoReturn:
    """Every refusal of a token is this error; ``why`` tells nothing that the token itself does not."""
    raise AccessDenied(why, target="Authorization")
