"""What a token may be for: management, the data plane or storage. Which one a client means, and which a path wants.

Token endpoints ask ``audience_named``, whoever checks a token asks ``wanted_by``.
"""

import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

Audience = Literal["management", "ml", "storage"]

#: What claim ``aud`` of our tokens says: the same under every name that this server is reached by.
CLAIMS: dict[Audience, str] = {
    "management": "https://management.azure.com",
    "ml": "https://ml.azure.com",
    "storage": "https://storage.azure.com",
}

#: Resources that clients name, apart from the address of this server, which is management. Without a slash at the end.
_NAMED: dict[str, Audience] = {
    **{claim: audience for audience, claim in CLAIMS.items()},
    "https://management.core.windows.net": "management",
}
#: Clients make the one of the data plane of the portal that the cloud metadata name.
_ML = re.compile(r"https://ml\.azure(\.[a-z0-9.-]*)?")

#: Where jobs are sent to, and where clients list those of an endpoint.
_SCORING = re.compile(r"/(endpoints|mferp)/.*", re.DOTALL | re.IGNORECASE)
#: An account, then a container, whose name has three characters at least: ``/batchpoint/v1`` is no blob.
_BLOBS = re.compile(r"/(batchpoint|bp[0-9a-f]{16})(/[^/]{3,}.*)?/?", re.DOTALL)


def audience_named(resource: str, is_ours: Callable[[str], bool]) -> Audience | None:
    """What ``resource`` (or a scope without its last part) means; ``is_ours`` tells whether a host is this server."""
    text = resource.strip().rstrip("/").lower()
    if text in _NAMED:
        return _NAMED[text]
    if _ML.fullmatch(text):
        return "ml"
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return None
    is_address = parts.scheme in ("http", "https") and parts.path in ("", "/") and not parts.query
    return "management" if is_address and host and is_ours(host) else None


def wanted_by(path: str) -> Audience:
    """The audience that a token must have for a request to ``path``."""
    if _SCORING.fullmatch(path):
        return "ml"
    return "storage" if _BLOBS.fullmatch(path) else "management"
