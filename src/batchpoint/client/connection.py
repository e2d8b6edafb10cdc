"""What a program needs to use a server: its address, the name of its cloud, and a secret that it gets tokens with."""

from dataclasses import dataclass

from batchpoint.client.requests import Requests
from batchpoint.errors import InternalError, ServerUnreachable


@dataclass(frozen=True)
class Connection:
    """A way to a server, open to whoever knows its secret."""

    #: Address of the server; https.
    url: str
    cloud: str
    #: The name of whom the secret speaks for.
    principal: str
    identity_header: str
    #: When the secret ends, ISO 8601; empty when the server does not say.
    expires_at: str

    def __repr__(self) -> str:
        return f"Connection(url={self.url!r}, cloud={self.cloud!r}, principal={self.principal!r})"


def connection_of(requests: Requests, url: str, home_id: str, principal: str | None) -> Connection:
    """See ``Client.connection``."""
    here = requests.json("GET", "/batchpoint/v1/info").text("home")
    if not here or (home_id and here != home_id):
        raise ServerUnreachable(
            f"What answers at {url} is not the server that was asked for. Look which program has that port.", target=url
        )
    found = requests.json("POST", "/batchpoint/v1/connections", {"principal": principal} if principal else {})
    secret, cloud = found.text("identity_header"), found.text("cloud")
    if not secret or not cloud:
        raise InternalError(f"{url} answered a request for a connection with something else. Is it of this version?")
    return Connection(url, cloud, found.text("principal") or "", secret, found.text("expires_at") or "")
