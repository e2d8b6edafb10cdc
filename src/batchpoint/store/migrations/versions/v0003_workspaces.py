"""Workspaces and resource groups as records. Those that something was put into by now exist from here on."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_HOLDERS = ("endpoints", "computes", "datastores", "assets", "jobs")


def upgrade() -> None:
    workspaces = op.create_table(
        "workspaces",
        sa.Column("workspace", sa.String(400), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "resource_groups",
        sa.Column("resource_group", sa.String(300), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
    found: dict[str, dict[str, Any]] = {}
    for name in _HOLDERS:
        holder = sa.table(name, sa.Column("workspace", sa.String), sa.Column("document", sa.JSON))
        for row in op.get_bind().execute(sa.select(holder.c.workspace, holder.c.document)).all():
            found.setdefault(row.workspace, _record(row.workspace, row.document.get("id") or ""))
    if found:
        op.bulk_insert(workspaces, [{"workspace": key, "document": record} for key, record in found.items()])


def _record(key: str, arm_id: str) -> dict[str, Any]:
    """In the spelling of an id that is kept, else in that of the key."""
    segments = arm_id.split("/")
    subscription, group, name = (segments[2], segments[4], segments[8]) if len(segments) > 8 else key.split("/")
    provider = "Microsoft.MachineLearningServices"
    own = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/workspaces/{name}"
    return {"name": name, "resource_group": group, "id": own}
