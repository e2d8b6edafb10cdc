"""The jobs' rows: create, find, list, cancel and edit jobs; load and save the record that the ledger's rules change.

``Store`` is made of it, and ``ledger`` builds on its row functions.
"""

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, func, insert, select, update

from batchpoint.entities.job import TERMINAL, Job
from batchpoint.entities.noun import ListView
from batchpoint.errors import IdempotencyKeyReused, InternalError, ResourceConflict, ResourceNotFound
from batchpoint.store import lifecycle
from batchpoint.store.database import Database
from batchpoint.store.lifecycle import JobRecord
from batchpoint.store.records import ListPart, RequestKey
from batchpoint.store.schema import idempotency_keys, jobs, output_reservations, waiting

#: Fields of Job that stand in columns of their own.
_OWN_COLUMNS = {"status", "revision", "progress", "waiting_for"}
#: How long a request may be sent again without beginning anything.
KEYS_KEPT = timedelta(days=7)
#: Values of the status column that a job never leaves.
ENDED = sorted(status.value for status in TERMINAL)
#: Columns that hold fields of JobRecord.
_RECORD_COLUMNS = (
    "epoch",
    "nonce",
    "beat",
    "host",
    "pid",
    "driver_deaths",
    "planned_items",
    "output_sha256",
    "output_length",
)

#: Jobs as people see them: with what they wait for.
_SEEN = select(jobs, waiting.c.sentence).outerjoin(waiting, waiting.c.job == jobs.c.name)
_Archived = jobs.c.document["archived"].as_boolean()
# Statements of the hot path, built once.
_SELECT = select(jobs).where(jobs.c.name == bindparam("wanted_name"))
_LOCK = _SELECT.with_for_update()
_UPDATE = update(jobs).where(
    jobs.c.name == bindparam("was_name"),
    jobs.c.revision == bindparam("was_revision"),
    jobs.c.epoch == bindparam("was_epoch"),
    jobs.c.nonce == bindparam("was_nonce"),
    jobs.c.beat == bindparam("was_beat"),
    jobs.c.status == bindparam("was_status"),
)


