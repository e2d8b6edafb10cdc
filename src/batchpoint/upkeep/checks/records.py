"""The store as a file: is it whole, of which schema, and was a transaction cut off."""

from collections.abc import Iterator
from pathlib import Path

from batchpoint.store.health import examine
from batchpoint.store.schema import REVISIONS
from batchpoint.upkeep.findings import Finding, ok, problem, warning

#: Damages that are listed; one is enough to know.
_SHOWN = 3


def findings(store: Path) -> Iterator[Finding]:
    health = examine(store)
    if health.rolled_back:
        yield warning(
            "store",
            f"A transaction on {store} had been cut off, by a killed process or a lost machine; it is rolled back now.",
            "Nothing has to be done; what had been answered was not lost.",
        )
    if health.damages:
        yield problem(
            "store",
            f"{store} is damaged: {'; '.join(health.damages[:_SHOWN])}.",
            "Stop everything that uses this home and put a backup of the file in its place. Without one, move the "
            "file away: outputs, models and code stay, jobs and endpoints have to be made again.",
        )
        return
    if health.dangling:
        yield problem(
            "store",
            f"{store} holds rows that refer to nothing: {'; '.join(health.dangling[:_SHOWN])}.",
            "Put a backup of the file in its place, or report how this came about.",
        )
    yield _schema(store, health.schema)


def _schema(store: Path, schema: str) -> Finding:
    if schema == REVISIONS[-1]:
        return ok("store", f"{store} is whole, schema {schema}.")
    if schema in REVISIONS or not schema:
        return ok("store", f"{store} is whole; its schema {schema or '0'} is brought to {REVISIONS[-1]} as it is used.")
    return problem(
        "store",
        f"{store} was written by a newer Batchpoint (schema {schema}; this one knows {REVISIONS[-1]}).",
        "Install that version again, or point BATCHPOINT_HOME to another folder.",
    )
