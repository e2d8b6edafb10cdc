"""The keys that this server signs its tokens with: made on first need, changed now and then, shown as a JWKS.

``Authority`` signs with the youngest and checks with all of them. It knows no token.
"""

import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchpoint.server.identity.tokens.checks import LEEWAY_S, Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: The one algorithm of our own tokens.
ALGORITHM = "RS256"
_BITS = 2048
_SUFFIX = ".pem"


class SigningKeys:
    """The keys in one folder, each a file named ``<when it was made>-<random>.pem`` that its owner alone can read.

    A key is made when there is none, or when the youngest is ``rotation_s`` old. Older ones stay for as long as a token
    that they signed is good. Safe for threads, and for several processes on one home.
    """

    def __init__(
        self, folder: Path, rotation_s: float, token_lifetime_s: int, now: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._rotation_s = rotation_s
        self._kept_s = token_lifetime_s + LEEWAY_S
        self._now = now
        self._lock = threading.Lock()
        self._private: dict[str, RSAPrivateKey] = {}
        self._public: dict[str, Key] = {}

    def signing(self) -> "tuple[str, RSAPrivateKey]":
        """The id of the youngest key, and the key."""
        with self._lock:
            names = self._names()
            if not names or self._now() - _made_at(names[-1]) >= self._rotation_s:
                names = [*names, self._make()]
            return names[-1], self._loaded(names[-1])

    def public(self, kid: str) -> Key | None:
        """The key with this id, if tokens signed with it may still be good."""
        with self._lock:
            if kid not in self._names():
                return None
            if kid not in self._public:
                self._public[kid] = Key(kid, ALGORITHM, self._loaded(kid).public_key())
            return self._public[kid]

    def rotate(self, *, revoke: bool = False) -> str:
        """Sign with a new key from now on, and answer its id; ``revoke``: all tokens given out so far end at once."""
        with self._lock:
            before = self._names()
            new = self._make()
            for name in before if revoke else ():
                (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
            return new

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """What others check our tokens with."""
        from jwt.algorithms import RSAAlgorithm

        self.signing()
        with self._lock:
            loaded = [(kid, self._loaded(kid).public_key()) for kid in self._names()]
        return {
            "keys": [
                {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "use": "sig", "alg": ALGORITHM}
                for kid, key in loaded
            ]
        }

    def _names(self) -> list[str]:
        """Ids of the keys that count, oldest first. Those whose last token has expired are removed."""
        if not self._folder.is_dir():
            return []
        names = sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}") if _is_name(path.stem))
        followers = dict(itertools.pairwise(names))
        counted = []
        for name in names:
            follower = followers.get(name)
            if follower is not None and self._now() - _made_at(follower) > self._kept_s:
                (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
            else:
                counted.append(name)
        return counted

    def _make(self) -> str:
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        # Milliseconds, so that two in one second are told apart by age.
        name = f"{int(self._now() * 1000):015d}-{secrets.token_hex(8)}"
        aside = self._folder / f".{name}"
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self._folder / f"{name}{_SUFFIX}")
        self._private[name] = key
        return name

    def _loaded(self, name: str) -> "RSAPrivateKey":
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if name not in self._private:
            key = load_pem_private_key((self._folder / f"{name}{_SUFFIX}").read_bytes(), password=None)
            assert isinstance(key, RSAPrivateKey)
            self._private[name] = key
        return self._private[name]


def _made_at(name: str) -> float:
    return int(name.partition("-")[0]) / 1000


def _is_name(stem: str) -> bool:
    made, _, drawn = stem.partition("-")
    return made.isdecimal() and made.isascii() and bool(drawn)