class JobTable:
    """Jobs as the control plane sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_job(self, w: str, job: Job, idempotency_key: RequestKey | None = None) -> Job:
        """Remember a new job. With a key that was used before: the job of that time, and nothing is created.

        ResourceConflict if the name is taken or another unfinished job writes to the same output.
        """
        with self._database.writing() as connection:
            if idempotency_key and (first := first_with_key(connection, w, idempotency_key)):
                return first
            if connection.scalar(select(jobs.c.name).where(jobs.c.name == job.name)):
                raise ResourceConflict(
                    f"There is a job {job.name} already. Give another name, or none to have one made.", target=job.name
                )
            reserve_output(connection, w, job)
            _insert(connection, w, job)
            keep_key(connection, w, idempotency_key, job.name)
        return job

    def job_of_key(self, w: str, idempotency_key: RequestKey) -> Job | None:
        """The job of the request that came with the key; None if none did."""
        with self._database.reading() as connection:
            return first_with_key(connection, w, idempotency_key)

    def get_job(self, w: str, name: str) -> Job | None:
        return self._one(_SEEN.where(jobs.c.name == name, jobs.c.workspace == w))

    def find_job(self, name: str) -> Job | None:
        """The job of this name in whatever workspace."""
        return self._one(_SEEN.where(jobs.c.name == name))

    def list_jobs(
        self, w: str, endpoint: str | None = None, deployment: str | None = None, view: ListView = "All"
    ) -> list[Job]:
        """Newest first; of one endpoint, of one deployment, or all."""
        return self._many(_SEEN.where(*_of(w, endpoint, deployment, view)).order_by(jobs.c.sequence.desc()))

    def some_jobs(
        self,
        part: ListPart,
        w: str,
        endpoint: str | None = None,
        deployment: str | None = None,
        view: ListView = "All",
    ) -> dict[int, Job]:
        """A part of the same list, by the place of each in the order of arrival. What arrives later changes no part."""
        query = _SEEN.where(*_of(w, endpoint, deployment, view)).order_by(jobs.c.sequence.desc())
        query = query.limit(part.most).offset(part.skipped)
        if part.before is not None:
            query = query.where(jobs.c.sequence < part.before)
        with self._database.reading() as connection:
            return {row.sequence: job_of_row(row) for row in connection.execute(query)}

    def has_jobs(self, w: str, endpoint: str, deployment: str | None = None) -> bool:
        """Whether any job was ever sent there and has not been deleted."""
        query = select(jobs.c.name).where(*_of(w, endpoint, deployment, "All")).limit(1)
        with self._database.reading() as connection:
            return connection.scalar(query) is not None

    def count_waiting(self, w: str) -> int:
        """How many jobs of the workspace wait for instances."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(waiting).where(waiting.c.workspace == w)) or 0

    def has_open_jobs(self) -> bool:
        """Whether any job of any workspace has not ended."""
        with self._database.reading() as connection:
            return connection.scalar(select(jobs.c.name).where(jobs.c.status.not_in(ENDED)).limit(1)) is not None

    def open_jobs(self) -> list[Job]:
        """Every job of every workspace that has not ended, oldest first."""
        return self._many(_SEEN.where(jobs.c.status.not_in(ENDED)).order_by(jobs.c.sequence))

    def placed_jobs(self) -> list[Job]:
        """Those open jobs that wait for no instances: each of them needs a driver."""
        query = _SEEN.where(jobs.c.status.not_in(ENDED), waiting.c.job.is_(None))
        return self._many(query.order_by(jobs.c.sequence))

    def published_outputs(self) -> list[tuple[str, str]]:
        settings = jobs.c.document["settings"]
        query = select(jobs.c.name, settings["output_folder"].as_string())
        query = query.where(settings["output_store"].as_string().is_(None))
        with self._database.reading() as connection:
            return [(name, folder) for name, folder in connection.execute(query)]

    def request_cancel(self, w: str, name: str) -> Job:
        """Ask the job's driver to stop it; a job that no driver has claimed is Canceled at once.

        ResourceConflict if it has ended or is being finalized.
        """
        with self._database.writing() as connection:
            record = locked(connection, name, w)
            after = lifecycle.request_cancel(record, datetime.now(UTC))
            save(connection, record, after)
        return after.job

    def archive_job(self, w: str, name: str, archived: bool) -> Job:
        """Hide a job from lists or show it again. ResourceConflict while it has not ended."""
        with self._database.writing() as connection:
            record = locked(connection, name, w)
            after = lifecycle.archived(record, archived)
            save(connection, record, after)
        return after.job

    def update_job_document(
        self,
        w: str,
        name: str,
        *,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        display_name: str | None = None,
        description: str | None = None,
    ) -> Job:
        """Change what may be changed of a job; None leaves a field as it is, properties are only added to."""
        with self._database.writing() as connection:
            record = locked(connection, name, w)
            changes: dict[str, object] = {"display_name": display_name, "description": description}
            changes["tags"] = None if tags is None else dict(tags)
            changes["properties"] = None if properties is None else {**record.job.properties, **properties}
            given = {field: value for field, value in changes.items() if value is not None}
            after = lifecycle.edited(record, given)
            save(connection, record, after)
        return after.job

    def _one(self, query: Select[Any]) -> Job | None:
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else job_of_row(row)

    def _many(self, query: Select[Any]) -> list[Job]:
        with self._database.reading() as connection:
            return [job_of_row(row) for row in connection.execute(query)]


def _of(w: str, endpoint: str | None, deployment: str | None, view: ListView) -> list[ColumnElement[bool]]:
    found = [jobs.c.workspace == w]
    if endpoint is not None:
        found.append(jobs.c.endpoint == endpoint.lower())
    if deployment is not None:
        found.append(jobs.c.deployment == deployment)
    if view != "All":
        # Jobs of long ago do not say it.
        found.append(func.coalesce(_Archived, False) == (view == "ArchivedOnly"))
    return found


def locked(connection: Connection, name: str, w: str | None = None) -> JobRecord:
    """The job's record, kept from other writers until the transaction ends."""
    return _found(connection, _LOCK if w is None else _LOCK.where(jobs.c.workspace == w), name)


def record_of(connection: Connection, name: str) -> JobRecord:
    """The job's record, to be read only."""
    return _found(connection, _SELECT, name)


def _found(connection: Connection, query: Select[Any], name: str) -> JobRecord:
    row = connection.execute(query, {"wanted_name": name}).one_or_none()
    if row is None:
        raise ResourceNotFound(f"There is no job {name}.", target=name)
    values = row._mapping
    return JobRecord(job_of_row(row), **{column: values[column] for column in _RECORD_COLUMNS})


