"""Owns the reading of a small JSON object from the web, such as the keys of an issuer of tokens.

The server asks for it; which hosts may be asked is decided in ``hosts``.
"""

import json
from typing import TYPE_CHECKING, Any

from batchpoint.storage.web.fetch import FetchLimits, Visitor, failed, refuse_status

if TYPE_CHECKING:
    import httpx

_LIMIT_BYTES = 1 << 20
#: Somebody waits for the answer.
_LIMITS = FetchLimits(idle_s=5.0, connect_s=5.0, pause_s=0.1)


def fetch_json(url: str, hosts_allowed: str) -> dict[str, Any]:
    """The JSON object at ``url``, at most 1 MiB of it; private hosts are not asked unless ``hosts_allowed`` names them.

    Raises InputUnreadable, ValueError for what is no JSON object.
    """
    with Visitor(hosts_allowed, _LIMITS) as visitor:
        found = json.loads(visitor.ask(url, lambda response: _content(response, url)))
    if not isinstance(found, dict):
        raise ValueError(f"{url} answers no JSON object")
    return found


def _content(response: "httpx.Response", url: str) -> bytes:
    refuse_status(response, url)
    read = bytearray()
    for chunk in response.iter_bytes():
        read += chunk
        if len(read) > _LIMIT_BYTES:
            raise failed(url, f"it is larger than {_LIMIT_BYTES:,} bytes", "It should be a small document.")
    return bytes(read)
