"""Which requests are for the blob service, and which account, container and blob each of them names.

Two spellings: ``https://host/<account>/<container>/<blob>``, and ``https://<account>.blob.<domain>/<container>/<blob>``.
The gate asks here before anything else; it knows nothing about permissions.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import Scope

from batchpoint.storage.accounts.account import Account, is_account_name, named


@dataclass(frozen=True)
class Address:
    """What a request is about."""

    account: Account
    #: "" for the account itself.
    container: str
    #: "" for the container itself.
    blob: str
    #: As it was sent, still escaped: signatures are made of it.
    raw_path: str

    @property
    def of_resource(self) -> str:
        """As signatures name what they are good for."""
        return "/".join(part for part in ("/blob", self.account.name, self.container, self.blob) if part)


def address_of(scope: Scope, home: Path) -> Address | None:
    """What a request to the blob service is about; None for one that is for others."""
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    path = raw.decode("ascii", "replace").partition("?")[0]
    account, _, domain = Headers(scope=scope).get("host", "").lower().partition(".blob.")
    inside = path
    if not domain or not is_account_name(account):
        account, _, inside = path.removeprefix("/").partition("/")
        if not is_account_name(account) or _is_of_another(account, inside):
            return None
    found = named(home, account)
    if found is None:
        return None
    container, _, blob = inside.removeprefix("/").partition("/")
    return Address(found, _decoded(container), _decoded(blob), path)


def _is_of_another(account: str, inside: str) -> bool:
    """Our own interface begins with a word that is also the name of an account; no container is called so."""
    return account == "batchpoint" and inside.partition("/")[0] == "v1"


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")
