"""Begins the next revision of a job that has ended, with everything that was scored well before.

``Store`` is made of it; the rule is in ``lifecycle``.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, insert, literal, select

from batchpoint.entities.job import Job, JobSettings
from batchpoint.errors import ResourceConflict
from batchpoint.store import lifecycle
from batchpoint.store.database import Database
from batchpoint.store.records import RequestKey
from batchpoint.store.schema import ledger
from batchpoint.store.tables.jobs import first_with_key, keep_key, locked, queue, reserve_output, save
from batchpoint.store.tables.ledger import of_revision
from batchpoint.store.tables.retention import PRUNED


class RevisionTable:
    """Jobs that are scored again in part."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reopen_job(
        self,
        w: str,
        name: str,
        settings: JobSettings,
        properties: Mapping[str, str],
        compute: str | None = None,
        idempotency_key: RequestKey | None = None,
    ) -> Job:
        """Begin the next revision with these settings; ``properties`` join the job's, ``compute`` None: as before.

        With a key that was used before: the job of that time, and nothing is begun. ResourceConflict while the job
        has not ended, when its plan was pruned, or when another unfinished job writes to its output.
        """
        with self._database.writing() as connection:
            if idempotency_key and (first := first_with_key(connection, w, idempotency_key)):
                return first
            before = locked(connection, name, w)
            if PRUNED in before.job.properties:
                raise ResourceConflict(
                    f"The plan of job {name} and what it had scored were removed to make room "
                    f"({before.job.properties[PRUNED]}). Invoke the endpoint again.",
                    target=name,
                )
            after = lifecycle.reopened(before, settings, properties, compute)
            save(connection, before, after)
            keep_key(connection, w, idempotency_key, name)
            _carry_over(connection, name, after.job.revision)
            reserve_output(connection, w, after.job)
            if after.job.compute:
                queue(connection, w, after.job)
        return after.job


def _carry_over(connection: Connection, job: str, revision: int) -> None:
    """Give the revision all rows of the one before it that have no failed item."""
    columns = [column.name for column in ledger.columns if column.name != "revision"]
    kept = select(literal(revision), *(ledger.c[name] for name in columns))
    kept = kept.where(of_revision(job, revision - 1), ledger.c.failed_items == 0)
    connection.execute(insert(ledger).from_select(["revision", *columns], kept))
