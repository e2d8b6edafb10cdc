"""A server and the storage account of its default workspace: what tests of the blob service speak to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from batchpoint.storage.accounts.account import Account
from batchpoint.storage.accounts.keys import keys_of
from tests.process.servers import Server, serving

NAME = "batchpoint"


@dataclass(frozen=True)
class StorageAccount:
    """The account, its keys, and clients of it."""

    server: Server
    account: Account

    @property
    def url(self) -> str:
        return f"{self.server.url}/{NAME}"

    @property
    def key(self) -> str:
        return keys_of(self.account)[0]

    def folder(self, container: str) -> Path:
        return self.account.container(container)

    def client(self, block_bytes: int = 4 << 20, single_bytes: int = 64 << 20) -> BlobServiceClient:
        """The one that everybody uses, with the key."""
        return BlobServiceClient(
            self.url,
            credential={"account_name": NAME, "account_key": self.key},
            max_block_size=block_bytes,
            max_single_put_size=single_bytes,
            retry_total=0,
        )

    def signature(self, container: str, letters: str = "rwl", hours: float = 1.0) -> str:
        permission = ContainerSasPermissions.from_string(letters)
        expiry = datetime.now(UTC) + timedelta(hours=hours)
        return generate_container_sas(NAME, container, self.key, permission=permission, expiry=expiry)

    def http(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=60, trust_env=False)

    def owner(self) -> httpx.Client:
        return self.http((self.server.home / "token").read_text().strip())


@contextmanager
def storage_account(home: Path) -> Iterator[StorageAccount]:
    """The account of a home that is served."""
    with serving(home) as server:
        yield StorageAccount(server, Account(home, NAME))
