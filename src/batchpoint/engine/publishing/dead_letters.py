"""Writes down each item that failed, with its cause, and puts the file beside the output of a completed job.

``proof`` calls it at the end of a job. The file is a function of ledger and plan alone: no time and no attempt
at publishing shows in it, so whoever repeats it writes the same bytes.

One line of JSON for each item, in the order of the plan:

    item         its path, relative to the input; bytes of it that are no UTF-8 are written out as ``\\xff``
    item_base64  only then: the path as it is
    index        its place in the plan, from 0
    mini_batch   the mini-batch that it belongs to, from 0
    attempts     executions that it was part of
    code         ScriptRaised, MiniBatchTimeout, WorkerCrashed …; ``batchpoint explain`` knows each
    error_type   class of what the script raised; "" where it raised nothing
    message      the first line of why
    fingerprint  the same for all failures of one cause

A mini-batch whose ``run()`` returned fewer results than it got items, nobody knows for which, is one line: ``item`` is
null, ``items`` counts the items and ``missing`` the results that lack. Where it returned none, each item has its line.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.preparation.plan import Plan
from batchpoint.engine.publishing.output import unwritable
from batchpoint.engine.publishing.places import OutputPlace
from batchpoint.entities.job import Job
from batchpoint.storage import published
from batchpoint.storage.atomic import aside_path, fsync_folder
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import LedgerRow

FILE_NAME = "failed_items.jsonl"
#: Why a row is a mini-batch with too few results.
_TOO_FEW = "TooFewResults"


@dataclass(frozen=True)
class DeadLetters:
    """The file in the job's folder."""

    path: Path
    sha256: str
    bytes: int
    #: Items that failed.
    items: int


def write(rows: Iterable[LedgerRow], plan: Plan, folder: JobFolder) -> DeadLetters | None:
    """Write the file for the failed ``rows``, which come in output order; None, and no file, when there are none.

    Raises OutputUnwritable.
    """
    final = folder.failed_items
    aside = aside_path(folder.path)
    digest, length, items = hashlib.sha256(), 0, 0
    try:
        with aside.open("xb") as file:
            for row, line in _lines(rows, plan):
                digest.update(line)
                length += file.write(line)
                items += row.failed_items if _is_anybodys(row) else 1
            file.flush()
            os.fsync(file.fileno())
        if not length:
            final.unlink(missing_ok=True)
            return None
        aside.replace(final)
        fsync_folder(final.parent)
    except OSError as error:
        raise unwritable(final, error) from error
    finally:
        aside.unlink(missing_ok=True)
    return DeadLetters(final, digest.hexdigest(), length, items)


def publish(letters: DeadLetters | None, job: Job, folder: JobFolder, place: OutputPlace) -> str:
    """Put the file beside the job's output; answers the name that it has there, or "".

    What an earlier revision published is replaced, and removed when nothing fails any more; what somebody else put
    under the name or changed stays as it is, and ours gets another one.
    """
    name = ""
    for candidate in (FILE_NAME, f"{job.name}.{FILE_NAME}"):
        if letters is not None and not name and _put(letters, candidate, folder, place):
            name = candidate
        elif own := published.contents(folder, candidate):
            place.remove_beside(candidate, own)
            published.forget(folder, candidate)
    return name


def _put(letters: DeadLetters, name: str, folder: JobFolder, place: OutputPlace) -> bool:
    own = published.contents(folder, name)
    if not own and name in published.recall(folder):
        # The output itself, or a file of the script.
        return False
    # Before it is there, so that no other job ever takes it for an input.
    published.remember_content(folder, name, letters.sha256)
    if place.put_beside(letters.path, name, own):
        return True
    # A stranger's, or that of another job with the same failures.
    published.forget(folder, name)
    return False


def _lines(rows: Iterable[LedgerRow], plan: Plan) -> Iterator[tuple[LedgerRow, bytes]]:
    mini_batch, items = -1, list[bytes]()
    for row in rows:
        if not row.failed_items:
            continue
        if _is_anybodys(row):
            about = {"item": None, "items": row.items, "missing": row.failed_items}
            yield row, _line(row, row.first_item, about)
            continue
        if row.mini_batch != mini_batch:
            mini_batch, items = row.mini_batch, plan.paths(row.mini_batch)
        first = row.first_item - plan.first_item(mini_batch)
        for at, item in enumerate(items[first : first + row.items]):
            yield row, _line(row, row.first_item + at, _named(item))


def _is_anybodys(row: LedgerRow) -> bool:
    """Whether nobody knows which items of the row failed: some, but not all of them."""
    return row.reason_code == _TOO_FEW and row.failed_items < row.items


def _named(item: bytes) -> dict[str, object]:
    """The path for people, and where that is not all of it, the bytes for programs."""
    try:
        return {"item": item.decode()}
    except UnicodeDecodeError:
        return {"item": item.decode(errors="backslashreplace"), "item_base64": base64.b64encode(item).decode()}


def _line(row: LedgerRow, index: int, about: Mapping[str, object]) -> bytes:
    told = {
        **about,
        "index": index,
        "mini_batch": row.mini_batch,
        "attempts": row.attempt,
        "code": row.reason_code,
        "error_type": row.error_type,
        "message": row.reason,
        "fingerprint": row.fingerprint,
    }
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"
