"""Owns which storage account a workspace has, and which folders of a home are its containers.

An account is a folder, its subfolders are containers, the files below those are blobs. Server, upkeep and the
datastores ask here; nothing here knows HTTP or who may do what.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.workspace import Workspace
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from batchpoint.storage.atomic import is_aside, write_atomically

#: Container → the datastore of every workspace that stands for it.
CONTAINERS = {"azureml-blobstore": "workspaceblobstore", "azureml": "workspaceartifactstore"}
#: The same, the other way round.
CONTAINER_OF = {datastore: container for container, datastore in CONTAINERS.items()}

#: How containers begin that clients get for files that they have not registered yet.
PENDING = "pendingupload-"

_OF_THE_HOME = Workspace(DEFAULT_SUBSCRIPTION, "default", "default")
_NAME_OF_THE_HOME = "batchpoint"
_NAME = re.compile(r"batchpoint|bp[0-9a-f]{16}")
#: 3 to 63 lower-case letters, digits and single dashes.
_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_RECORD = "workspace.json"
#: Where what is known about blobs lies besides their bytes; no container can be called so.
_ABOUT = ".about"


@dataclass(frozen=True)
class Account:
    """The storage account of one workspace in one home."""

    home: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.home / "accounts" / self.name

    @property
    def about(self) -> Path:
        """A folder for what is known about blobs besides their bytes."""
        return self.folder / _ABOUT

    def container(self, name: str) -> Path:
        """The folder of a container, whether or not it is there. ValueError for what cannot be one."""
        if not is_container_name(name):
            raise ValueError(name)
        if self.name == _NAME_OF_THE_HOME and name in CONTAINERS:
            # Where people look for the outputs of their jobs.
            return self.home / "datastores" / CONTAINERS[name]
        return self.folder / name

    def containers(self) -> list[str]:
        """Names of all that there are, in order; those of the datastores of every workspace are always there."""
        found = set(CONTAINERS)
        with contextlib.suppress(FileNotFoundError):
            found |= {one.name for one in self.folder.iterdir() if is_container_name(one.name) and one.is_dir()}
        return sorted(found)

    def workspace(self) -> Workspace | None:
        """Whose account it is; None before ``opened`` has seen it."""
        if self.name == _NAME_OF_THE_HOME:
            return _OF_THE_HOME
        try:
            record = json.loads((self.folder / _RECORD).read_text(encoding="utf-8"))
            return Workspace(record["subscription"], record["resource_group"], record["name"])
        except (FileNotFoundError, NotADirectoryError):
            return None


def account_of(home: Path, workspace: Workspace) -> Account:
    """The account of a workspace; nothing is made."""
    if workspace.key == _OF_THE_HOME.key:
        return Account(home, _NAME_OF_THE_HOME)
    return Account(home, f"bp{hashlib.sha256(workspace.key.encode()).hexdigest()[:16]}")


def opened(home: Path, workspace: Workspace) -> Account:
    """The account of a workspace, ready to be written to and to be found again by its name."""
    account = account_of(home, workspace)
    account.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if account.workspace() is None:
        names = {"subscription": workspace.subscription, "resource_group": workspace.resource_group}
        record = json.dumps({**names, "name": workspace.name})
        write_atomically(account.folder / _RECORD, record.encode())
    for container in CONTAINERS:
        account.container(container).mkdir(parents=True, exist_ok=True)
    return account


def named(home: Path, name: str) -> Account | None:
    """The account of that name, if some workspace has it."""
    account = Account(home, name)
    return account if is_account_name(name) and account.workspace() is not None else None


def accounts(home: Path) -> Iterator[Account]:
    """Every account of a home, that of its default workspace first."""
    yield Account(home, _NAME_OF_THE_HOME)
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted((home / "accounts").iterdir()):
            if folder.name != _NAME_OF_THE_HOME and (found := named(home, folder.name)):
                yield found


def is_account_name(name: str) -> bool:
    """Whether an account may be called so."""
    return _NAME.fullmatch(name) is not None


def is_container_name(name: str) -> bool:
    """Whether a container may be called so."""
    return _CONTAINER.fullmatch(name) is not None and not is_aside(name)
