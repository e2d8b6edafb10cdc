"""``open_store``: make, check or upgrade the store of a home folder; ``Store`` is what everybody else works with.

The entrance for control plane and drivers. Alembic is loaded only for a file that an older version wrote.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, insert, inspect, select

from batchpoint.errors import StoreUnavailable
from batchpoint.store.database import Database
from batchpoint.store.schema import REVISIONS, alembic_version, metadata
from batchpoint.store.tables.assets import AssetTable
from batchpoint.store.tables.identity import IdentityTable
from batchpoint.store.tables.instances import InstanceTable
from batchpoint.store.tables.jobs import JobTable
from batchpoint.store.tables.ledger import LedgerTable
from batchpoint.store.tables.nouns import NounTables
from batchpoint.store.tables.retention import RetentionTable
from batchpoint.store.tables.revisions import RevisionTable
from batchpoint.store.tables.workspaces import WorkspaceTable

#: Seconds that a transaction waits for another one.
BUSY_TIMEOUT_S = 30.0


class Store(
    NounTables,
    AssetTable,
    JobTable,
    InstanceTable,
    LedgerTable,
    RevisionTable,
    RetentionTable,
    WorkspaceTable,
    IdentityTable,
):
    """Everything that is remembered: nouns, assets, jobs and their ledger. Safe for threads and processes."""

    def close(self) -> None:
        """Close the connections; a store that is used again opens new ones."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(home: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
    """The store of ``home``, made or upgraded if need be.

    Raises StoreUnavailable if the home cannot be used, its file is no store, or a newer Batchpoint wrote it.
    """
    path = store_file(home)
    _prepare(home, path)
    database = Database(path, busy_timeout_s)
    try:
        _bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


def store_file(home: Path) -> Path:
    """The file that holds the store of ``home``."""
    return home / "batchpoint.db"


def _prepare(home: Path, path: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Before SQLite would create it, with a mode that others may read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"The store {path} cannot be opened: {error.strerror}. "
            "Check the folder, or point BATCHPOINT_HOME to one that you may write to.",
            target=str(path),
        ) from error


def _bring_up_to_date(database: Database) -> None:
    with database.reading() as connection:
        version = _version(connection, database.path)
    if version is None:
        with database.writing() as connection:
            # Another process may have been faster.
            version = _version(connection, database.path)
            if version is None:
                metadata.create_all(connection)
                alembic_version.create(connection)
                connection.execute(insert(alembic_version).values(version_num=REVISIONS[-1]))
                return
    if version != REVISIONS[-1]:
        _upgrade(database)


def _version(connection: Connection, path: Path) -> str | None:
    """The revision of the schema: None for an empty file, "" for one that awaits its first migration."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if alembic_version.name not in tables:
        raise StoreUnavailable(
            f"{path} is a database of something else (it holds the table {tables[0]}). "
            "Move it away, or point BATCHPOINT_HOME to another folder.",
            target=str(path),
        )
    version = connection.scalar(select(alembic_version.c.version_num)) or ""
    if version and version not in REVISIONS:
        raise StoreUnavailable(
            f"{path} was written by a newer Batchpoint (schema {version}; this one knows {REVISIONS[-1]}). "
            "Install that version again, or point BATCHPOINT_HOME to another folder.",
            target=str(path),
        )
    return version


def _upgrade(database: Database) -> None:
    from batchpoint.store.migrations.upgrade import upgrade

    # The transaction alone would keep two upgrades apart, but whoever waits for it gives up after the busy timeout.
    with _exclusive(database.path.with_name("batchpoint.db.lock")), database.migrating() as connection:
        # Whoever held the lock before may have done it, or be newer.
        if _version(connection, database.path) != REVISIONS[-1]:
            upgrade(connection)


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
