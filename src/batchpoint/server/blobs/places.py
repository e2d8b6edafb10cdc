"""Where the containers of an account are, and what is asked of containers themselves: made, shown, listed, removed."""

import filecmp
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.datastore import Datastore
from batchpoint.server.blobs.address import Address
from batchpoint.server.blobs.refusals import refused
from batchpoint.storage.accounts.about import Notes
from batchpoint.storage.accounts.account import CONTAINER_OF, CONTAINERS, Account, is_container_name, opened
from batchpoint.storage.accounts.blobs import Blobs
from batchpoint.storage.accounts.container_names import OF_DATASTORE, container_of
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.content import UPLOADS
from batchpoint.storage.datastores import DEFAULT_DATASTORE
from batchpoint.store.store import Store


@dataclass(frozen=True)
class Places:
    """The containers of the accounts of one home."""

    home: Path
    store: Store

    def find(self, address: Address) -> Blobs:
        """The container of an address. Raises BlobRefused where there is none."""
        found = self._container(address.account, address.container)
        if not found.exists:
            raise refused(404, "ContainerNotFound", "The specified container does not exist.")
        return found

    def blocks(self, address: Address) -> Path:
        """Where blocks are kept until their blob is put together."""
        return address.account.about / address.container / "blocks"

    def create(self, address: Address, metadata: dict[str, str]) -> Blobs:
        found = self._container(address.account, address.container)
        if found.exists:
            raise refused(409, "ContainerAlreadyExists", "The specified container already exists.")
        found.root.mkdir(parents=True, exist_ok=True)
        self.describe(address, metadata)
        return found

    def delete(self, address: Address) -> None:
        found = self.find(address)
        if address.container in CONTAINERS or self._registered(address.account, address.container):
            message = "The container is that of a datastore. Delete its blobs, or the datastore."
            raise refused(409, "ContainerBeingUsed", message)
        found.remove_all()
        # Notes, and blocks of blobs that were never put together: another container of this name begins without.
        shutil.rmtree(address.account.about / address.container, ignore_errors=True)

    def names(self, account: Account) -> list[str]:
        """Of all containers of an account, in order."""
        return sorted({*account.containers(), *(container_of(one) for one in self._folders(account))})

    def metadata(self, address: Address) -> dict[str, str]:
        try:
            kept = json.loads(self._description(address).read_bytes())
        except FileNotFoundError:
            return {}
        return {str(name): str(value) for name, value in kept.items()}

    def describe(self, address: Address, metadata: dict[str, str]) -> None:
        """Replace what clients say about a container."""
        path = self._description(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(metadata).encode())

    def keep_registered(self, address: Address, finished: Path | None) -> None:
        """Raises BlobRefused where ``finished`` (or nothing) would change what an asset was made of.

        The same bytes may come again: clients that were interrupted send all of it once more.
        """
        whole = "/".join(address.blob.split("/")[:3])
        workspace = address.account.workspace()
        if address.container != CONTAINER_OF[DEFAULT_DATASTORE] or not whole.startswith(f"{UPLOADS}/") or not workspace:
            return
        if not self.store.is_named_by_asset(workspace.key, whole):
            return
        there = self._container(address.account, address.container).root / address.blob
        if finished is None or not there.is_file() or not filecmp.cmp(finished, there, shallow=False):
            message = f"{whole} is the content of a registered model, code or data asset, which never changes. "
            raise refused(409, "BlobImmutableDueToPolicy", f"{message}Upload it elsewhere, and register a new version.")

    def _description(self, address: Address) -> Path:
        return address.account.about / address.container / "metadata.json"

    def _container(self, account: Account, name: str) -> Blobs:
        if not is_container_name(name):
            message = "A container's name has 3 to 63 lower-case letters, digits and single dashes."
            raise refused(400, "InvalidResourceName", message)
        registered = self._registered(account, name)
        root = Path(registered.path or "") if registered else account.container(name)
        if name in CONTAINERS and not root.is_dir() and (workspace := account.workspace()):
            opened(account.home, workspace)
        about = account.about / name
        return Blobs(root, Notes(about / "notes"), account.about / "locks")

    def _registered(self, account: Account, name: str) -> Datastore | None:
        if not name.startswith(OF_DATASTORE):
            return None
        return next((one for one in self._folders(account) if container_of(one) == name), None)

    def _folders(self, account: Account) -> list[Datastore]:
        workspace = account.workspace()
        found = self.store.list_datastores(workspace.key) if workspace else []
        return [one for one in found if one.is_local and one.path]
