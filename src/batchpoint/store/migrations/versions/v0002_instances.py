"""Instances of computes, and who waits for them. Jobs that a driver has claimed by now hold theirs, the others wait."""

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ENDED = ("Completed", "Failed", "Canceled")


def upgrade() -> None:
    instances, waiting = _tables()
    _take_in_open_jobs(instances, waiting)


def _tables() -> tuple[sa.Table, sa.Table]:
    instances = op.create_table(
        "instances",
        sa.Column("workspace", sa.String(400), primary_key=True),
        sa.Column("compute", sa.String(255), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("node_id", sa.String(64), nullable=False),
        sa.Column("job", sa.String(255), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("gpus", sa.JSON, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("instances_by_job", "instances", ["job"])
    waiting = op.create_table(
        "waiting",
        sa.Column("job", sa.String(255), primary_key=True),
        sa.Column("workspace", sa.String(400), nullable=False),
        sa.Column("compute", sa.String(255), nullable=False),
        sa.Column("endpoint", sa.String(255), nullable=False),
        sa.Column("instance_count", sa.Integer, nullable=False),
        sa.Column("is_next", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
    )
    op.create_index("waiting_by_compute", "waiting", ["workspace", "compute"])
    return instances, waiting


def _take_in_open_jobs(instances: sa.Table, waiting: sa.Table) -> None:
    columns = [sa.Column(name, sa.String) for name in ("name", "workspace", "endpoint", "status", "nonce")]
    jobs = sa.table("jobs", *columns, sa.Column("revision", sa.Integer), sa.Column("document", sa.JSON))
    taken: Counter[tuple[str, str]] = Counter()
    for job in op.get_bind().execute(sa.select(jobs).where(jobs.c.status.not_in(_ENDED))).all():
        compute = job.document.get("compute", "").rpartition("/")[2]
        if not compute:
            continue
        count = job.document["settings"].get("instance_count", 1)
        if job.nonce:
            place = job.workspace, compute
            op.bulk_insert(instances, [_held(job, compute, taken[place] + n) for n in range(count)])
            taken[place] += count
        else:
            op.bulk_insert(waiting, [_waits(job, compute, count)])


def _held(job: Any, compute: str, number: int) -> dict[str, object]:
    return {
        "workspace": job.workspace,
        "compute": compute,
        "number": number,
        "node_id": f"node-{uuid.uuid4().hex[:12]}",
        "job": job.name,
        "revision": job.revision,
        "gpus": [],
        "since": datetime.now(UTC),
    }


def _waits(job: Any, compute: str, count: int) -> dict[str, object]:
    return {
        "job": job.name,
        "workspace": job.workspace,
        "compute": compute,
        "endpoint": job.endpoint,
        "instance_count": count,
        "is_next": False,
        "sentence": "",
    }