def save(connection: Connection, before: JobRecord, after: JobRecord) -> None:
    """Write what changed; the row must still be the one that ``before`` was read from."""
    if after is before:
        return
    old = _columns(before)
    changes = {column: value for column, value in _columns(after).items() if value != old[column]}
    if changes and connection.execute(_UPDATE, changes | _guards(before)).rowcount != 1:
        raise InternalError(f"The row of job {before.job.name} changed under a lock.", target=before.job.name)
    if after.status.is_terminal:
        connection.execute(delete(output_reservations).where(output_reservations.c.job == after.job.name))
        connection.execute(delete(waiting).where(waiting.c.job == after.job.name))


def _guards(record: JobRecord) -> dict[str, object]:
    return {
        "was_name": record.job.name,
        "was_revision": record.job.revision,
        "was_epoch": record.epoch,
        "was_nonce": record.nonce,
        "was_beat": record.beat,
        "was_status": record.status.value,
    }


def _columns(record: JobRecord) -> dict[str, object]:
    values: dict[str, object] = {column: getattr(record, column) for column in _RECORD_COLUMNS}
    job = record.job
    values |= {"status": job.status.value, "revision": job.revision, "progress": job.progress.model_dump(mode="json")}
    return values | {"document": job.model_dump(mode="json", exclude=_OWN_COLUMNS)}


def job_of_row(row: Row[Any]) -> Job:
    """The job in a row of ``jobs``."""
    own = {"status": row.status, "revision": row.revision, "progress": row.progress}
    own["waiting_for"] = row._mapping.get("sentence") or row.progress.get("waiting_for") or ""
    return Job.model_validate({**row.document, **own})


def _insert(connection: Connection, w: str, job: Job) -> None:
    searched = {
        "name": job.name,
        "workspace": w,
        "endpoint": job.endpoint_name.lower(),
        "deployment": job.deployment_name,
    }
    connection.execute(insert(jobs).values({**searched, **_columns(JobRecord(job))}))
    if job.compute:
        queue(connection, w, job)


def queue(connection: Connection, w: str, job: Job) -> None:
    """The job needs instances before it gets a driver."""
    wanted = {
        "job": job.name,
        "workspace": w,
        "compute": job.compute.rpartition("/")[2].removeprefix("azureml:"),
        "endpoint": job.endpoint_name.lower(),
        "instance_count": job.settings.instance_count,
        "is_next": False,
        "sentence": "",
    }
    connection.execute(insert(waiting).values(wanted))


def first_with_key(connection: Connection, w: str, key: RequestKey) -> Job | None:
    """The job that the request with this key was about, as it stands now. Raises IdempotencyKeyReused."""
    query = select(jobs, idempotency_keys.c.asks).join(idempotency_keys, idempotency_keys.c.job == jobs.c.name)
    query = query.where(idempotency_keys.c.workspace == w, idempotency_keys.c.key == key.key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.asks not in ("", key.asks):
        raise IdempotencyKeyReused(
            f"The Idempotency-Key {key.shown} was used for another request to this address, which became job "
            f"{row.name}. Send a new key with a new request, or the very same request again.",
            target=key.shown,
        )
    return job_of_row(row)


def keep_key(connection: Connection, w: str, key: RequestKey | None, job: str) -> None:
    """Remember that the request with this key was about the job, and forget keys that nobody sends again any more."""
    if key:
        now = datetime.now(UTC)
        connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEYS_KEPT))
        row = {"workspace": w, "key": key.key, "asks": key.asks, "job": job, "created_at": now}
        connection.execute(insert(idempotency_keys).values(row))


def reserve_output(connection: Connection, w: str, job: Job) -> None:
    """Keep other unfinished jobs from the job's output path; ResourceConflict if one has it."""
    settings = job.settings
    name = settings.output_file_name if settings.output_action == "append_row" else ""
    place = settings.output_store.place if settings.output_store else ""
    uri = posixpath.normpath(posixpath.join(place, settings.output_folder, name))
    holder = connection.scalar(select(output_reservations.c.job).where(output_reservations.c.uri == uri))
    if holder:
        raise ResourceConflict(
            f"Job {holder} is about to write {uri}. Wait for it, or give another output path or file name.", target=uri
        )
    connection.execute(insert(output_reservations).values(uri=uri, workspace=w, job=job.name))
