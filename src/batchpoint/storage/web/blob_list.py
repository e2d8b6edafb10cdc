"""Lists the blobs below a prefix of a container by the anonymous Blob List call, page by page to the last.

``WebFolder`` asks it first; a host that does not speak this language is left to others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit
from xml.etree import ElementTree

from batchpoint.errors import InputUnreadable
from batchpoint.storage.listing import Found
from batchpoint.storage.web import hosts
from batchpoint.storage.web.fetch import Visitor, failed

if TYPE_CHECKING:
    import httpx

#: Names with characters that XML cannot hold are marked as encoded from here on, and folders are.
_HEADERS = {"x-ms-version": "2021-08-06"}
_BLOB_HOST = re.compile(r"(?P<account>[a-z0-9]+)(\.z\d+)?\.(blob|dfs)\.(core\.[a-z.]+|storage\.azure\.net)", re.I)


@dataclass(frozen=True)
class BlobFolder:
    """A prefix of a container, read from the URL of a folder."""

    url: str
    #: Address of the container, without a slash at the end.
    container_url: str
    account: str
    container: str
    #: With a ``/`` at its end unless it is the whole container.
    prefix: str
    query: str
    #: False for a host that may be any kind of website.
    is_certain: bool

    @classmethod
    def of(cls, url: str) -> Self | None:
        """None for a URL that has no room for a container."""
        parts = urlsplit(url)
        segments = parts.path.strip("/").split("/") if parts.path.strip("/") else []
        known = _BLOB_HOST.fullmatch(parts.hostname or "")
        # Without a name of its own, a host has the account in the path.
        account = 1 if hosts.is_address(parts.hostname or "") else 0
        if len(segments) <= account:
            return None
        path = "/" + "/".join(segments[: account + 1])
        netloc = re.sub(r"\.dfs\.", ".blob.", parts.netloc, count=1) if known else parts.netloc
        prefix = unquote("/".join(segments[account + 1 :]))
        return cls(
            url=url,
            container_url=urlunsplit((parts.scheme, netloc, path, "", "")),
            account=known["account"] if known else unquote(segments[0]) if account else (parts.hostname or ""),
            container=unquote(segments[account]),
            prefix=prefix + "/" if prefix else "",
            query=parts.query,
            is_certain=known is not None,
        )

    def page(self, marker: str) -> str:
        """The address of a page of the list."""
        asked = [("restype", "container"), ("comp", "list"), ("prefix", self.prefix)]
        asked += [("marker", marker)] if marker else []
        signature = parse_qsl(self.query, keep_blank_values=True)
        return f"{self.container_url}?{urlencode(asked + signature, quote_via=quote, safe='')}"


def list_blobs(visitor: Visitor, folder: BlobFolder) -> Iterator[Found] | None:
    """Every blob below the folder, named from there; None when the host does not speak this language.

    Raises InputUnreadable when the storage refuses, or ends the list early.
    """
    first = _page(visitor, folder, "")
    return None if first is None else _from(visitor, folder, first)


def _from(visitor: Visitor, folder: BlobFolder, page: "ElementTree.Element | None") -> Iterator[Found]:
    seen = {""}
    while page is not None:
        for blob in page.iterfind("Blobs/Blob"):
            found = _found(folder, blob)
            if found is not None:
                yield found
        marker = page.findtext("NextMarker") or ""
        if not marker:
            return
        if marker in seen:
            raise failed(folder.url, "the list of its files goes round in a circle", "Try again in a while.")
        seen.add(marker)
        page = _page(visitor, folder, marker)
    raise failed(folder.url, "the list of its files ended early", "Try again in a while.")


def _found(folder: BlobFolder, blob: ElementTree.Element) -> Found | None:
    """None for a marker that stands for a folder."""
    written = blob.find("Name")
    name = (written.text if written is not None else "") or ""
    if written is not None and written.get("Encoded") == "true":
        name = unquote(name)
    size = blob.findtext("Properties/Content-Length")
    if blob.findtext("Properties/ResourceType") == "directory" or not name.startswith(folder.prefix):
        return None
    inside = name[len(folder.prefix) :]
    return (
        Found(inside, int(size) if size and size.isdigit() else None) if inside and not inside.endswith("/") else None
    )


def _page(visitor: Visitor, folder: BlobFolder, marker: str) -> ElementTree.Element | None:
    return visitor.ask(folder.page(marker), lambda response: _read(response, folder), _HEADERS)


def _read(response: "httpx.Response", folder: BlobFolder) -> ElementTree.Element | None:
    # A file of any size may answer here, on hosts that are no storage.
    body = response.read() if "xml" in response.headers.get("content-type", "") else b""
    code = response.headers.get("x-ms-error-code") or _code_in(body)
    if response.status_code == 200 and b"<EnumerationResults" in body[:500]:
        return _parsed(body)
    if response.status_code in (408, 429) or (response.status_code >= 500 and (folder.is_certain or code)):
        raise ConnectionError(f"the storage answered {response.status_code} {code}".rstrip())
    if code or folder.is_certain:
        raise _refused(folder, response.status_code, code)
    return None


def _parsed(body: bytes) -> ElementTree.Element:
    if b"<!DOCTYPE" in body[:500]:
        raise ConnectionError("the storage answered a document of another kind")
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - without a DOCTYPE there are no entities to expand
    except ElementTree.ParseError as error:
        # Cut off in the middle: what is missing would never be noticed.
        raise ConnectionError(f"a page of the list is not whole: {error}") from error


def _code_in(body: bytes) -> str:
    found = re.search(rb"<Error>.{0,200}?<Code>(\w+)</Code>", body[:2000], re.S)
    return found[1].decode() if found else ""


def _refused(folder: BlobFolder, status: int, code: str) -> InputUnreadable:
    shown = hosts.shown(folder.url)
    answer = f"{status} {code}".rstrip()
    return InputUnreadable(
        f"The folder {shown} cannot be listed without credentials: the storage answered {answer}. "
        f"If it exists and is private, register it as a datastore (type: azure_blob, account_name: {folder.account}, "
        f"container_name: {folder.container}, credentials: account_key or sas_token) with: datastore create --file "
        f"<datastore.yml>, and name azureml://datastores/<name>/paths/{folder.prefix}",
        target=shown,
    )
