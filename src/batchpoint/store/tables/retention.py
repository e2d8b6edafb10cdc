"""What is forgotten on purpose: ended jobs, and the answer to "does anything still refer to this?".

``Store`` is made of it. Where the bytes of a job or an upload are, its callers know.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, delete, func, select, type_coerce, update

from batchpoint.entities.job import Job
from batchpoint.errors import ResourceConflict
from batchpoint.store import lifecycle
from batchpoint.store.database import Database
from batchpoint.store.schema import (
    assets,
    deployments,
    endpoints,
    idempotency_keys,
    instances,
    jobs,
    ledger,
    output_reservations,
    waiting,
)
from batchpoint.store.tables.jobs import job_of_row, locked, save

#: Property of a job whose plan and segments were removed: the moment of that.
PRUNED = "batchpoint.pruned"
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True)
class KeptJob:
    """A job with what the record says beside it."""

    workspace: str
    job: Job
    #: Counts the claims; 0 while no driver ever had the job.
    epoch: int
    planned_items: int
    #: Of the published output; empty and 0 before that.
    output_sha256: str
    output_length: int


@dataclass(frozen=True)
class Coverage:
    """What the ledger of a job's revision holds in all."""

    rows: int
    items: int


class RetentionTable:
    """Forgetting, and what has to be known before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def kept_jobs(self) -> list[KeptJob]:
        """Every job of every workspace, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).order_by(jobs.c.sequence)).all()
        return [
            KeptJob(row.workspace, job_of_row(row), row.epoch, row.planned_items, row.output_sha256, row.output_length)
            for row in rows
        ]

    def coverage(self) -> dict[tuple[str, int], Coverage]:
        """By job and revision."""
        items = func.sum(ledger.c["items"])
        query = select(ledger.c.job, ledger.c.revision, func.count().label("rows"), items.label("covered"))
        with self._database.reading() as connection:
            found = connection.execute(query.group_by(ledger.c.job, ledger.c.revision)).all()
        return {(row.job, row.revision): Coverage(row.rows, int(row.covered)) for row in found}

    def delete_job(self, w: str, name: str, before_commit: Callable[[], None] = lambda: None) -> None:
        """Forget a job that has ended, its ledger and its idempotency keys; its name is free afterwards.

        ``before_commit`` is called while nobody else can write; what it raises leaves everything as it was.
        ResourceNotFound if there is none, ResourceConflict if it has not ended.
        """
        with self._database.writing() as connection:
            record = locked(connection, name, w)
            if not record.status.is_terminal:
                raise ResourceConflict(
                    f"Job {name} is {record.status}; only a job that has ended can be deleted. "
                    f"End it first: job cancel --name {name}",
                    target=name,
                )
            for table in (ledger, idempotency_keys, output_reservations, waiting):
                connection.execute(delete(table).where(table.c.job == name))
            # Else the next job of this name would be taken for the one that holds them.
            idle = update(instances).where(instances.c.job == name)
            connection.execute(idle.values(job="", since=record.job.ended_at or instances.c.since))
            connection.execute(delete(jobs).where(jobs.c.name == name))
            before_commit()

    def mark_pruned(self, name: str, moment: datetime) -> bool:
        """Note on a job that has ended that its plan and segments go; False, and nothing noted, if it has not."""
        with self._database.writing() as connection:
            record = locked(connection, name)
            if not record.status.is_terminal:
                return False
            noted = {PRUNED: moment.isoformat(timespec="seconds"), **record.job.properties}
            save(connection, record, lifecycle.edited(record, {"properties": noted}))
        return True

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nobody can write to the store inside the block, this process included; reading goes on. Keep it short."""
        with self._database.writing():
            yield

    def is_named_by_asset(self, w: str, path: str) -> bool:
        """Whether ``path`` stands in the document of an asset of the workspace, archived or not."""
        written = json.dumps(path)[1:-1]
        naming = type_coerce(assets.c.document, Text).contains(written, autoescape=True)
        with self._database.reading() as connection:
            return connection.scalar(select(assets.c.name).where(assets.c.workspace == w, naming).limit(1)) is not None

    def referenced_hashes(self) -> set[str]:
        """Every sha256 that stands in the document of an asset, archived or not, a deployment, an endpoint or a job."""
        found: set[str] = set()
        with self._database.reading() as connection:
            for table in (assets, deployments, endpoints, jobs):
                for text in connection.scalars(select(type_coerce(table.c.document, Text))):
                    found.update(_HASH.findall(text))
        return found
