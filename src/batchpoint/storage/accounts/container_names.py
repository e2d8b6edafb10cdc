"""Which container of its workspace's account a datastore is, if it is a folder. Pure."""

import hashlib
import re

from batchpoint.entities.datastore import Datastore
from batchpoint.storage.accounts.account import CONTAINER_OF, is_container_name

#: How containers begin that are folders somewhere else.
OF_DATASTORE = "datastore-"


def container_of(datastore: Datastore) -> str:
    """The name of the container that a folder is; registered folders have names that none of the others have."""
    own = CONTAINER_OF.get(datastore.name)
    if own:
        return own
    name = f"{OF_DATASTORE}{re.sub('[-_]+', '-', datastore.name.lower()).strip('-')}"
    # Two names may differ in what containers cannot say.
    if name != f"{OF_DATASTORE}{datastore.name}" or not is_container_name(name):
        return f"{OF_DATASTORE}{hashlib.sha256(datastore.name.encode()).hexdigest()[:16]}"
    return name
