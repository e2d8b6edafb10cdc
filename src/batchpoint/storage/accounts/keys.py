"""The keys of a storage account: two, drawn on first use, in a file that the owner of the home alone can read."""

import base64
import os
import secrets
from pathlib import Path

from batchpoint.storage.accounts.account import Account
from batchpoint.storage.atomic import publish_without_clobber

_KEY_BYTES = 64


def keys_of(account: Account) -> tuple[str, str]:
    """Both keys as base64, as clients take them."""
    path = _path(account)
    if not path.exists():
        _draw(path)
    first, second = path.read_text(encoding="ascii").split()
    return first, second


def forget_keys(account: Account) -> None:
    """Every signature that was made with them is worth nothing from now on."""
    _path(account).unlink(missing_ok=True)


def _path(account: Account) -> Path:
    return account.home / "keys" / f"storage-{account.name}"


def _draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    drawn = [base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii") for _ in range(2)]
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(drawn) + "\n")
    # Another process may have drawn them meanwhile: then those count.
    publish_without_clobber(aside, path)
    aside.unlink(missing_ok=True)
