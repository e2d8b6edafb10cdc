"""Owns the download of files from http addresses, redirects and repetitions included.

The engine brings inputs here with it, the server models and code. Which hosts may be asked is decided in ``hosts``.
"""

import logging
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from batchpoint.errors import InputUnreadable
from batchpoint.storage.atomic import aside_path, fsync_folder
from batchpoint.storage.web import hosts
from batchpoint.storage.web.hosts import shown

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

_REDIRECTS = 10
_ATTEMPTS = 3
_REDIRECT_CODES = frozenset({301, 302, 303, 307, 308})
_NAME_LIMIT_BYTES = 200


@dataclass(frozen=True)
class FetchLimits:
    """How much and how long one download may take."""

    max_bytes: int = 64 * 2**30
    total_s: float = 6 * 3600.0
    #: Longest silence of the other side.
    idle_s: float = 60.0
    connect_s: float = 15.0
    #: Before the second attempt at most; each further one may wait as much longer.
    pause_s: float = 1.0


LIMITS = FetchLimits()


def fetch_file(
    url: str,
    folder: Path,
    hosts_allowed: str = "",
    limits: FetchLimits = LIMITS,
    still_wanted: Callable[[], None] = lambda: None,
) -> Path:
    """Download ``url`` into ``folder`` and answer the file's path; one that stands there already is taken as it is.

    ``hosts_allowed`` lists private and loopback hosts, ``host`` or ``host:port``, comma-separated; ``still_wanted``
    is called again and again meanwhile and raises to stop. Raises InputUnreadable.
    """
    hosts.checked(url)
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / file_name_of(url)
    if final.exists():
        return final
    aside = aside_path(folder)
    try:
        with Visitor(hosts_allowed, limits, still_wanted) as visitor:
            visitor.download(url, aside)
        aside.replace(final)
    except OSError as error:
        raise InputUnreadable(
            f"{shown(url)} could not be stored in {folder}: {error.strerror or error}. "
            "Make room or check the rights there.",
            target=shown(url),
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    fsync_folder(folder)
    return final


def file_name_of(url: str) -> str:
    """A safe file name from the last segment of a URL's path."""
    name = unquote(urlsplit(url).path.rpartition("/")[2], errors="replace")
    name = re.sub(r"[\x00-\x1f\x7f/]", "_", name)
    while len(os.fsencode(name)) > _NAME_LIMIT_BYTES:
        # The suffix is what readers go by, so the front is cut.
        name = name[1:]
    return "input" if name in ("", ".", "..") else name


class Visitor:
    """Asks websites, keeping connections to those it has seen. Safe for threads."""

    def __init__(
        self,
        hosts_allowed: str = "",
        limits: FetchLimits = LIMITS,
        still_wanted: Callable[[], None] = lambda: None,
    ) -> None:
        for library in ("httpx", "httpcore"):
            # They log whole addresses, and a query may be a signature.
            logging.getLogger(library).setLevel(logging.WARNING)
        self._hosts_allowed = hosts_allowed
        self._limits = limits
        self._still_wanted = still_wanted
        self._lock = threading.Lock()
        #: By scheme, host and proxy: a connection that was checked for one name serves no other.
        self._clients: dict[tuple[str, str, str | None], httpx.Client] = {}
        self._tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    def download(self, url: str, target: Path) -> None:
        """Write what ``url`` answers to ``target``. Raises InputUnreadable."""
        deadline = time.monotonic() + self._limits.total_s
        self.ask(url, lambda response: self._take(response, target, url, deadline))

    def ask(self, url: str, take: "Callable[[httpx.Response], T]", headers: dict[str, str] | None = None) -> T:
        """What ``take`` makes of the answer, at the end of the redirects; tried again where that may help.

        Raises InputUnreadable; ``take`` raises ConnectionError for what may be another answer in a moment.
        """
        import httpx

        reason = ""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._answer(url, attempt, headers or {}) as response:
                    return take(response)
            except httpx.RequestError as error:
                reason = f"{error}" or type(error).__name__
            except ConnectionError as answer:
                reason = str(answer)
            if attempt < _ATTEMPTS:
                time.sleep(random.uniform(0, attempt * self._limits.pause_s))
            self._still_wanted()
        raise failed(url, f"{reason} ({_ATTEMPTS} attempts)", "Check the address and the network.")

    @contextmanager
    def _answer(self, url: str, attempt: int, headers: dict[str, str]) -> "Iterator[httpx.Response]":
        here = url
        for _ in range(_REDIRECTS + 1):
            with self._response(here, attempt, headers) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECT_CODES or not location:
                    response.extensions["asked"] = here
                    yield response
                    return
                onward = urljoin(here, location)
                if here.lower().startswith("https:") and onward.lower().startswith("http:"):
                    raise failed(
                        url, "it leads from https to http", "Name the address that it leads to, if you trust it."
                    )
                here = onward
        raise failed(url, f"more than {_REDIRECTS} redirects", "Name the address that they end at.")

    @contextmanager
    def _response(self, url: str, attempt: int, headers: dict[str, str]) -> "Iterator[httpx.Response]":
        parts = hosts.checked(url)
        proxy = hosts.proxy_for(parts)
        client = self._client(parts, proxy)
        response = client.send(self._request(client, parts, proxy, attempt, headers), stream=True)
        try:
            yield response
        finally:
            response.close()

    def _client(self, parts: SplitResult, proxy: str | None) -> "httpx.Client":
        import httpx

        key = (parts.scheme, parts.netloc, proxy)
        with self._lock:
            if key not in self._clients:
                timeout = httpx.Timeout(self._limits.idle_s, connect=self._limits.connect_s)
                if parts.scheme == "https" and self._tls is None:
                    self._tls = httpx.create_ssl_context()
                tls = self._tls if parts.scheme == "https" and self._tls else False
                self._clients[key] = httpx.Client(proxy=proxy, trust_env=False, verify=tls, timeout=timeout)
            return self._clients[key]

    def _request(
        self, client: "httpx.Client", parts: SplitResult, proxy: str | None, attempt: int, headers: dict[str, str]
    ) -> "httpx.Request":
        headers = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity", **headers}
        # A proxy of the operator resolves names itself, and is itself what decides where one may go.
        if proxy is not None:
            return client.build_request("GET", parts._replace(fragment="").geturl(), headers=headers)
        known = hosts.addresses(parts, self._hosts_allowed)
        address = known[(attempt - 1) % len(known)]
        host = f"[{address}]" if ":" in address else address
        port = f":{parts.port}" if parts.port else ""
        url = parts._replace(netloc=host + port, fragment="").geturl()
        return client.build_request("GET", url, headers=headers, extensions={"sni_hostname": parts.hostname})

    def _take(self, response: "httpx.Response", target: Path, url: str, deadline: float) -> None:
        refuse_status(response, url)
        written = 0
        with target.open("wb") as file:
            for chunk in response.iter_bytes():
                self._still_wanted()
                written += len(chunk)
                if written > self._limits.max_bytes:
                    raise failed(url, f"it is larger than {self._limits.max_bytes:,} bytes", "Copy it here yourself.")
                if time.monotonic() > deadline:
                    raise failed(url, f"it took longer than {self._limits.total_s:g} s", "Copy it here yourself.")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


def refuse_status(response: "httpx.Response", url: str) -> None:
    """Raises ConnectionError or InputUnreadable for an answer that is none."""
    status = response.status_code
    if status in (408, 429) or status >= 500:
        raise ConnectionError(f"the server answered {status}")
    if status != 200:
        raise failed(url, f"the server answered {status}", _what_to_do(status))


def failed(url: str, why: str, what_to_do: str) -> InputUnreadable:
    """The error for an address that gives nothing."""
    return InputUnreadable(f"The input {shown(url)} cannot be downloaded: {why}. {what_to_do}", target=shown(url))


def _what_to_do(status: int) -> str:
    if status in (401, 403):
        return "It needs credentials, or a signature in the address that has run out."
    if status == 404:
        return "Check the address."
    return "Open the address in a browser to see what it offers."
