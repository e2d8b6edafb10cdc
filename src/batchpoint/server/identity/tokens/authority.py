"""Issues the tokens of this server and finds out whom a token belongs to, ours or that of a trusted issuer.

The gate asks ``remembered`` and ``identify`` for each request, the token endpoints ask ``issue``. It knows no HTTP.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchpoint.entities.identity.principal import Principal
from batchpoint.errors import UserError
from batchpoint.server.identity.caller import OWNER, Caller
from batchpoint.server.identity.home import home_id_of
from batchpoint.server.identity.roles import grants_of
from batchpoint.server.identity.tokens import checks
from batchpoint.server.identity.tokens.attempts import Attempts
from batchpoint.server.identity.tokens.audiences import CLAIMS, Audience, wanted_by
from batchpoint.server.identity.tokens.issuers import IssuerKeys
from batchpoint.server.identity.tokens.keys import ALGORITHM, SigningKeys
from batchpoint.server.identity.tokens.trust import TrustedIssuer, read_trust
from batchpoint.settings import Settings
from batchpoint.store.store import Store

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_LIFETIMES_S = (60, 86_400)
#: Seconds for which a token is not looked at again, unless this process has changed who may do what: a role that is
#: taken away by another process has ended by then.
_REMEMBERED_S = 5.0
_REMEMBERED_MOST = 4096

_OURS = "at+jwt"
#: The type in the header by profile; an OpenID provider may leave it out.
_TYPES = {"at+jwt": {"at+jwt"}, "entra": {"jwt", "at+jwt"}, "oidc": {"jwt", "at+jwt", ""}}
#: Claims that ID and logout tokens have and access tokens do not.
_OF_OTHER_TOKENS = frozenset({"at_hash", "c_hash", "events"})
_TYPES_OF_OTHER_TOKENS = frozenset({"id", "refresh", "logout", "offline"})


@dataclass(frozen=True)
class _Remembered:
    caller: Caller
    until: float
    #: Of the store, when it was read.
    state: object


class Authority:
    """One home's issuer of tokens, and the judge of those that come in. Safe for threads."""

    def __init__(self, store: Store, settings: Settings, now: Callable[[], float] = time.time) -> None:
        """Raises ValidationFailed or UserError when ``issuers.toml`` cannot be read."""
        self.store = store
        self._now = now
        if not _LIFETIMES_S[0] <= settings.token_lifetime_s <= _LIFETIMES_S[1]:
            message = f"The setting token_lifetime_s is {settings.token_lifetime_s}; write a number from 60 to 86400."
            raise UserError(message, target="token_lifetime_s")
        keys = settings.home / "keys"
        #: Seconds for which a token of ours is good.
        self.lifetime_s = settings.token_lifetime_s
        self.keys = SigningKeys(keys / "tokens", settings.token_key_days * _DAY_S, settings.token_lifetime_s, now)
        trust = read_trust(settings.home)
        self.federations = trust.federations
        self.issuers = {one.url: IssuerKeys(one, keys / "issuers", now=now) for one in trust.issuers}
        self.tenant = tenant_of(home_id_of(settings.home))
        #: Claim ``iss``: the same under every name that the server is reached by, and another for every home.
        self.issuer = f"urn:batchpoint:{self.tenant}"
        self.owner = Principal(id=str(uuid.uuid5(uuid.UUID(self.tenant), "owner")), name=OWNER.name)
        #: At the token endpoints.
        self.attempts = Attempts()
        #: Refusals that the log has told of: whoever likes must not fill a disk.
        self.told = Attempts()
        self._remembered: dict[tuple[bytes, Audience], _Remembered] = {}

    def issue(self, principal: Principal, audience: Audience) -> tuple[str, int]:
        """An access token for the principal, and the second at which it expires."""
        import jwt

        kid, key = self.keys.signing()
        now = int(self._now())
        client = principal.client_id or principal.id
        expires_on = now + self.lifetime_s
        claims = {
            "aud": CLAIMS[audience],
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": expires_on,
            "tid": self.tenant,
            "oid": principal.id,
            "sub": principal.id,
            "appid": client,
            "azp": client,
            "idtyp": "app" if principal.kind == "service_principal" else "user",
            "name": principal.name,
            "ver": "1.0",
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, key, ALGORITHM, headers={"kid": kid, "typ": _OURS}), expires_on

    def remembered(self, text: str, path: str) -> Caller | None:
        """Whose token this is, if ``identify`` has said so a moment ago; costs next to nothing."""
        found = self._remembered.get(_place(text, path))
        if found is None or found.until <= self._now() or found.state is not self.store.identity_state:
            return None
        return found.caller

    def identify(self, text: str, path: str) -> Caller:
        """Whose token this is. Raises AccessDenied when it is nobody's, or not for ``path``.

        Reads the store, and may ask an external issuer for its keys.
        """
        state = self.store.identity_state
        claims, principal = self._believed(text, wanted_by(path))
        caller = OWNER if principal is self.owner else self._caller(principal)
        if len(self._remembered) >= _REMEMBERED_MOST:
            self._remembered.clear()
        until = min(self._now() + _REMEMBERED_S, claims["exp"] + checks.LEEWAY_S)
        self._remembered[_place(text, path)] = _Remembered(caller, until, state)
        return caller

    def caller_by_id(self, principal_id: str) -> Caller | None:
        """The principal with this object id as a caller; None for one that is gone or disabled. Reads the store."""
        if principal_id == self.owner.id:
            return OWNER
        found = self.store.get_principal(principal_id)
        return None if found is None or found.disabled else self._caller(found)

    def rotate(self, *, revoke: bool = False) -> str:
        """Sign with a new key; ``revoke``: whatever was given out before is worth nothing any more."""
        kid = self.keys.rotate(revoke=revoke)
        self._remembered.clear()
        return kid

    def federated(self, assertion: str) -> Principal | None:
        """Whom this token of a trusted issuer stands for; None for one that is gone.

        Raises AccessDenied when the token is no good, or stands for nobody; the reason is for the log.
        """
        token = checks.read(assertion)
        keys = self._issuer_of(token)
        checks.verify(token, keys.key(token.kid))
        checks.check_times(token.claims, self._now())
        aud, subject = checks.audiences_of(token.claims), token.claims.get("sub")
        wanted = (keys.issuer.url, subject)
        fitting = (f for f in self.federations if (f.issuer, f.subject) == wanted and f.audience in aud)
        found = next(fitting, None)
        if found is None:
            shown = f"the issuer {keys.issuer.url}, the subject {str(subject)[:200]!r} and one of the audiences "
            checks.refuse(f"No [[federation]] of issuers.toml has {shown}{', '.join(sorted(aud))[:200]!r}.")
        return self.store.find_principal(found.principal)

    def _believed(self, text: str, wanted: Audience) -> tuple[dict[str, Any], Principal]:
        token = checks.read(text)
        if token.claims.get("iss") == self.issuer:
            return token.claims, self._ours(token, wanted)
        return token.claims, self._foreign(token, self._issuer_of(token), wanted)

    def _ours(self, token: checks.Token, wanted: Audience) -> Principal:
        checks.verify(token, self.keys.public(token.kid))
        checks.check_times(token.claims, self._now(), required=("exp", "nbf", "iat"))
        if token.type != _OURS:
            checks.refuse("This is no access token.")
        if CLAIMS[wanted] not in checks.audiences_of(token.claims):
            _refuse_audience(CLAIMS[wanted])
        found = token.claims.get("oid")
        if found == self.owner.id:
            return self.owner
        principal = self.store.get_principal(found) if isinstance(found, str) else None
        if principal is None or principal.disabled or principal.issuer is not None:
            checks.refuse("Whom the token was issued to does not exist any more, or is disabled.")
        return principal

    def _foreign(self, token: checks.Token, keys: IssuerKeys, wanted: Audience) -> Principal:
        checks.verify(token, keys.key(token.kid))
        checks.check_times(token.claims, self._now())
        issuer = keys.issuer
        _check_profile(token, issuer)
        aud = checks.audiences_of(token.claims)
        if not any(wanted in issuer.audiences.get(one, ()) for one in aud):
            _refuse_audience(" or ".join(sorted(a for a, for_ in issuer.audiences.items() if wanted in for_)) or "none")
        # A claim that an issuer does not define could be one that its users choose.
        found = token.claims.get("oid" if issuer.profile == "entra" else "sub")
        principal = self.store.get_principal(found) if isinstance(found, str) else None
        if principal is None or principal.disabled or principal.issuer != issuer.url:
            self._tell(issuer.url, str(found)[:200])
            checks.refuse("The token is good, but whom it was issued to is not known here, or disabled.")
        return principal

    def _tell(self, issuer: str, object_id: str) -> None:
        if not self.told.wait_s("", issuer):
            self.told.failed("", issuer)
            message = "nobody here is known by this token of a trusted issuer; create the user with this object id"
            log.warning(message, extra={"issuer": issuer, "object_id": object_id})

    def _issuer_of(self, token: checks.Token) -> IssuerKeys:
        issuer = token.claims.get("iss")
        found = self.issuers.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            checks.refuse("The token comes from an issuer that is not trusted here.")
        return found

    def _caller(self, principal: Principal) -> Caller:
        kind = "Application" if principal.kind == "service_principal" else "User"
        return Caller(principal.id, principal.name, kind, grants_of(self.store, principal.id))


