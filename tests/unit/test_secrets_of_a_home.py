"""Secrets of a home are drawn once; a file that holds none opens nothing."""

from pathlib import Path

import pytest

from batchpoint.errors import InternalError, UserError
from batchpoint.server.identity.home import drawn_once, token_of
from batchpoint.storage.accounts.account import Account
from batchpoint.storage.accounts.keys import keys_of

DAMAGED = [b"", b"\n", b"short\n", b"\xff" * 43, b"two words of which none is the secret\n"]


def test_a_secret_is_the_same_for_whoever_asks_and_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    token = token_of(home)
    assert token == token_of(home) != drawn_once(home / "keys" / "links") and len(token) == 43
    assert keys_of(Account(home, "batchpoint")) == keys_of(Account(home, "batchpoint"))
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.name: path.stat().st_mode & 0o777 for path in files} == dict.fromkeys(
        ("token", "links", "storage-batchpoint"), 0o600
    )


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_secret_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"token is damaged.*Put it back from a copy, or remove it"):
        token_of(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_keys_of_a_storage_account_are_refused(tmp_path: Path, content: bytes) -> None:
    account = Account(tmp_path, "batchpoint")
    keys_of(account)
    (tmp_path / "keys" / "storage-batchpoint").write_bytes(content)
    with pytest.raises(InternalError, match=r"storage-batchpoint is damaged.*remove it to have others drawn"):
        keys_of(account)
