"""Tokens as honest and dishonest issuers make them, byte by byte, as no library would write them."""

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

KID = "key-1"


def rsa_key(bits: int = 2048, number: int = 0) -> RSAPrivateKey:
    """A key pair, the same for the same ``number`` in one run."""
    return _drawn(bits, number)


@cache
def _drawn(bits: int, _: int) -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(key: RSAPrivateKey, kid: str = KID, **more: Any) -> dict[str, Any]:
    """The public half as an issuer shows it."""
    shown = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kty": "RSA", "n": shown["n"], "e": shown["e"], "kid": kid, "use": "sig", **more}


def forge(claims: Any, key: RSAPrivateKey, header: dict[str, Any] | None = None) -> str:
    """Signed with RS256 whatever the header says."""
    signed = unsigned(claims, {"alg": "RS256", "kid": KID, "typ": "at+jwt", **(header or {})})
    return f"{signed}.{b64(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def forge_symmetric(claims: Any, secret: bytes, header: dict[str, Any]) -> str:
    """Signed with HS256."""
    signed = unsigned(claims, {"alg": "HS256", "typ": "at+jwt", **header})
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def unsigned(claims: Any, header: Any) -> str:
    """Header and claims; both may be JSON text already."""
    return ".".join(
        b64(part.encode() if isinstance(part, str) else json.dumps(part).encode()) for part in (header, claims)
    )


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, claims and signature."""
    header, claims, signature = (unb64(part) for part in token.split("."))
    return json.loads(header), json.loads(claims), signature
