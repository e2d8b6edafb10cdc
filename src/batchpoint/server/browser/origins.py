"""Where a request of a browser comes from, and where it may be sent on to. Pure."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

#: Pages that people open: who has to log in first is led there.
PAGES = frozenset({"/", "/docs"})
#: Where a login leads that was not on the way to anything.
FRONT_PAGE = "/docs"


def is_own(headers: Mapping[str, str], server: str) -> bool:
    """Whether a page of ``server`` itself (scheme and host) sent the request; a browser says so, others need not."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        return False
    return site in (None, "same-origin") and (origin is None or origin.lower() == server.lower())


def login_before(method: str, path: str, accept: str) -> str | None:
    """Where somebody who is not logged in is sent instead of to ``path``; None when it is no page that people open."""
    if method != "GET" or path not in PAGES or "text/html" not in accept:
        return None
    return f"/login?next={quote(path)}"


def safe_return(wanted: str) -> str:
    """``wanted`` if it is a path of this server, else the front page: nobody is sent elsewhere after a login."""
    if not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable():
        return FRONT_PAGE
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else FRONT_PAGE
