"""The rules of registering a place for bytes: what it needs, where its credentials go, and when it may go.

Routers call it with what was sent; it answers what the store now holds, which never has a secret in it.
"""

from itertools import islice
from pathlib import Path

from batchpoint.arm.envelope import ids
from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.entities.naming import names
from batchpoint.errors import JobFailed, Problem, ReferenceInvalid, ResourceConflict, UserError, ValidationFailed
from batchpoint.server.intake.creation import context
from batchpoint.server.intake.locations import allowed_path
from batchpoint.server.lookup import Desk
from batchpoint.storage.datastores import open_datastore
from batchpoint.storage.objects import secrets
from batchpoint.storage.web import hosts


def create_datastore(desk: Desk, wanted: Datastore, *, skip_validation: bool = False) -> Datastore:
    """Create or replace a datastore; one elsewhere is opened and listed first, unless that is to be skipped.

    Credentials that are kept stay when the request says nothing about credentials, and means the same service.
    """
    names.DATASTORE.checked(wanted.name)
    if wanted.is_local and not (wanted.path and Path(wanted.path).is_absolute()):
        message = "must be the absolute path of a folder on the server's machine."
        raise ValidationFailed("datastore", (Problem("properties.path", message),))
    _check_allowed(desk, wanted)
    home, existing = desk.settings.home, desk.store.get_datastore(desk.key, wanted.name)
    wanted = wanted.model_copy(update={"id": ids.datastore_id(desk.workspace, wanted.name)})
    says_nothing = wanted.credentials is None and wanted.credentials_type is None
    credentials = _kept(home, existing, wanted) if says_nothing and existing else wanted.credentials
    if not wanted.is_local and not skip_validation:
        _try_out(desk, wanted.model_copy(update={"credentials": credentials}))
    complete = wanted.model_copy(
        update={
            "is_default": False,
            "credentials": None,
            "credentials_type": credentials.type if credentials else "none",
            "creation_context": context(desk.caller, existing.creation_context if existing else None),
        }
    )
    if credentials is None:
        secrets.forget(home, complete)
    else:
        secrets.keep(home, complete, credentials)
    desk.store.put_datastore(desk.key, complete)
    return complete


def delete_datastore(desk: Desk, name: str) -> bool:
    """Remove the registration and its credentials. ResourceConflict while a job still needs it."""
    found = desk.store.get_datastore(desk.key, name)
    if found is None:
        return False
    for job in desk.store.open_jobs():
        used = (job.settings.input_store, job.settings.output_store)
        if any(store is not None and store.id == found.id for store in used):
            message = f"Job {job.name} reads or writes datastore {name}. Wait for it, or: job cancel --name {job.name}"
            raise ResourceConflict(message, target=name)
    # The registration first: without it nobody finds the credentials.
    is_deleted = desk.store.delete_datastore(desk.key, name)
    secrets.forget(desk.settings.home, found)
    return is_deleted


def _check_allowed(desk: Desk, datastore: Datastore) -> None:
    """Refuses what only the owner of the home may name: a folder of this machine, a service in its network."""
    if datastore.is_local:
        allowed_path(desk, datastore.path or "")
        return
    is_usual = not datastore.endpoint_url and datastore.endpoint == Datastore.model_fields["endpoint"].default
    if desk.caller.is_owner or is_usual:
        return
    url = (datastore.endpoint_url or "") if datastore.type == "s3" else datastore.service_url
    try:
        hosts.addresses(hosts.checked(url), desk.settings.input_hosts_allowed)
    except JobFailed as error:
        raise ReferenceInvalid(error.message, target="endpoint_url") from error
    except ConnectionError as error:
        message = f"The address {hosts.shown(url)} leads nowhere: {error}. Check it."
        raise ReferenceInvalid(message, target="endpoint_url") from error


def _kept(home: Path, existing: Datastore, wanted: Datastore) -> Credentials | None:
    """The credentials that are kept. ValidationFailed where they would be shown to another service than was meant."""
    credentials = secrets.recall(home, wanted)
    if credentials is not None and _service(existing) != _service(wanted):
        message = "must be given anew: those that are kept were given for another account or address."
        raise ValidationFailed("datastore", (Problem("properties.credentials", message),))
    return credentials


def _service(datastore: Datastore) -> tuple[str, str]:
    return datastore.type, (datastore.endpoint_url or "") if datastore.type == "s3" else datastore.service_url


def _try_out(desk: Desk, datastore: Datastore) -> None:
    try:
        for _ in islice(open_datastore(datastore, desk.settings.home).files(".batchpoint-validation/"), 1):
            break
    except UserError as error:
        hint = "To register it all the same, add --skip-validation (skipValidation=true)."
        raise type(error)(f"{error.message.rstrip('.')}. {hint}", target=datastore.name) from error
