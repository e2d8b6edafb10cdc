"""Secrets of principals: drawn here, shown once, kept as hashes. Routers that create or check one call it.

What a secret opens, the token endpoints know.
"""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Literal

from batchpoint.errors import LimitExceeded
from batchpoint.store.store import Store
from batchpoint.store.tables.identity import Credential

SecretKind = Literal["password", "client_secret", "identity_header"]

#: How many secrets of one kind a principal can have at a time: enough to change them one after the other.
SECRETS_MOST = 20
#: How long a secret for the managed identity endpoint is good for.
IDENTITY_HEADER_LIFETIME = timedelta(days=30)

_BYTES = 32
_NEVER = datetime.max.replace(tzinfo=UTC)
#: What an unknown principal is compared with, so that it takes as long to refuse as a known one.
_NOBODYS = Credential(id="", principal="", kind="", sha256="0" * 64)


@dataclass(frozen=True)
class NewSecret:
    """A secret that was drawn just now; ``text`` is not kept anywhere."""

    id: str
    text: str
    #: Never, when None.
    expires_at: datetime | None


def create_secret(store: Store, principal: str, kind: SecretKind, lifetime: timedelta | None = None) -> NewSecret:
    """A further secret of the principal with this id, good for ``lifetime``, or until it is deleted.

    Raises LimitExceeded when the principal has SECRETS_MOST of the kind that are still good. Of identity headers, which
    every shell asks for, the oldest ends instead.
    """
    now = datetime.now(UTC)
    live = []
    for known in store.credentials_of(principal):
        if _is_over(known, now):
            store.delete_credential(known.id)
        elif known.kind == kind:
            live.append(known)
    if len(live) >= SECRETS_MOST and kind == "identity_header":
        store.delete_credential(min(live, key=lambda one: one.expires_at or _NEVER).id)
    elif len(live) >= SECRETS_MOST:
        message = (
            f"There are {len(live)} secrets of the kind {kind} for this principal already, the most that one can have. "
            "Delete those that are not used any more."
        )
        raise LimitExceeded(message, target=kind)
    # 256 random bits need no slow hash: nobody can try them out.
    new = NewSecret(str(uuid.uuid4()), token_urlsafe(_BYTES), None if lifetime is None else now + lifetime)
    store.put_credential(Credential(new.id, principal, kind, hash_of(new.text), new.expires_at))
    return new


def proves(store: Store, principal: str | None, kind: SecretKind, secret: str) -> bool:
    """Whether ``secret`` is one of the principal's; as much work for a principal who is None as for a known one."""
    now, offered = datetime.now(UTC), hash_of(secret)
    found = False
    for known in (*store.credentials_of(principal or ""), _NOBODYS):
        is_same = hmac.compare_digest(known.sha256, offered)
        found |= is_same and known.kind == kind and not _is_over(known, now)
    return found and principal is not None


def holder_of(store: Store, kind: SecretKind, secret: str) -> str | None:
    """Id of the principal who has this secret. Looked up by hash, whose comparison tells nothing of the secret."""
    now = datetime.now(UTC)
    found = [c for c in store.find_credentials(hash_of(secret)) if c.kind == kind and not _is_over(c, now)]
    return found[0].principal if found else None


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _is_over(credential: Credential, now: datetime) -> bool:
    return credential.expires_at is not None and credential.expires_at <= now
