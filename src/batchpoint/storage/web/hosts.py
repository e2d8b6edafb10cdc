"""Which hosts an address in the web may lead to: the one place that decides it, for files, folders and redirects.

Every address behind a name is checked and then connected to as such, so that no answer of a name server can lead into
a private network.
"""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from batchpoint.errors import InputUnreadable

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: What the internet gives out; other unicast addresses are for networks of one's own, also where Python knows better.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def checked(url: str) -> SplitResult:
    """The parts of a URL the way they travel. Raises InputUnreadable for what no request is sent for."""
    import httpx

    try:
        # httpx writes international names and stray characters the way they travel.
        parts = urlsplit(str(httpx.URL(url)))
        port = parts.port
    except (ValueError, httpx.InvalidURL) as error:
        raise _refused(url, f"it cannot be read: {error}", "Check it.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _refused(url, "it is no http or https address", "Check it.")
    if parts.username is not None:
        raise _refused(url, "a user name and password in an address are not sent", "Take them out.")
    return parts


def addresses(parts: SplitResult, hosts_allowed: str) -> list[str]:
    """The addresses to connect to. Raises InputUnreadable when any behind the name is private,
    ConnectionError when it has none at the moment.

    ``hosts_allowed`` lists private and loopback hosts, ``host`` or ``host:port``, comma-separated.
    """
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectionError(f"the name {host} cannot be resolved: {error}") from error
    every = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    allowed = {one.strip().lower() for one in hosts_allowed.split(",")}
    private = [address for address in every if not is_public(address)]
    if private and not allowed & {host, f"{host}:{port}"}:
        raise _refused(
            parts.geturl(),
            f"{host} is a private or local host ({private[0]})",
            "An administrator can allow it with the setting input_hosts_allowed.",
        )
    return every


def is_public(address: str) -> bool:
    """False for every address that is not reachable from the whole internet, however it is wrapped."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = _wrapped_ipv4(ip)
        if wrapped is not None:
            return is_public(str(wrapped))
        if ip not in _GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast


def _wrapped_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64 or ip in _COMPATIBLE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def proxy_for(parts: SplitResult) -> str | None:
    """The operator's proxy for a URL, from the usual variables."""
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def is_address(host: str) -> bool:
    """True for a host that is written as a number, and for this machine."""
    return host == "localhost" or bool(re.fullmatch(r"[\d.]+|[0-9a-f:.]*:[0-9a-f:.]*", host.lower()))


def shown(url: str) -> str:
    """The URL for messages and logs: without what is often a signature or a password."""
    front, mark, _ = url.partition("?")
    scheme, slashes, rest = front.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}{'?…' if mark else ''}"


def _refused(url: str, why: str, what_to_do: str) -> InputUnreadable:
    return InputUnreadable(f"The address {shown(url)} is not asked: {why}. {what_to_do}", target=shown(url))
