"""What this machine offers: our own Python and SQLite, uv, interpreters for scripts, and the extras that are there."""

import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from batchpoint.environments.builder import find_uv
from batchpoint.environments.commands import ask
from batchpoint.environments.interpreters import installed
from batchpoint.errors import EnvironmentBuildFailed
from batchpoint.upkeep.findings import Finding, ok, problem, warning

#: Module that an extra brings, by its name.
_EXTRAS = {"azure": "adlfs", "s3": "s3fs", "ray": "ray"}


def findings() -> Iterator[Finding]:
    try:
        own = version("batchpoint")
    except PackageNotFoundError:
        own = "(a checkout)"
    yield ok("batchpoint", f"Version {own} on Python {platform.python_version()} with SQLite {sqlite3.sqlite_version}.")
    yield from _tools()
    there = [name for name, module in _EXTRAS.items() if find_spec(module)]
    missing = [name for name in _EXTRAS if name not in there]
    said = [f"installed: {', '.join(there)}"] if there else []
    if missing:
        said.append(f"not installed: {', '.join(missing)} (pip install 'batchpoint[{missing[0]}]', where it is needed)")
    yield ok("extras", f"{'; '.join(said).capitalize()}.")


def _tools() -> Iterator[Finding]:
    try:
        uv = find_uv()
    except EnvironmentBuildFailed as error:
        yield problem("uv", error.message, "pip install uv")
        return
    said = ask([uv, "--version"])
    if said is None:
        yield problem("uv", f"{uv}, which builds environments, does not start.", "Install it again: pip install uv")
        return
    yield ok("uv", f"{said.strip()} builds environments.")
    pythons = installed(uv)
    if not pythons:
        yield warning("interpreters", "No Python was found but our own.", "uv python install 3.12, or let jobs do it.")
        return
    listed = ", ".join(python.version for python in pythons)
    yield ok("interpreters", f"Found for scripts: {listed}. uv installs others where it may.")
