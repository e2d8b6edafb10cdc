"""Lists a folder by the links of its HTML index, folder by folder, never above or beside where it began.

``WebFolder`` asks it for hosts that are no blob storage.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from batchpoint.errors import InputUnreadable
from batchpoint.storage.listing import Found
from batchpoint.storage.web import hosts
from batchpoint.storage.web.fetch import Visitor, failed, refuse_status

if TYPE_CHECKING:
    import httpx

#: Folders below each other; more are a link that leads back to a folder it lies in.
_DEPTH = 50
_PAGE_BYTES = 64 << 20
#: How servers head the list of a folder that may as well be empty.
_HEADING = re.compile(r"index of|directory listing|listing of", re.I)


def list_index(visitor: Visitor, url: str, advice: str) -> tuple[str, Iterator[Found]]:
    """The address that names start from, and every file below; ``advice`` is what to do where there is no index.

    Raises InputUnreadable.
    """
    base, page = _page(visitor, url)
    if page is None or not (page.names or _HEADING.search(page.heading)):
        raise InputUnreadable(
            f"The folder {hosts.shown(url)} cannot be listed: it answers no list of a container and no index of files. "
            f"{advice}",
            target=hosts.shown(url),
        )
    return base, _below(visitor, base, page)


def _below(visitor: Visitor, base: str, page: "_Index") -> Iterator[Found]:
    ahead = [("", page)]
    seen = {base}
    while ahead:
        inside, page = ahead.pop()
        for name in sorted(page.names):
            if not name.endswith("/"):
                yield Found(inside + unquote(name, errors="surrogateescape"))
                continue
            deeper = inside + unquote(name, errors="surrogateescape")
            # Hidden folders are skipped in any case; asking for them would only cost time.
            if name.startswith((".", "_")) or urljoin(page.url, name) in seen:
                continue
            if deeper.count("/") > _DEPTH:
                why = f"its folders lie more than {_DEPTH} deep ({deeper})"
                raise failed(base, why, "A folder may link back to itself; name one further down.")
            address, below = _page(visitor, urljoin(page.url, name))
            seen.add(urljoin(page.url, name))
            if below is not None and address.startswith(base):
                ahead.append((deeper, below))


def _page(visitor: Visitor, url: str) -> "tuple[str, _Index | None]":
    """The page at the end of the redirects; None for one that is no HTML."""

    def read(response: "httpx.Response") -> "tuple[str, _Index | None]":
        refuse_status(response, url)
        if "html" not in response.headers.get("content-type", ""):
            return url, None
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _PAGE_BYTES:
                raise failed(url, f"its index is larger than {_PAGE_BYTES:,} bytes", "Name a folder further down.")
        here = str(response.extensions["asked"])
        index = _Index(here)
        index.feed(body.decode(response.charset_encoding or "utf-8", "replace"))
        return here, index

    return visitor.ask(url, read)


class _Index(HTMLParser):
    """The names that a page links to directly below itself, as they are written: escaped, folders with a ``/``."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.names: set[str] = set()
        self.heading = ""
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_heading = tag in ("title", "h1")
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self._follow(href)

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.heading += data

    def _follow(self, href: str) -> None:
        here = urlsplit(self.url)
        try:
            there = urlsplit(urljoin(self.url, href.strip()))
        except ValueError:
            return
        # Columns are sorted by queries; they name no file.
        if there.query or (there.scheme, there.netloc) != (here.scheme, here.netloc):
            return
        folder = here.path.rpartition("/")[0] + "/"
        name = there.path.removeprefix(folder)
        first, slash, _ = name.partition("/")
        if there.path.startswith(folder) and first not in ("", ".", ".."):
            self.names.add(first + slash)
