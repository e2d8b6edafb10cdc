"""A folder in the web: the blobs below a prefix of a public container, or the files that an HTML index links to.

Whoever brings inputs here lists and fetches it; it is anonymous, and asks only hosts that ``hosts`` lets it ask.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from batchpoint.storage.listing import Found
from batchpoint.storage.web import hosts
from batchpoint.storage.web.blob_list import BlobFolder, list_blobs
from batchpoint.storage.web.fetch import LIMITS, FetchLimits, Visitor, failed
from batchpoint.storage.web.html_index import list_index


class WebFolder:
    """What lies below a URL."""

    def __init__(self, url: str, hosts_allowed: str = "", limits: FetchLimits = LIMITS) -> None:
        parts = hosts.checked(url)
        self._url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", parts.query, ""))
        self._visitor = Visitor(hosts_allowed, limits)
        #: Where the names start from, as soon as it is known.
        self._base = self._url

    def __enter__(self) -> "WebFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._visitor.__exit__(None, None, None)

    def shown(self, path: str) -> str:
        """The address of ``path`` for messages."""
        return hosts.shown(self._address(path))

    def files(self, folder: str = "") -> Iterator[Found]:
        """Every file below the URL, by its decoded name. Raises InputUnreadable."""
        assert not folder, "a folder in the web is listed as a whole"
        blobs = BlobFolder.of(self._url)
        found = list_blobs(self._visitor, blobs) if blobs else None
        if found is not None:
            yield from found
            return
        base, found = list_index(self._visitor, self._url, self._advice())
        self._base = base
        yield from found

    def fetch(self, found: Found, target: Path) -> None:
        """Write the file to ``target``. Raises InputUnreadable."""
        self._visitor.download(self._address(found.name), target)
        length = target.stat().st_size
        if found.size is not None and length != found.size:
            why = f"it was listed with {found.size:,} bytes and came with {length:,}"
            raise failed(self._address(found.name), why, "It changed meanwhile; invoke again.")

    def _address(self, name: str) -> str:
        parts = urlsplit(self._base)
        path = parts.path + quote(name, safe="/", errors="surrogateescape")
        return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))

    def _advice(self) -> str:
        host = urlsplit(self._url).hostname or ""
        return (
            "Name a single file with --input-type uri_file, or copy the folder to where it can be listed: a folder of "
            "the server's machine, or a container or bucket that is registered as a datastore (type: azure_blob or s3) "
            f"instead of {host}."
        )
