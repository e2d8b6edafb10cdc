"""The keys of external issuers: fetched when needed, remembered on disk, good for a day when the issuer is down.

``Authority`` checks foreign tokens with it. Where to ask comes from the operator's file alone, never from a token.
"""

import contextlib
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchpoint.errors import BatchpointError
from batchpoint.server.identity.tokens.checks import Key, key_of
from batchpoint.server.identity.tokens.trust import TrustedIssuer
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.web.json_object import fetch_json

log = logging.getLogger(__name__)

#: Keys are asked for again after this time: what the issuer has withdrawn is refused then.
_FRESH_S = 3600.0
#: An issuer that does not answer is believed for so long.
_BELIEVED_S = 24 * 3600.0
#: Between two questions to one issuer, whatever it answers and however many tokens name unknown keys.
_PAUSE_S = 30.0
_KEYS_MOST = 100


class IssuerKeys:
    """The keys of one issuer. Safe for threads."""

    def __init__(
        self,
        issuer: TrustedIssuer,
        folder: Path,
        fetch: Callable[[str, str], dict[str, Any]] = fetch_json,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``folder`` keeps what was fetched; ``fetch`` reads an address, given the private hosts that it may ask."""
        self.issuer = issuer
        self._file = folder / f"{hashlib.sha256(issuer.url.encode()).hexdigest()[:32]}.json"
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._remember()

    def key(self, kid: str) -> Key | None:
        """The key with this id; None for one that the issuer does not show, or when it has been silent for a day."""
        age = self._now() - self._fetched_at
        if (kid not in self._keys or age > _FRESH_S) and self._now() - self._asked_at >= _PAUSE_S:
            self._refresh()
        if self._now() - self._fetched_at > _BELIEVED_S:
            return None
        return self._keys.get(kid)

    def _refresh(self) -> None:
        # Who has keys goes on with them; only those that cannot tell at all wait for the one that asks.
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if self._now() - self._asked_at < _PAUSE_S:
                return
            self._asked_at = self._now()
            keys = self._asked()
            self._take(keys)
            self._fetched_at = self._asked_at
            if self.issuer.jwks_file is None:
                self._keep(keys)
        except (BatchpointError, OSError, ValueError) as error:
            log.warning("issuer did not give its keys", extra={"issuer": self.issuer.url, "reason": str(error)})
        finally:
            self._lock.release()

    def _asked(self) -> dict[str, Any]:
        if self.issuer.jwks_file is not None:
            found = json.loads(self.issuer.jwks_file.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        address = self.issuer.discovery
        # The operator has named this host. Others that it leads to must be public.
        parts = urlsplit(address)
        host = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        said = self._fetch(address, host)
        if said.get("issuer") != self.issuer.url:
            raise ValueError(f"{address} speaks for the issuer {said.get('issuer')!r}, not for {self.issuer.url!r}")
        jwks_uri = str(said.get("jwks_uri", ""))
        if urlsplit(jwks_uri).scheme != parts.scheme:
            raise ValueError(f"{address} names no https address of its keys")
        return self._fetch(jwks_uri, host)

    def _take(self, jwks: dict[str, Any]) -> None:
        listed = jwks.get("keys")
        if not isinstance(listed, list):
            raise ValueError("there are no keys in what it answers")
        found = [key_of(one) for one in listed[:_KEYS_MOST] if isinstance(one, dict)]
        self._keys = {key.kid: key for key in found if key is not None}

    def _keep(self, keys: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._file, json.dumps({**keys, "fetched_at": self._fetched_at}).encode(), 0o600)

    def _remember(self) -> None:
        """What an earlier server has fetched: an issuer that is down must not keep this one from starting."""
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._take(kept)
            # A clock that was set back makes nothing fresh.
            self._fetched_at = min(float(kept["fetched_at"]), self._now())
