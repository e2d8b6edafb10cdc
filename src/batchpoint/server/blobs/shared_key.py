"""Requests signed with a key of the account, in both forms that clients use: SharedKey and SharedKeyLite. Pure."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cmp_to_key

from batchpoint.server.blobs.refusals import not_authenticated
from batchpoint.server.blobs.sas import sign

Order = Callable[[Iterable[str]], list[str]]

#: Seconds that the clock of a client may be off.
_CLOCKS_S = 15 * 60
_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)


@dataclass(frozen=True)
class SignedRequest:
    """What of a request is signed."""

    method: str
    #: As it was sent, still escaped.
    raw_path: str
    #: Decoded; a name may come more than once.
    query: tuple[tuple[str, str], ...]
    #: Names in lower case.
    headers: Mapping[str, str]


def check(request: SignedRequest, account: str, keys: tuple[str, ...], now: datetime) -> None:
    """Raises BlobRefused when the header Authorization is not that of one of the keys."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    name, _, given = credential.strip().partition(":")
    if name != account:
        raise not_authenticated("the request is signed for another account than it is sent to.")
    _check_date(request.headers, now)
    lite = scheme.lower() == "sharedkeylite"
    texts = {_text(request, account, ordered, lite=lite) for ordered in (_by_bytes, _by_weight)}
    if not any(hmac.compare_digest(sign(key, text).encode(), given.encode()) for key in keys for text in texts):
        raise not_authenticated("the signature in the header Authorization is not one of a key of this account.")


def _check_date(headers: Mapping[str, str], now: datetime) -> None:
    text = headers.get("x-ms-date") or headers.get("date", "")
    try:
        sent = parsedate_to_datetime(text)
    except ValueError:
        sent = None
    if sent is None:
        raise not_authenticated("a signed request needs the header x-ms-date.")
    sent = sent if sent.tzinfo else sent.replace(tzinfo=UTC)
    if abs((now - sent).total_seconds()) > _CLOCKS_S:
        raise not_authenticated(f"the request is dated {text[:40]}; the server's clock says {now:%a, %d %b %Y %H:%M}.")


def _text(request: SignedRequest, account: str, ordered: Order, *, lite: bool) -> str:
    headers = dict(request.headers)
    if headers.get("content-length") == "0":
        del headers["content-length"]
    if "x-ms-date" in headers:
        headers["date"] = ""
    names = ("content-md5", "content-type", "date") if lite else _SIGNED
    lines = [request.method, *(headers.get(name, "") for name in names)]
    lines += [f"{name}:{headers[name].strip()}" for name in ordered(n for n in headers if n.startswith("x-ms-"))]
    return "\n".join([*lines, _resource(request, account, lite=lite)])


def _resource(request: SignedRequest, account: str, *, lite: bool) -> str:
    path = f"/{account}{request.raw_path}"
    if lite:
        comp = next((value for name, value in request.query if name.lower() == "comp"), None)
        return path if comp is None else f"{path}?comp={comp}"
    values: dict[str, list[str]] = {}
    for name, value in request.query:
        values.setdefault(name.lower(), []).append(value)
    return "".join([path, *(f"\n{name}:{','.join(sorted(values[name]))}" for name in sorted(values))])


def _by_bytes(names: Iterable[str]) -> list[str]:
    return sorted(names)


#: Clients sort as dictionaries do: first without dashes and quotes, punctuation before digits before letters.
_WEIGHTS = {c: n for n, c in enumerate("!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz", 1)}


def _by_weight(names: Iterable[str]) -> list[str]:
    return sorted(names, key=cmp_to_key(_compared))


def _compared(one: str, other: str) -> int:
    first, second = ([_WEIGHTS[c] for c in name if c in _WEIGHTS] for name in (one, other))
    if first != second:
        return -1 if first < second else 1
    # The same but for dashes: the one whose first dash comes later is first.
    for mine, theirs in zip(_dashes(one), _dashes(other), strict=False):
        if mine != theirs:
            return -1 if mine > theirs else 1
    return len(_dashes(one)) - len(_dashes(other))


def _dashes(name: str) -> list[int]:
    return [index for index, c in enumerate(name) if c not in _WEIGHTS]
