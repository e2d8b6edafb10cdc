"""What is given out to clients so that they reach the blobs of a workspace: addresses, and signatures that end soon.

Routers of datastores, of pending uploads and of storage accounts call it. Who may ask was decided before.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from batchpoint.arm.datastore import BlobPlace
from batchpoint.entities.datastore import Datastore
from batchpoint.errors import ReferenceInvalid
from batchpoint.server.blobs.sas import container_signature
from batchpoint.server.lookup import Desk
from batchpoint.storage.accounts.account import PENDING, opened
from batchpoint.storage.accounts.container_names import container_of
from batchpoint.storage.accounts.keys import keys_of

#: Hours that a signature is good for when nobody says so, and at most.
_HOURS, _HOURS_MAX = 1, 24
_LETTERS = "racwdl"


@dataclass(frozen=True)
class PendingUpload:
    """Where a client sends files before it registers them."""

    id: str
    #: Of the container, without a signature.
    url: str
    signed_url: str


def blob_place(desk: Desk, datastore: Datastore, agent: str) -> BlobPlace | None:
    """What a folder is to clients of blob storage, ``agent`` among them; None for what is elsewhere.

    The SDK makes ``https://<account>.blob.<domain>`` of it, whatever else it is told. Where no domain leads here, its
    account carries our address, and what it appends becomes a fragment that it never sends.
    """
    if not datastore.is_local:
        return None
    # Whoever is told of an account can go there.
    account, server = opened(desk.settings.home, desk.workspace).name, urlsplit(desk.server)
    domain = desk.settings.storage_host
    if not domain and "azure-ai-ml" in agent.lower():
        account = f"{server.netloc}/{account}#"
    return BlobPlace(account, container_of(datastore), domain or server.netloc, server.scheme or "https")


def signature(desk: Desk, container: str, hours: int | None = None) -> str:
    """The query of a signature for a container of the workspace, to read, write and delete.

    Good for so many hours, a day at most. Raises ReferenceInvalid for less than one.
    """
    if hours is not None and hours < 1:
        message = f"A signature is good for 1 to {_HOURS_MAX} hours, not for {hours}."
        raise ReferenceInvalid(message, target="expireAfterHours")
    lifetime = min(hours or _HOURS, _HOURS_MAX)
    account = opened(desk.settings.home, desk.workspace)
    key = keys_of(account)[0]
    https_only = desk.server.startswith("https:")
    return container_signature(account.name, key, container, _LETTERS, timedelta(hours=lifetime), https_only=https_only)


def pending_upload(desk: Desk) -> PendingUpload:
    """A container of its own for files that are not registered yet; whoever cleans up removes it if they never are."""
    account = opened(desk.settings.home, desk.workspace)
    name = f"{PENDING}{secrets.token_hex(16)}"
    account.container(name).mkdir()
    url = f"{desk.server}/{account.name}/{name}"
    return PendingUpload(name, url, f"{url}?{signature(desk, name, _HOURS_MAX)}")
