"""Shared access signatures: made for who may have one, and checked. Pure but for the clock that is passed in.

A signature names a place, letters for what may be done there, and an end. Those of the service are for a container, a
folder or a blob, those of the account for more; both are signed with a key of the account.
"""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from batchpoint.server.blobs.refusals import not_authenticated, refused

#: The one that ours are signed in.
SIGNED_VERSION = "2021-12-02"
#: Before the first, service signatures have no kind of resource; from the second on, all have a line more.
_FIRST, _WITH_SCOPES = "2018-11-09", "2020-12-06"
_OVERRIDES = ("rscc", "rscd", "rsce", "rscl", "rsct")


@dataclass(frozen=True)
class Granted:
    """What a signature allows, once it is known to be good."""

    #: Letters: r read, l list, w write, a add, c create, d delete.
    letters: frozenset[str]
    #: Of the account: s itself, c containers, o blobs.
    levels: frozenset[str]
    #: The account's may do things to containers; the service's only to what is in one.
    is_of_account: bool


@dataclass(frozen=True)
class Asked:
    """What of a request a signature is checked against."""

    account: str
    container: str
    blob: str
    scheme: str
    client: str


def container_signature(
    account: str, key: str, container: str, letters: str, lifetime: timedelta, *, https_only: bool
) -> str:
    """The query of a signature for one container."""
    now = datetime.now(UTC)
    query = {
        "sv": SIGNED_VERSION,
        # Clocks differ.
        "st": _moment(now - timedelta(minutes=5)),
        "se": _moment(now + lifetime),
        "sr": "c",
        "sp": letters,
        **({"spr": "https"} if https_only else {}),
    }
    signature = sign(key, _text_of_service(query, f"/blob/{account}/{container}"))
    return urlencode({**query, "sig": signature})


def check(query: Mapping[str, str], asked: Asked, keys: tuple[str, ...], now: datetime) -> Granted:
    """What the signature in a query allows. Raises BlobRefused for one that is no good here and now."""
    version = query.get("sv", "")
    if version < _FIRST or len(version) != len(_FIRST):
        raise not_authenticated(f"signatures of version {version[:20]!r} are not taken; sign with {SIGNED_VERSION}.")
    if "skoid" in query or "si" in query:
        raise not_authenticated("signatures by a user's key or by a stored policy are not offered.")
    is_of_account = "ss" in query
    wanted = _texts(query, asked, is_of_account)
    given = query.get("sig", "").encode("utf-8", "replace")
    if not any(hmac.compare_digest(sign(key, text).encode(), given) for key in keys for text in wanted):
        raise not_authenticated("the signature is not one of this account for this address and these parameters.")
    _check_limits(query, asked, now)
    if is_of_account and "b" not in query["ss"]:
        raise refused(403, "AuthorizationServiceMismatch", "The signature is not for the blob service.")
    levels = frozenset(query.get("srt", "")) if is_of_account else frozenset("o" if query["sr"] == "b" else "co")
    return Granted(frozenset(query.get("sp", "")), levels, is_of_account)


def _check_limits(query: Mapping[str, str], asked: Asked, now: datetime) -> None:
    end, start = _read(query.get("se", "")), _read(query["st"]) if query.get("st") else None
    if end is None or end <= now:
        raise not_authenticated(f"the signature was good until {query.get('se', '')[:40]}; ask for a new one.")
    if "st" in query and (start is None or start > now + timedelta(minutes=5)):
        raise not_authenticated(f"the signature is good from {query['st'][:40]} on.")
    if query.get("spr", "https,http") == "https" and asked.scheme != "https":
        raise refused(403, "AuthorizationProtocolMismatch", "The signature is good over https only.")
    if "sip" in query and not _is_among(asked.client, query["sip"]):
        raise refused(403, "AuthorizationSourceIPMismatch", "The signature is good from other addresses only.")


def _texts(query: Mapping[str, str], asked: Asked, is_of_account: bool) -> list[str]:
    """What may have been signed: for a folder, each one that the blob lies in is a candidate."""
    if is_of_account:
        return [_text_of_account(query, asked.account)]
    container = f"/blob/{asked.account}/{asked.container}"
    kind = query.get("sr")
    if kind == "c" and asked.container:
        return [_text_of_service(query, container)]
    if kind == "b" and asked.blob:
        return [_text_of_service(query, f"{container}/{asked.blob}")]
    depth = query.get("sdd", "")
    if kind == "d" and asked.blob and depth.isdecimal() and len(depth) < 4:
        parts = asked.blob.split("/")[: int(depth)]
        return [_text_of_service(query, "/".join([container, *parts]))] if len(parts) == int(depth) else []
    return []


def _text_of_service(query: Mapping[str, str], resource: str) -> str:
    scopes = [query.get("ses", "")] if query["sv"] >= _WITH_SCOPES else []
    lines = [query.get(name, "") for name in ("sp", "st", "se")]
    lines += [resource, *(query.get(name, "") for name in ("si", "sip", "spr", "sv", "sr", "snapshot")), *scopes]
    return "\n".join([*lines, *(query.get(name, "") for name in _OVERRIDES)])


def _text_of_account(query: Mapping[str, str], account: str) -> str:
    scopes = [query.get("ses", "")] if query["sv"] >= _WITH_SCOPES else []
    names = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv")
    return "\n".join([account, *(query.get(name, "") for name in names), *scopes, ""])


def sign(key: str, message: str) -> str:
    """HMAC-SHA256 with a base64 key, as base64."""
    digest = hmac.new(base64.b64decode(key), message.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return base64.b64encode(digest.digest()).decode("ascii")


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> datetime | None:
    """Dates, minutes and seconds are all in use."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _is_among(client: str, allowed: str) -> bool:
    try:
        first, _, last = allowed.partition("-")
        address, begin = ipaddress.ip_address(client), ipaddress.ip_address(first)
        end = ipaddress.ip_address(last or first)
    except ValueError:
        return False
    return begin.version == address.version == end.version and int(begin) <= int(address) <= int(end)
