"""A glance at the names in a home, for completion: the standard library alone, read-only, and empty in any doubt.

Everything else reads through ``Store``; this is for a process that must answer before SQLAlchemy is imported.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

#: Seconds to wait for a writer; a completion that comes late is worth nothing.
_PATIENCE_S = 0.2
#: At most so many names, of jobs the latest.
_MOST = 200

_ASSETS = "SELECT name FROM asset_names WHERE workspace = :workspace AND kind = :kind AND NOT archived ORDER BY name"
#: The query for each noun, and the kind of asset that it is about.
_QUERIES = {
    "endpoint": ("SELECT name FROM endpoints WHERE workspace = :workspace ORDER BY name", ""),
    "deployment": (
        "SELECT DISTINCT name FROM deployments WHERE workspace = :workspace AND :endpoint IN ('', endpoint) ORDER BY 1",
        "",
    ),
    "job": ("SELECT name FROM jobs WHERE workspace = :workspace ORDER BY sequence DESC", ""),
    "compute": ("SELECT name FROM computes WHERE workspace = :workspace ORDER BY name", ""),
    "datastore": ("SELECT name FROM datastores WHERE workspace = :workspace ORDER BY name", ""),
    "model": (_ASSETS, "Model"),
    "data": (_ASSETS, "DataAsset"),
    "environment": (_ASSETS, "Environment"),
    "code": (_ASSETS, "Code"),
    "workspace": ("SELECT json_extract(document, '$.name') FROM workspaces ORDER BY 1", ""),
}


def names(home: Path, workspace: str, noun: str, endpoint: str = "") -> list[str]:
    """The names of one kind of noun in a workspace; deployments those of ``endpoint`` where it is given."""
    store = home / "batchpoint.db"
    if noun not in _QUERIES or not store.is_file():
        return []
    query, kind = _QUERIES[noun]
    try:
        return list(_read(store, query, {"workspace": workspace.lower(), "endpoint": endpoint.lower(), "kind": kind}))
    except sqlite3.Error:
        return []


def _read(store: Path, query: str, key: dict[str, str]) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{quote(str(store))}?mode=ro", uri=True, timeout=_PATIENCE_S)) as connection:
        for (name,) in connection.execute(query, key).fetchmany(_MOST):
            yield str(name)
