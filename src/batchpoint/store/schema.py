"""The tables: each noun's JSON document beside only the columns that it is searched by.

``migrations`` builds the same tables step by step; a test holds the two together. Types and constraints are those
that SQLite and Postgres share.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy import BigInteger as Big

#: Identifiers of the migrations, oldest first. A file with any other one was written by a newer Batchpoint.
REVISIONS = ("0001", "0002", "0003", "0004", "0005")

metadata = MetaData()

#: What Alembic keeps; written here too, so that a fresh file needs no Alembic.
alembic_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

endpoints = Table(
    "endpoints",
    metadata,
    # In lower case, and unique beyond workspaces: one server is one region.
    Column("name", String(255), primary_key=True),
    Column("workspace", String(400), nullable=False),
    Column("document", JSON, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("endpoint", String(255), ForeignKey("endpoints.name"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("workspace", String(400), nullable=False),
    Column("document", JSON, nullable=False),
)

#: The default workspace exists without a row.
workspaces = Table(
    "workspaces",
    metadata,
    Column("workspace", String(400), primary_key=True),
    Column("document", JSON, nullable=False),
)

resource_groups = Table(
    "resource_groups",
    metadata,
    # <subscription>/<group> in lower case.
    Column("resource_group", String(300), primary_key=True),
    Column("document", JSON, nullable=False),
)

computes = Table(
    "computes",
    metadata,
    Column("workspace", String(400), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("document", JSON, nullable=False),
)

datastores = Table(
    "datastores",
    metadata,
    Column("workspace", String(400), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("document", JSON, nullable=False),
)

asset_names = Table(
    "asset_names",
    metadata,
    Column("workspace", String(400), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    # All versions at once, those still to come included.
    Column("archived", Boolean(create_constraint=False), nullable=False),
)

assets = Table(
    "assets",
    metadata,
    # Order of creation; "latest" means the most recently created version.
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("workspace", String(400), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(64), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("archived", Boolean(create_constraint=False), nullable=False),
    Column("document", JSON, nullable=False),
    Index("assets_by_version", "workspace", "kind", "name", "version", unique=True),
    Index("assets_by_content", "workspace", "kind", "content_hash"),
)

jobs = Table(
    "jobs",
    metadata,
    # Order of arrival.
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    # Unique beyond workspaces: it names the job's folder.
    Column("name", String(255), nullable=False),
    Column("workspace", String(400), nullable=False),
    Column("endpoint", String(255), nullable=False),
    Column("deployment", String(255), nullable=False),
    Column("status", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("beat", Big, nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Big, nullable=False),
    Column("driver_deaths", Integer, nullable=False),
    Column("planned_items", Big, nullable=False),
    Column("output_sha256", String(64), nullable=False),
    Column("output_length", Big, nullable=False),
    # Apart from the document: it changes with every commit.
    Column("progress", JSON, nullable=False),
    Column("document", JSON, nullable=False),
    Index("jobs_by_name", "name", unique=True),
    Index("jobs_by_deployment", "workspace", "endpoint", "deployment"),
    Index("jobs_by_status", "status"),
    # Lists are read page by page in the order of arrival.
    Index("jobs_by_workspace", "workspace", "sequence"),
    Index("jobs_by_endpoint", "workspace", "endpoint", "sequence"),
)

#: One row per finished mini-batch, or per range of its items; a part counts only if it stands here. The workspace
#: is the job's. No rowid: rows lie in output order, and the key is stored once.
ledger = Table(
    "ledger",
    metadata,
    Column("job", String(255), ForeignKey("jobs.name"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("mini_batch", Big, primary_key=True, autoincrement=False),
    Column("first_item", Big, primary_key=True, autoincrement=False),
    Column("items", Big, nullable=False),
    Column("succeeded", Big, nullable=False),
    Column("failed_items", Big, nullable=False),
    Column("output_rows", Big, nullable=False),
    Column("attempt", Integer, nullable=False),
    # The claim that entered the row.
    Column("epoch", Integer, nullable=False),
    # [[segment, offset, length, crc], …]
    Column("parts", JSON, nullable=False),
    Column("reason_code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("error_type", String(255), nullable=False, server_default=""),
    Column("fingerprint", String(64), nullable=False, server_default=""),
    sqlite_with_rowid=False,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("workspace", String(400), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("job", String(255), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # sha256 of what was asked for; empty for keys of before it was kept.
    Column("asks", String(64), nullable=False, server_default=""),
)

#: Which unfinished job an output path belongs to.
output_reservations = Table(
    "output_reservations",
    metadata,
    Column("uri", String(4096), primary_key=True),
    Column("workspace", String(400), nullable=False),
    Column("job", String(255), nullable=False),
    Index("output_reservations_by_job", "job"),
)

#: The places of each compute, idle ones included. One is held while the job of that revision has not ended, which
#: the job's own row says: nobody has to give it back.
instances = Table(
    "instances",
    metadata,
    Column("workspace", String(400), primary_key=True),
    Column("compute", String(255), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("node_id", String(64), nullable=False),
    # Empty while no job ever had it.
    Column("job", String(255), nullable=False),
    Column("revision", Integer, nullable=False),
    # GPUs that the job's workers on it see: [0, 1]
    Column("gpus", JSON, nullable=False),
    # When it was made or given to the job.
    Column("since", DateTime(timezone=True), nullable=False),
    Index("instances_by_job", "job"),
)

#: Jobs that are to be given instances of their compute; a row goes when they have them, or have ended.
waiting = Table(
    "waiting",
    metadata,
    Column("job", String(255), primary_key=True),
    Column("workspace", String(400), nullable=False),
    Column("compute", String(255), nullable=False),
    Column("endpoint", String(255), nullable=False),
    Column("instance_count", Integer, nullable=False),
    # Kept: nobody who comes later is placed before it.
    Column("is_next", Boolean(create_constraint=False), nullable=False),
    # What people are told; empty until somebody has looked.
    Column("sentence", Text, nullable=False),
    Index("waiting_by_compute", "workspace", "compute"),
)

#: People and programs that may log in or send tokens.
principals = Table(
    "principals",
    metadata,
    Column("id", String(64), primary_key=True),
    # In lower case.
    Column("name", String(255), nullable=False),
    # Of a program; empty for people.
    Column("client_id", String(64), nullable=False),
    Column("document", JSON, nullable=False),
    Index("principals_by_name", "name", unique=True),
    Index("principals_by_client", "client_id"),
)

#: Secrets that a principal shows, as sha256 of 256 random bits: no such secret can be guessed, so no slower hash helps.
credentials = Table(
    "credentials",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("principal", String(64), nullable=False),
    # "password", "client_secret" or "identity_header".
    Column("kind", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=True),
    Index("credentials_by_principal", "principal"),
    Index("credentials_by_hash", "sha256"),
)

roles = Table(
    "roles",
    metadata,
    # In lower case.
    Column("name", String(255), primary_key=True),
    Column("document", JSON, nullable=False),
)

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("principal", String(64), nullable=False),
    Column("document", JSON, nullable=False),
    Index("role_assignments_by_principal", "principal"),
)
