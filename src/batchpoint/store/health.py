"""Looks at the file of a store without trusting it: no schema is needed, nothing is upgraded.

``upkeep`` and a server that starts call it before they open the store as everybody does.
"""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from batchpoint.errors import StoreDamaged

#: A journal that does not change for so long is nobody's.
_STILL_S = 0.3
_BUSY_S = 10.0
_DAMAGES_MAX = 20
#: A start waits no longer for a look at the whole file; ``doctor`` takes its time.
_QUICK_S = 3.0
#: Steps of SQLite's machine between two looks at the clock.
_STEPS = 100_000


@dataclass(frozen=True)
class StoreHealth:
    """What was found in the file."""

    #: The revision of the schema; empty where none is noted.
    schema: str
    #: What is wrong with the file, in SQLite's words.
    damages: tuple[str, ...]
    #: Rows that refer to rows which are not there.
    dangling: tuple[str, ...]
    #: True when a transaction that a dead process had begun was undone.
    rolled_back: bool


def refuse_damaged(path: Path) -> None:
    """Raise StoreDamaged when a quick look at the pages of the file at ``path`` finds one that is none.

    What takes longer than a few seconds to read, or is locked by somebody, is used as it is.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    until = time.monotonic() + _QUICK_S
    try:
        with closing(_opened(path, _QUICK_S)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            damages = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)") if row[0] != "ok"]
    except sqlite3.DatabaseError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return
        damages = [str(error)]
    if damages:
        raise StoreDamaged(
            f"The store {path} is damaged: {' '.join(damages[0].split())}. Stop everything that uses it and restore it "
            "from a backup; 'batchpoint doctor' says more. To begin anew, move it away: what jobs published stays.",
            target=str(path),
        )


def examine(path: Path) -> StoreHealth:
    """Read every page of the file at ``path``. What cannot be read at all is a damage, too."""
    was_cut_off = _is_cut_off(path.with_name(f"{path.name}-journal"))
    try:
        with closing(_opened(path, _BUSY_S)) as connection:
            return _read(connection, was_cut_off)
    except sqlite3.Error as error:
        return StoreHealth("", (str(error),), (), was_cut_off)


def _opened(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None)


def _read(connection: sqlite3.Connection, was_cut_off: bool) -> StoreHealth:
    checked = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_DAMAGES_MAX})")]
    damages = tuple(" ".join(line.split()) for line in checked if line != "ok")
    if damages:
        return StoreHealth("", damages, (), was_cut_off)
    dangling = tuple(f"{row[0]} → {row[2]}" for row in connection.execute("PRAGMA foreign_key_check").fetchmany(10))
    has_schema = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if has_schema else None
    return StoreHealth(str(row[0]) if row else "", (), dangling, was_cut_off)


def _is_cut_off(journal: Path) -> bool:
    """Whether the journal is that of a process that is gone; a living one is done with it in a moment."""

    def now() -> tuple[int, int]:
        try:
            status = journal.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    before = now()
    if not before[0]:
        return False
    time.sleep(_STILL_S)
    return now() == before
