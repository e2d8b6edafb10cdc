"""Owns the download of an input from a https address to a local folder, and which hosts may be asked.

The engine calls it before it lists the input. Every address behind a name is checked and then connected to as such,
redirects included, so that no answer of a name server can lead into a private network.
"""

import ipaddress
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from batchpoint.errors import InputUnreadable, NotSupported
from batchpoint.storage.atomic import aside_path, fsync_folder

if TYPE_CHECKING:
    import httpx

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
    #: Before the second attempt; each further one waits as much longer.
    pause_s: float = 1.0


def fetch_file(url: str, folder: Path, hosts_allowed: str = "", limits: FetchLimits = FetchLimits()) -> Path:
    """Download ``url`` into ``folder`` and answer the file's path; one that stands there already is taken as it is.

    ``hosts_allowed`` lists private and loopback hosts, ``host`` or ``host:port``, comma-separated.
    Raises InputUnreadable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / file_name_of(url)
    if final.exists():
        return final
    aside = aside_path(folder)
    try:
        _Download(url, aside, hosts_allowed, limits).run()
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


def shown(url: str) -> str:
    """The URL for messages and logs: without what is often a signature or a password."""
    front, mark, _ = url.partition("?")
    scheme, slashes, rest = front.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}{'?…' if mark else ''}"


def refuse_folder(url: str) -> NotSupported:
    """The error for a https folder, which cannot be listed yet."""
    return NotSupported(
        f"{shown(url)} is a https folder, and those cannot be listed yet. Copy it to the server's machine and name "
        "that folder as the input, or register it as a datastore. A single file works with --input-type uri_file.",
        target=shown(url),
    )


class _Download:
    """One download, its redirects and its few repetitions."""

    def __init__(self, url: str, target: Path, hosts_allowed: str, limits: FetchLimits) -> None:
        self._url = url
        self._target = target
        self._allowed = frozenset(host.strip().lower() for host in hosts_allowed.split(",") if host.strip())
        self._limits = limits
        self._attempt = 1
        self._deadline = time.monotonic() + limits.total_s

    def run(self) -> None:
        import httpx

        for attempt in range(1, _ATTEMPTS + 1):
            self._attempt = attempt
            try:
                return self._follow()
            except httpx.RequestError as error:
                reason = f"{error}" or type(error).__name__
            except _TryAgain as answer:
                reason = str(answer)
            if attempt < _ATTEMPTS:
                time.sleep(attempt * self._limits.pause_s)
        raise self._failed(f"{reason} ({_ATTEMPTS} attempts)", "Check the address and the network.")

    def _follow(self) -> None:
        url = self._url
        for _ in range(_REDIRECTS + 1):
            with self._response(url) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECT_CODES or not location:
                    return self._take(response)
                url = urljoin(url, location)
        raise self._failed(f"more than {_REDIRECTS} redirects", "Name the address that they end at.")

    @contextmanager
    def _response(self, url: str) -> "Iterator[httpx.Response]":
        import httpx

        parts = self._checked(url)
        timeout = httpx.Timeout(self._limits.idle_s, connect=self._limits.connect_s)
        proxy = _proxy_for(parts)
        tls = httpx.create_ssl_context() if parts.scheme == "https" else False
        with httpx.Client(proxy=proxy, trust_env=False, verify=tls, timeout=timeout) as client:
            request = self._request(client, parts, proxy)
            response = client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()

    def _request(self, client: "httpx.Client", parts: SplitResult, proxy: str | None) -> "httpx.Request":
        headers = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity"}
        # A proxy of the operator resolves names itself, and is itself what decides where one may go.
        if proxy is not None:
            return client.build_request("GET", parts._replace(fragment="").geturl(), headers=headers)
        address = self._address(parts)
        host = f"[{address}]" if ":" in address else address
        port = f":{parts.port}" if parts.port else ""
        url = parts._replace(netloc=host + port, fragment="").geturl()
        return client.build_request("GET", url, headers=headers, extensions={"sni_hostname": parts.hostname})

    def _checked(self, url: str) -> SplitResult:
        import httpx

        try:
            # httpx writes international names and stray characters the way they travel.
            parts = urlsplit(str(httpx.URL(url)))
            port = parts.port
        except (ValueError, httpx.InvalidURL) as error:
            raise self._failed(f"the address {shown(url)} cannot be read: {error}", "Check it.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise self._failed(f"it leads to {shown(url)}, which is no http or https address", "Check it.")
        if parts.username is not None:
            raise self._failed("a user name and password in an address are not sent", "Take them out.")
        return parts

    def _address(self, parts: SplitResult) -> str:
        """The address to connect to. Raises InputUnreadable when any behind the name is private."""
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _TryAgain(f"the name {host} cannot be resolved: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        is_allowed = host.lower() in self._allowed or f"{host.lower()}:{port}" in self._allowed
        private = [address for address in addresses if not is_public(address)]
        if private and not is_allowed:
            raise self._failed(
                f"{host} is a private or local host ({private[0]})",
                "An administrator can allow it with the setting input_hosts_allowed.",
            )
        return addresses[(self._attempt - 1) % len(addresses)]

    def _take(self, response: "httpx.Response") -> None:
        status = response.status_code
        if status in (408, 429) or status >= 500:
            raise _TryAgain(f"the server answered {status}")
        if status != 200:
            raise self._failed(f"the server answered {status}", _what_to_do(status))
        written = 0
        with self._target.open("wb") as file:
            for chunk in response.iter_bytes():
                written += len(chunk)
                if written > self._limits.max_bytes:
                    raise self._failed(f"it is larger than {self._limits.max_bytes:,} bytes", "Copy it here yourself.")
                if time.monotonic() > self._deadline:
                    raise self._failed(f"it took longer than {self._limits.total_s:g} s", "Copy it here yourself.")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def _failed(self, why: str, what_to_do: str) -> InputUnreadable:
        url = shown(self._url)
        return InputUnreadable(f"The input {url} cannot be downloaded: {why}. {what_to_do}", target=url)


class _TryAgain(Exception):
    """An answer that may be another one in a moment."""


def is_public(address: str) -> bool:
    """False for every address that is not reachable from the whole internet, however it is wrapped."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = _wrapped_ipv4(ip)
        if wrapped is not None:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def _wrapped_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64 or ip in _COMPATIBLE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _proxy_for(parts: SplitResult) -> str | None:
    """The operator's proxy for a URL, from the usual variables."""
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _what_to_do(status: int) -> str:
    if status in (401, 403):
        return "It needs credentials, or a signature in the address that has run out."
    if status == 404:
        return "Check the address."
    return "Open the address in a browser to see what it offers."