def tenant_of(home_id: str) -> str:
    """The tenant of a home, a UUID: what its tokens and subscriptions show as theirs."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"batchpoint:{home_id}"))


def _place(text: str, path: str) -> tuple[bytes, Audience]:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest(), wanted_by(path)


def _check_profile(token: checks.Token, issuer: TrustedIssuer) -> None:
    claims = token.claims
    kind = claims.get("typ", "")
    is_other = bool(_OF_OTHER_TOKENS & claims.keys()) or str(kind).lower() in _TYPES_OF_OTHER_TOKENS
    if token.type not in _TYPES[issuer.profile] or is_other:
        checks.refuse("This is no access token.")
    by_whom = claims.get("azp") or claims.get("appid")
    if issuer.profile == "entra" and not (claims.get("tid") and claims.get("ver") and by_whom):
        checks.refuse("This is no access token of Entra ID: tid, ver or azp is missing.")
    if issuer.profile == "at+jwt" and not all(claims.get(name) for name in ("client_id", "jti", "iat", "sub")):
        checks.refuse("This is no access token as RFC 9068 has it: client_id, jti, iat or sub is missing.")


def _refuse_audience(wanted: str) -> None:
    checks.refuse(f"Audiences in JWT are not allowed. Get a token for {wanted}.")
