"""The keys of a storage account: two, drawn on first use, in a file that the owner of the home alone can read."""

import base64
import re
import secrets
from pathlib import Path

from batchpoint.errors import InternalError
from batchpoint.storage.accounts.account import Account
from batchpoint.storage.atomic import write_once

_KEY_BYTES = 64
_TWO_KEYS = re.compile(rb"([A-Za-z0-9+/]{86}==)\s+([A-Za-z0-9+/]{86}==)\s*")


def keys_of(account: Account) -> tuple[str, str]:
    """Both keys as base64, as clients take them. Raises InternalError when their file is damaged."""
    path = _path(account)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    drawn = "".join(f"{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode('ascii')}\n" for _ in range(2))
    found = _TWO_KEYS.fullmatch(write_once(path, drawn.encode("ascii"), 0o600))
    if found is None:
        raise InternalError(
            f"{path} is damaged: it does not hold the two keys of storage account {account.name}. Put it back from a "
            "copy, or remove it to have others drawn; signatures made with the old ones count no more then.",
            target=str(path),
        )
    return found[1].decode("ascii"), found[2].decode("ascii")


def forget_keys(account: Account) -> None:
    """Every signature that was made with them is worth nothing from now on."""
    _path(account).unlink(missing_ok=True)


def _path(account: Account) -> Path:
    return account.home / "keys" / f"storage-{account.name}"
