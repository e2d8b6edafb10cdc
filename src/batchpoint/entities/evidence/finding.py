"""Findings of a preflight: what would go wrong with a deployment or an invocation, where, and what to do about it.

``engine.preflight`` makes them, the server hands them on, the command line shows them.
"""

from typing import Literal

from batchpoint.entities.noun import Noun
from batchpoint.errors import BatchpointError

#: ``error``: a job would fail, or score less than it should. ``warning``: it may. ``note``: good to know.
Severity = Literal["error", "warning", "note"]


class Finding(Noun):
    """One thing that a preflight has to say."""

    #: Stable, as the codes of errors are.
    code: str
    severity: Severity
    #: Name of the check that found it.
    check: str = ""
    #: What is wrong.
    message: str
    #: What to do about it.
    fix: str
    #: Of the input, relative to it; or the file of the deployment that is meant.
    file: str = ""
    column: str = ""
    #: Of the data, counted from 1: the header is no row.
    row: int | None = None


def finding_of(error: BatchpointError) -> Finding:
    """What an error of ours says: the last sentence of one line is what to do, of several nothing is told apart."""
    said, _, fix = error.message.rpartition(". ")
    if not said or "\n" in error.message:
        return Finding(code=error.code, severity="error", message=error.message, fix="")
    return Finding(code=error.code, severity="error", message=f"{said}.", fix=fix)
