"""The first schema: nouns, assets, jobs with revisions, and the ledger with item ranges."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _nouns()
    _assets()
    _jobs()
    _ledger()
    _claims_of_requests()


def _nouns() -> None:
    for table in ("computes", "datastores"):
        op.create_table(
            table,
            sa.Column("workspace", sa.String(400), primary_key=True),
            sa.Column("name", sa.String(255), primary_key=True),
            sa.Column("document", sa.JSON, nullable=False),
        )
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("workspace", sa.String(400), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "deployments",
        sa.Column("endpoint", sa.String(255), sa.ForeignKey("endpoints.name"), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("workspace", sa.String(400), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )


def _assets() -> None:
    op.create_table(
        "asset_names",
        sa.Column("workspace", sa.String(400), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("archived", sa.Boolean(create_constraint=False), nullable=False),
    )
    op.create_table(
        "assets",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("workspace", sa.String(400), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("archived", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("assets_by_version", "assets", ["workspace", "kind", "name", "version"], unique=True)
    op.create_index("assets_by_content", "assets", ["workspace", "kind", "content_hash"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("workspace", sa.String(400), nullable=False),
        sa.Column("endpoint", sa.String(255), nullable=False),
        sa.Column("deployment", sa.String(255), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("driver_deaths", sa.Integer, nullable=False),
        sa.Column("planned_items", sa.BigInteger, nullable=False),
        sa.Column("output_sha256", sa.String(64), nullable=False),
        sa.Column("output_length", sa.BigInteger, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("jobs_by_name", "jobs", ["name"], unique=True)
    op.create_index("jobs_by_deployment", "jobs", ["workspace", "endpoint", "deployment"])
    op.create_index("jobs_by_status", "jobs", ["status"])


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("job", sa.String(255), sa.ForeignKey("jobs.name"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("mini_batch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_item", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("succeeded", sa.BigInteger, nullable=False),
        sa.Column("failed_items", sa.BigInteger, nullable=False),
        sa.Column("output_rows", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("parts", sa.JSON, nullable=False),
        sa.Column("reason_code", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _claims_of_requests() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace", sa.String(400), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("job", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "output_reservations",
        sa.Column("uri", sa.String(4096), primary_key=True),
        sa.Column("workspace", sa.String(400), nullable=False),
        sa.Column("job", sa.String(255), nullable=False),
    )
    op.create_index("output_reservations_by_job", "output_reservations", ["job"])
