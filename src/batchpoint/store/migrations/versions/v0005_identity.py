"""Principals, their secrets, roles and who has which; jobs are found in the order in which they are listed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "principals",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("principals_by_name", "principals", ["name"], unique=True)
    op.create_index("principals_by_client", "principals", ["client_id"])
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("principal", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("credentials_by_principal", "credentials", ["principal"])
    op.create_index("credentials_by_hash", "credentials", ["sha256"])
    op.create_table(
        "roles",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "role_assignments",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("principal", sa.String(64), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("role_assignments_by_principal", "role_assignments", ["principal"])
    op.create_index("jobs_by_workspace", "jobs", ["workspace", "sequence"])
    op.create_index("jobs_by_endpoint", "jobs", ["workspace", "endpoint", "sequence"])
