"""``batchpoint doctor``: every check in order, and mending what a check found. The command line calls it.

Nothing is changed by looking, but for what SQLite rolls back of itself when a cut-off transaction is found.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from batchpoint.errors import StoreUnavailable
from batchpoint.settings import Settings
from batchpoint.store.store import open_store
from batchpoint.upkeep.checks import containers, environments, home, jobs, machine, processes, records
from batchpoint.upkeep.findings import Finding, ok

__all__ = ["examine", "mend"]


def examine(settings: Settings, *, deep: bool, start_supervisor: Callable[[], None]) -> list[Finding]:
    """Look at everything; ``deep`` reads every byte of segments and outputs again."""
    return list(_all(settings.home, settings.container_runtime, deep, start_supervisor))


def mend(finding: Finding) -> Finding:
    """Carry the remedy of a finding out; the finding as it is afterwards."""
    if finding.mend is None:
        return finding
    try:
        done = finding.mend()
    except OSError as error:
        return replace(finding, message=f"{finding.message} It could not be mended: {error}.")
    return replace(finding, level="fixed", message=done, remedy="", mend=None) if done else finding


def _all(folder: Path, runtime: str, deep: bool, start_supervisor: Callable[[], None]) -> Iterator[Finding]:
    yield from machine.findings()
    yield from containers.findings(folder, runtime)
    if not (folder / "batchpoint.db").is_file():
        yield ok("home", f"{folder} is not a home of Batchpoint yet; the first command that needs one makes it.")
        return
    yield from home.findings(folder)
    yield from environments.findings(folder)
    sound = True
    for finding in records.findings(folder / "batchpoint.db"):
        sound = sound and finding.level != "problem"
        yield finding
    if not sound:
        return
    try:
        with open_store(folder) as store:
            yield from jobs.findings(store, folder, deep)
            yield from processes.findings(store, folder, start_supervisor)
    except StoreUnavailable as error:
        yield Finding("store", "problem", error.message, "Mend that first; jobs were not looked at.")
