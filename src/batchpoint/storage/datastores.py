"""Owns where a datastore's bytes are: from a Datastore entity and a path in it to a place on this machine.

Server and engine call it with what the store holds; it knows no URI syntax beyond a plain relative path.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batchpoint.entities.datastore import Datastore
from batchpoint.errors import NotSupported, ReferenceInvalid

#: The datastore that every workspace has from the start.
DEFAULT_DATASTORE = "workspaceblobstore"


class OpenDatastore(Protocol):
    """The seam: everything that may be asked of a place for bytes."""

    def local_path(self, path: str) -> Path:
        """Absolute path on this machine of ``path``, which need not exist."""
        ...


@dataclass(frozen=True)
class LocalFolder:
    """A folder on this machine."""

    root: Path

    def local_path(self, path: str) -> Path:
        """Absolute path of ``path`` under the root. Raises ReferenceInvalid when it would lead out of it."""
        segments = [segment for segment in path.split("/") if segment not in ("", ".")]
        if ".." in segments or "\0" in path:
            raise ReferenceInvalid(
                f"The path {path!r} leads out of its datastore. Write it without '..' segments.", target=path
            )
        return self.root.joinpath(*segments)


def default_datastore(home: Path) -> Datastore:
    """The datastore ``workspaceblobstore``: a folder in the home."""
    folder = home.absolute() / "datastores" / DEFAULT_DATASTORE
    return Datastore(name=DEFAULT_DATASTORE, type="local_folder", path=str(folder), is_default=True)


def open_datastore(datastore: Datastore, home: Path) -> OpenDatastore:
    """The place behind ``datastore``. Raises NotSupported for a kind that is not served."""
    if datastore.type != "local_folder":
        raise NotSupported(
            f"The datastore {datastore.name!r} has the type {datastore.type!r}; only 'local_folder' is served here. "
            "Copy the data to a folder of the server's machine and register that folder as a datastore.",
            target=datastore.name,
        )
    if datastore.name == DEFAULT_DATASTORE and not datastore.path:
        datastore = default_datastore(home)
    if not datastore.path or not Path(datastore.path).is_absolute():
        raise ReferenceInvalid(
            f"The datastore {datastore.name!r} needs the absolute path of a folder, not {datastore.path!r}.",
            target=datastore.name,
        )
    return LocalFolder(Path(datastore.path))


def local_path(datastore: Datastore, path: str, home: Path) -> Path:
    """Absolute path on this machine of ``path`` in ``datastore``."""
    return open_datastore(datastore, home).local_path(path)
