"""The keys that this server signs its tokens with: made on first need, changed now and then, shown as a JWKS.

``Authority`` signs with the youngest and checks with all of them. It knows no token.
"""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchpoint.server.identity.tokens.checks import LEEWAY_S, Key
from batchpoint.storage.atomic import sweep, write_atomically

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

log = logging.getLogger(__name__)

#: The one algorithm of our own tokens.
ALGORITHM = "RS256"
_BITS = 2048
_SUFFIX = ".pem"
#: What a crash in the middle of writing has left is removed after this time.
_LEFT_BEHIND_S = 3600.0


class SigningKeys:
    """The keys in one folder, each a file named ``<when it was made>-<random>.pem`` that its owner alone can read.

    A key is made when there is none, or when the youngest is ``rotation_s`` old. Older ones stay for as long as a token
    that they signed is good. A file that is damaged counts as none. Safe for threads, and for several processes on one
    home.
    """

    def __init__(
        self, folder: Path, rotation_s: float, token_lifetime_s: int, now: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._rotation_s = rotation_s
        self._kept_s = token_lifetime_s + LEEWAY_S
        self._now = now
        self._lock = threading.Lock()
        #: None for a file that holds no key.
        self._private: dict[str, RSAPrivateKey | None] = {}
        self._public: dict[str, Key] = {}

    def signing(self) -> "tuple[str, RSAPrivateKey]":
        """The id of the youngest key, and the key."""
        with self._lock:
            usable = self._usable()
            if usable and self._now() - _made_at(usable[-1][0]) < self._rotation_s:
                return usable[-1]
            return self._make()

    def public(self, kid: str) -> Key | None:
        """The key with this id, if tokens signed with it may still be good."""
        with self._lock:
            if kid not in self._names():
                return None
            if kid not in self._public and (private := self._loaded(kid)):
                self._public[kid] = Key(kid, ALGORITHM, private.public_key())
            return self._public.get(kid)

    def rotate(self, *, revoke: bool = False) -> str:
        """Sign with a new key from now on, and answer its id; ``revoke``: all tokens given out so far end at once."""
        with self._lock:
            before = self._names()
            new, _ = self._make()
            for name in before if revoke else ():
                (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
            return new

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """What others check our tokens with."""
        from jwt.algorithms import RSAAlgorithm

        self.signing()
        with self._lock:
            usable = self._usable()
        return {
            "keys": [
                {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": ALGORITHM}
                for kid, key in usable
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

    def _usable(self) -> "list[tuple[str, RSAPrivateKey]]":
        loaded = [(name, self._loaded(name)) for name in self._names()]
        return [(name, key) for name, key in loaded if key is not None]

    def _make(self) -> "tuple[str, RSAPrivateKey]":
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        # Milliseconds, so that two in one second are told apart by age.
        name = f"{int(self._now() * 1000):015d}-{secrets.token_hex(8)}"
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        sweep(self._folder, _LEFT_BEHIND_S)
        write_atomically(self._folder / f"{name}{_SUFFIX}", pem, 0o600)
        self._private[name] = key
        return name, key

    def _loaded(self, name: str) -> "RSAPrivateKey | None":
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if name not in self._private:
            path, key = self._folder / f"{name}{_SUFFIX}", None
            try:
                key = load_pem_private_key(path.read_bytes(), password=None)
            except FileNotFoundError:
                # Another process has just revoked it.
                return None
            except (OSError, ValueError, TypeError) as error:
                log.error(
                    "%s holds no key (%s). Tokens that it signed are refused and others are signed with a new one; put "
                    "it back from a copy and start the server again, or remove it",
                    path,
                    error,
                )
            self._private[name] = key if isinstance(key, RSAPrivateKey) else None
        return self._private[name]


def _made_at(name: str) -> float:
    return int(name.partition("-")[0]) / 1000


def _is_name(stem: str) -> bool:
    made, _, drawn = stem.partition("-")
    return made.isdecimal() and made.isascii() and bool(drawn)
