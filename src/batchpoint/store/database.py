"""``Database``: connections, transactions and errors; the one place that knows which SQL dialect is spoken.

The groups of ``Store`` read and write through it. It knows no noun.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import URL, Connection, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.pool import ConnectionPoolEntry

from batchpoint.errors import InternalError, ResourceConflict, StorageFull, StoreDamaged, StoreUnavailable

#: What to do, by the start of SQLite's name for the error.
_ADVICE = {
    "SQLITE_BUSY": "Another process has kept it locked. Try again; if that does not help, look for a stopped process.",
    "SQLITE_LOCKED": "Another connection has kept it locked. Try again.",
    "SQLITE_FULL": "The disk is full. Make room and try again; nothing that was stored is lost.",
    "SQLITE_READONLY": "It cannot be written. Check the owner and the mode of the file and of its folder.",
    "SQLITE_CANTOPEN": "It cannot be opened. Check the owner and the mode of the file and of its folder.",
    "SQLITE_PERM": "It cannot be opened. Check the owner and the mode of the file and of its folder.",
    "SQLITE_NOTADB": "The file is not a database, or its beginning is damaged. Restore it from a backup, or move it "
    "away and begin with an empty home.",
    "SQLITE_CORRUPT": "The file is damaged. Stop everything that uses it and restore it from a backup; 'batchpoint "
    "doctor' says what is wrong with it.",
    "SQLITE_IOERR": "The disk reported an error. Check the disk and the kernel's log.",
}

#: What is raised, by the same; StoreUnavailable for all others.
_KINDS: dict[str, type[StoreUnavailable]] = {
    "SQLITE_FULL": StorageFull,
    "SQLITE_CORRUPT": StoreDamaged,
    "SQLITE_NOTADB": StoreDamaged,
}


class Database:
    """One SQLite file, opened by any number of threads and processes."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = path
        url = URL.create("sqlite", database=str(path))
        self._engine = create_engine(url, connect_args={"timeout": busy_timeout_s}, max_overflow=-1)
        self._writer = self._engine.execution_options(batchpoint_writes=True)
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store."""
        with self._translated(), self._engine.begin() as connection:
            try:
                yield connection
            except ValueError as error:
                # A record that is no JSON, or not the noun that was put there: bytes in the middle of the file changed.
                raise self._damaged(f"A record in it cannot be read ({type(error).__name__}).") from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only one writing, from its first statement on."""
        with self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A writing transaction that may rebuild tables which others refer to."""
        with self._translated(), self._writer.connect() as connection:
            _set_foreign_keys(connection, "OFF")
            try:
                with connection.begin():
                    yield connection
            finally:
                _set_foreign_keys(connection, "ON")

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[dict[str, object]]) -> int:
        """Insert those rows whose primary key is free; answers how many that were."""
        return connection.execute(_insert_new(table), rows).rowcount

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise ResourceConflict(
                f"Somebody else changed the same thing at the same moment; look at it and try again ({error.orig})."
            ) from error
        except (ProgrammingError, InterfaceError, DataError) as error:
            raise InternalError(f"The store was used wrongly: {error.orig}") from error
        except DBAPIError as error:
            raise self._unavailable(error.orig) from error
        except sqlite3.Error as error:
            # Raised while a connection is being configured, where SQLAlchemy does not wrap it.
            raise self._unavailable(error) from error

    def _unavailable(self, cause: BaseException | None) -> StoreUnavailable:
        name = getattr(cause, "sqlite_errorname", "")
        advice = next((text for start, text in _ADVICE.items() if name.startswith(start)), f"It said: {cause}.")
        kind = next((kind for start, kind in _KINDS.items() if name.startswith(start)), StoreUnavailable)
        return kind(f"The store {self.path} cannot be used. {advice}", target=str(self.path))

    def _damaged(self, how: str) -> StoreDamaged:
        return StoreDamaged(
            f"The store {self.path} cannot be used. {how} {_ADVICE['SQLITE_CORRUPT']}", target=str(self.path)
        )


@cache
def _insert_new(table: Table) -> Insert:
    return insert(table).on_conflict_do_nothing()


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Transactions begin where `_begin` says, never by the driver's own guess.
    connection.isolation_level = None
    cursor = connection.cursor()
    # No WAL: see docs/decisions/0001. TRUNCATE keeps the journal's directory entry, which saves a sync.
    for pragma in ("journal_mode=TRUNCATE", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that turns from reading to writing can fail as busy without waiting; so writers say so at once.
    writes = connection.get_execution_options().get("batchpoint_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_foreign_keys(connection: Connection, state: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={state}")
    cursor.close()
