"""Keeps the credentials of datastores: a file for each, readable by its owner alone, apart from what is shown.

Control plane and drivers call it. They stand in the home and not in the store, so that a copy of the store, a dump or
a listing never holds one.
"""

import hashlib
import json
from pathlib import Path

from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.storage.atomic import write_atomically

_FOLDER = "secrets"


def keep(home: Path, datastore: Datastore, credentials: Credentials) -> None:
    """Replace what is kept for the datastore; a block without secrets removes it."""
    if credentials.type == "none":
        forget(home, datastore)
        return
    folder = home / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    data = json.dumps({"datastore": datastore.id, "credentials": credentials.revealed()}).encode()
    write_atomically(_path(home, datastore), data, mode=0o600)


def recall(home: Path, datastore: Datastore) -> Credentials | None:
    """The credentials that were kept, or None."""
    path = _path(home, datastore)
    if not path.exists():
        return None
    return Credentials.model_validate(json.loads(path.read_bytes())["credentials"])


def forget(home: Path, datastore: Datastore) -> None:
    """Remove what is kept for the datastore, if anything."""
    _path(home, datastore).unlink(missing_ok=True)


def _path(home: Path, datastore: Datastore) -> Path:
    # The id names the workspace too; a file name cannot hold it.
    key = hashlib.sha256((datastore.id or datastore.name).lower().encode()).hexdigest()[:32]
    return home / _FOLDER / f"{key}.json"
