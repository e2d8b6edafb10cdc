"""Addresses of this server's own blobs as places: where clients have sent files, they name again in a request.

``locations`` asks before it takes an address for one on the web. It reads no blob.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from batchpoint.errors import ResourceNotFound
from batchpoint.server.identity.actions import ML
from batchpoint.server.lookup import Desk
from batchpoint.server.transport.names import answers_to, extra_names, is_public
from batchpoint.storage.accounts.account import Account, account_of, is_account_name, is_container_name, named
from batchpoint.storage.accounts.container_names import container_of
from batchpoint.storage.datastores import LocalFolder, local_path


def own_place(desk: Desk, url: str, use: str) -> Path | None:
    """The path on this machine that ``url`` means; None for what is on another server.

    A signature in the address counts for nothing: the caller must be allowed ``use`` of the workspace's datastores.
    Raises ResourceNotFound for an account that is not here, and in the same words for one that the caller may not use.
    """
    found = _account(desk, url)
    if found is None:
        return None
    account, inside = found
    container, _, path = inside.partition("/")
    if not is_container_name(container):
        return None
    try:
        here = desk.at(account.workspace() or desk.workspace, f"{ML}/datastores/{use}")
    except ResourceNotFound as error:
        raise _no_account(account.name) from error
    for datastore in here.datastores():
        if datastore.is_local and container_of(datastore) == container:
            return local_path(datastore, path)
    return LocalFolder(account.container(container)).local_path(path)


def _account(desk: Desk, url: str) -> tuple[Account, str] | None:
    """The account that an address names, and what stands behind it: ``<container>/<blob>``."""
    parts = urlsplit(url)
    host, inside = (parts.hostname or "").lower(), unquote(parts.path, errors="surrogateescape").removeprefix("/")
    extra = frozenset((*extra_names(desk.settings), (urlsplit(desk.server).hostname or "").lower()))
    name, _, domain = host.partition(".blob.")
    is_named = bool(domain) and domain == desk.settings.storage_host.partition(":")[0].lower()
    if not is_named and not answers_to(host, extra) and not is_public(host):
        return None
    if not domain:
        name, _, inside = inside.partition("/")
        # Clients that were given the account with our address in front of it append its domain as a fragment.
        inside = inside or unquote(parts.fragment, errors="surrogateescape").partition("/")[2]
    if not is_account_name(name):
        return None
    own = account_of(desk.settings.home, desk.workspace)
    account = own if own.name == name else named(desk.settings.home, name)
    if account is None:
        # As a place on the web it would lead into the account as soon as its workspace has it.
        raise _no_account(name)
    return account, inside


def _no_account(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no storage account {name} on this server.", target=name)
