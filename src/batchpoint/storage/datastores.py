"""Owns where a datastore's bytes are: from a Datastore entity to a place that can be listed, read and written.

Server and engine call it with what the store holds; it knows no URI syntax beyond a plain relative path.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batchpoint.entities.datastore import Datastore
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported, ReferenceInvalid, ResourceNotFound
from batchpoint.storage.accounts.account import CONTAINERS, account_of
from batchpoint.storage.atomic import aside_path, publish_without_clobber, remove_own, replace_own
from batchpoint.storage.listing import Found, list_folder
from batchpoint.storage.uri import relative_parts

#: The datastore that every workspace has from the start, and that outputs go to.
DEFAULT_DATASTORE = "workspaceblobstore"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredPath:
    """A path in a datastore that is not on this machine."""

    datastore: Datastore
    #: Relative; empty for the whole datastore, with a trailing ``/`` for what is known to be a folder.
    path: str

    @property
    def uri(self) -> str:
        """``azureml://datastores/<datastore>/paths/<path>``."""
        return f"azureml://datastores/{self.datastore.name}/paths/{self.path}"


class OpenDatastore(Protocol):
    """The seam: everything that may be asked of a place for bytes. Paths are relative and have no ``..``."""

    def shown(self, path: str) -> str:
        """The path as people write it."""
        ...

    def files(self, folder: str) -> Iterator[Found]:
        """Every file below ``folder`` ("" or ending with ``/``), in no order."""
        ...

    def size(self, path: str) -> int | None:
        """Bytes of the file ``path``; None where there is none."""
        ...

    def fetch(self, found: Found, target: Path) -> None:
        """Write the file to ``target``. Raises ResourceNotFound, and DatastoreUnavailable when it cannot be read."""
        ...

    def blocks(self, path: str) -> Iterator[bytes]:
        """The file piece by piece. Raises as ``fetch`` does."""
        ...

    def put_new(self, source: Path, path: str, alive: Callable[[], None] = lambda: None) -> bool:
        """Store ``source`` as ``path`` if nothing stands there; False, and nothing changed, when something else does.

        A repeat answers True: what counts is that these bytes stand there.
        """
        ...

    def replace_own(
        self, source: Path, path: str, own: Collection[str], alive: Callable[[], None] = lambda: None
    ) -> bool:
        """Store ``source`` as ``path`` where nothing stands, or a file whose sha256 is in ``own``.

        False, and nothing changed, when another file stands there, be it with the same bytes. A repeat answers the
        same if ``own`` then has the sha256 of ``source``.
        """
        ...

    def remove_own(self, path: str, own: Collection[str]) -> bool:
        """Remove ``path`` if its sha256 is in ``own``; False, and nothing changed, when another file stands there."""
        ...

    def holds(self, path: str, source: Path) -> bool:
        """Whether ``path`` has the bytes of ``source``."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file of our own."""
        ...


@dataclass(frozen=True)
class LocalFolder:
    """A folder on this machine."""

    root: Path

    def local_path(self, path: str) -> Path:
        """Absolute path of ``path`` under the root. Raises ReferenceInvalid when it would lead out of it."""
        return self.root.joinpath(*relative_parts(path))

    def shown(self, path: str) -> str:
        return str(self.local_path(path))

    def files(self, folder: str) -> Iterator[Found]:
        root = self.local_path(folder)
        for item in list_folder(root).items if root.is_dir() else ():
            name = os.fsdecode(item)
            yield Found(folder + name, (root / name).stat().st_size)

    def size(self, path: str) -> int | None:
        file = self.local_path(path)
        return file.stat().st_size if file.is_file() else None

    def fetch(self, found: Found, target: Path) -> None:
        shutil.copyfile(self._existing(found.name), target)

    def blocks(self, path: str) -> Iterator[bytes]:
        with self._existing(path).open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block

    def put_new(self, source: Path, path: str, alive: Callable[[], None] = lambda: None) -> bool:
        final = self.local_path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_path(final.parent)
        try:
            shutil.copyfile(source, aside)
            return publish_without_clobber(aside, final) or self.holds(path, source)
        finally:
            aside.unlink(missing_ok=True)

    def replace_own(
        self, source: Path, path: str, own: Collection[str], alive: Callable[[], None] = lambda: None
    ) -> bool:
        final = self.local_path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_path(final.parent)
        try:
            shutil.copyfile(source, aside)
            return replace_own(aside, final, own, alive)
        finally:
            aside.unlink(missing_ok=True)

    def remove_own(self, path: str, own: Collection[str]) -> bool:
        return remove_own(self.local_path(path), own)

    def holds(self, path: str, source: Path) -> bool:
        file = self.local_path(path)
        if not file.is_file() or file.stat().st_size != source.stat().st_size:
            return False
        with file.open("rb") as one, source.open("rb") as other:
            return hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()

    def remove(self, path: str) -> None:
        self.local_path(path).unlink(missing_ok=True)

    def _existing(self, path: str) -> Path:
        file = self.local_path(path)
        if not file.is_file():
            raise ResourceNotFound(f"There is no file {file}.", target=path)
        return file


def default_datastore(home: Path, workspace: Workspace) -> Datastore:
    """The datastore ``workspaceblobstore`` of a workspace: a folder in the home."""
    return own_datastores(home, workspace)[0]


def own_datastores(home: Path, workspace: Workspace) -> list[Datastore]:
    """The datastores that nobody has to create: folders in the home, the default one first."""
    account = account_of(home.absolute(), workspace)
    return [
        Datastore(
            name=name,
            type="local_folder",
            path=str(account.container(container)),
            is_default=name == DEFAULT_DATASTORE,
        )
        for container, name in CONTAINERS.items()
    ]


def open_datastore(datastore: Datastore, home: Path) -> OpenDatastore:
    """The place behind a datastore, with the credentials that the home keeps for it.

    Raises NotSupported where the library for its kind is not installed.
    """
    if datastore.is_local:
        return local_folder(datastore)
    from batchpoint.storage.objects import secrets
    from batchpoint.storage.objects.store import ObjectStore

    return ObjectStore(datastore, datastore.credentials or secrets.recall(home, datastore))


def local_folder(datastore: Datastore) -> LocalFolder:
    """The folder behind a datastore that is one. Raises NotSupported for one that is not, ReferenceInvalid."""
    if not datastore.is_local:
        raise NotSupported(
            f"The datastore {datastore.name!r} is of type {datastore.type}, and a folder on the server's machine is "
            "wanted here. Name one in a datastore of type local.",
            target=datastore.name,
        )
    if not datastore.path or not Path(datastore.path).is_absolute():
        raise ReferenceInvalid(
            f"The datastore {datastore.name!r} needs the absolute path of a folder, not {datastore.path!r}.",
            target=datastore.name,
        )
    return LocalFolder(Path(datastore.path))


def local_path(datastore: Datastore, path: str) -> Path:
    """Absolute path on this machine of ``path`` in ``datastore``."""
    return local_folder(datastore).local_path(path)
