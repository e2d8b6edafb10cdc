"""The input of a preflight: all of its items by name and size, and on this machine what is to be looked at.

``checks`` asks it. An input of this machine is read where it is; of one elsewhere, some files are brought here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from batchpoint.engine.preflight.choice import Item, choose, items_of
from batchpoint.engine.preparation.source import Preparation
from batchpoint.entities.job import Job
from batchpoint.errors import DatastoreUnavailable, InputUnreadable, NotSupported
from batchpoint.settings import Settings
from batchpoint.storage.bring import EVERYTHING
from batchpoint.storage.bring import chosen as choose_as_job
from batchpoint.storage.datastores import open_datastore
from batchpoint.storage.job_folder import JobFolder
from batchpoint.storage.uri import DatastorePath, parse_uri

#: More than that is not brought here from elsewhere, but this many files of it.
FETCHED_BYTES, FETCHED_FILES = 64 << 20, 25


@dataclass(frozen=True)
class Inputs:
    """What there is to score."""

    #: Folder on this machine that the items start from.
    root: str
    #: All of them.
    items: list[Item]
    #: Those that are on this machine.
    here: list[Item]


def find_inputs(job: Job, folder: JobFolder, settings: Settings, note: Callable[[str], None]) -> Inputs:
    """The items as a job would find them. Raises InputEmpty, InputUnreadable, and what datastores raise."""
    preparation = Preparation(job, folder, settings, note, lambda: None)
    every = _elsewhere(preparation)
    if every is not None and sum(item.size for item in every) > FETCHED_BYTES:
        some = choose(every, FETCHED_FILES)
        preparation = replace(preparation, only=frozenset(item.name for item in some))
    source = preparation.find()
    here = items_of(source.root, preparation.items(source, ()))
    failed = source.brought.failed if source.brought else {}
    here = [item for item in here if item.name not in failed]
    if every is None:
        return Inputs(source.root, here, here)
    return Inputs(source.root, every, here)


def _elsewhere(preparation: Preparation) -> list[Item] | None:
    """The items of a folder in an object store; None for any other input, of which all is brought here."""
    chosen = preparation.job.settings
    if chosen.input_store is None or chosen.input.type == "uri_file":
        return None
    place = parse_uri(chosen.input.path)
    assert isinstance(place, DatastorePath)
    folder = f"{place.path.rstrip('/')}/".removeprefix("/")
    try:
        store = open_datastore(chosen.input_store, preparation.settings.home)
        found = list(store.files(folder))
    except (DatastoreUnavailable, NotSupported) as error:
        raise InputUnreadable(f"The input {chosen.input.path} cannot be read. {error.message}") from error
    if not found:
        return None
    choice = replace(EVERYTHING, include=chosen.input.include, exclude=chosen.input.exclude)
    _, wanted = choose_as_job(found, folder, choice)
    return [Item(name, one.size or 0) for name, one in wanted]
