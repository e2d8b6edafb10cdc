"""By which names this server is spoken to: its own, and the public ones that a proxy may lead here. Pure.

The gate compares Host headers with them, certificates are made out to them, the proxy leads no other name here.
"""

import ipaddress
import re

from batchpoint.settings import Settings

#: What is here by whatever name an operating system knows itself; ``*.localhost`` never leaves a machine.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OWN_WILDCARDS = ("*.localhost", "*.blob.localhost")

#: Key in the state of a request: its connection was made to a name of the public cloud, which the server proved to be.
BY_PUBLIC_NAME = "by_public_name"

#: Hosts of the public cloud that scripts have written into them. Storage accounts: those that this server makes, and
#: no other, as samples and tools read public data from their neighbours.
_PUBLIC = re.compile(
    r"management\.azure\.com|login\.microsoftonline\.com"
    r"|(batchpoint|bp[0-9a-f]{16})\.blob\.core\.windows\.net"
    r"|[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})?\.inference\.ml\.azure\.com"
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
#: As certificates and host names allow it.
_LONGEST = 253


def is_public(name: str) -> bool:
    """Whether ``name`` belongs to the public cloud, and a proxy leads it here."""
    return bool(_PUBLIC.fullmatch(name.lower()))


def is_loopback(name: str) -> bool:
    return name in LOOPBACK or name.endswith(".localhost")


def extra_names(settings: Settings, host: str = "") -> tuple[str, ...]:
    """Names besides loopback: those that the operator allows, of storage accounts, and ``host`` if it is one."""
    listed = [name.strip().lower() for name in settings.server_hosts_allowed.split(",")]
    domain = settings.storage_host.partition(":")[0].lower()
    accounts = [f"*.blob.{domain}"] if domain else []
    given = host.strip("[]").lower()
    names = [*listed, *accounts, *([] if given in {"", "0.0.0.0", "::"} else [given])]  # noqa: S104 - not bound
    return tuple(dict.fromkeys(name for name in names if name and not is_loopback(name)))


def answers_to(name: str, extra: frozenset[str]) -> bool:
    """Whether a request may call this server ``name``; ``*.x`` in ``extra`` stands for one more label before x."""
    if is_loopback(name) or name in extra:
        return True
    return "*." + name.partition(".")[2] in extra


def is_certifiable(name: str) -> bool:
    """Whether a certificate can be made out to ``name``: an address, a host name, or ``*.`` before one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.removeprefix("*.").split(".")
        return len(name) <= _LONGEST and all(_LABEL.fullmatch(label) for label in labels)
    return True
