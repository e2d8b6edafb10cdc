"""What was raised, and the cause that it shares with others, beside the reason of a failed ledger row.

Beside an idempotency key, what its request asked for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite would write added columns differently from those of a fresh file, so the table is made anew.
    with op.batch_alter_table("ledger", recreate="always", table_kwargs={"sqlite_with_rowid": False}) as ledger:
        ledger.add_column(sa.Column("error_type", sa.String(255), nullable=False, server_default=""))
        ledger.add_column(sa.Column("fingerprint", sa.String(64), nullable=False, server_default=""))
    with op.batch_alter_table("idempotency_keys", recreate="always") as keys:
        keys.add_column(sa.Column("asks", sa.String(64), nullable=False, server_default=""))
