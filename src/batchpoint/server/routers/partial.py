"""What a job that failed or was cancelled had scored by then: a file for whoever asks, never the job's output."""

import os
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from batchpoint.entities.job import Job, JobStatus
from batchpoint.errors import NotSupported, ResourceConflict, ResourceNotFound
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.asked import AtPlane
from batchpoint.server.routers.jobs import found_job
from batchpoint.storage.atomic import aside_path, sweep
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.records import LedgerRow, Part
from batchpoint.store.tables.retention import PRUNED

router = APIRouter(prefix="/batchpoint/v1/jobs/{job}/partial")

#: Formats of which a file is more than the parts one after the other.
_PUT_TOGETHER = frozenset({"csv", "parquet"})
_BLOCK_BYTES = 1 << 20
#: Age from which a file on the way was left by a server that was stopped.
_LEFT_BEHIND_S = 3600.0


@router.get("")
def describe(plane: AtPlane, job: str) -> dict[str, Any]:
    """Name and contents of the file: how many mini-batches and items, and which mini-batches lack some or all."""
    found, rows = _committed(plane, job)
    segments = job_folder(plane.settings.home, found.name).segments
    sound = [row for row in rows if _rows_of(segments, row) is not None]
    if not any(row.parts for row in sound):
        raise ResourceNotFound(f"Job {found.name} is {found.status} and had scored nothing by then.", target=job)
    begun = {row.mini_batch for row in sound}
    in_part = _in_part(found, sound)
    return {
        "file": partial_name(found.settings.output_file_name),
        "mini_batches": found.progress.mini_batches,
        "mini_batches_done": len(begun - in_part),
        "items": found.progress.items,
        "items_succeeded": sum(row.succeeded for row in sound),
        "items_failed": sum(row.failed_items for row in sound),
        "rows": sum(row.rows for row in sound),
        "missing": _ranges(sorted(set(range(found.progress.mini_batches)) - begun)),
        "in_part": _ranges(sorted(in_part)),
        "failed": _ranges(sorted({row.mini_batch for row in sound if row.failed_items})),
    }


def _in_part(job: Job, rows: Sequence[LedgerRow]) -> set[int]:
    """Mini-batches of which some items have no row: they were taken apart, and the job ended in the middle of it."""
    size, covered = job.settings.mini_batch_size, Counter[int]()
    for row in rows:
        covered[row.mini_batch] += row.items
    return {number for number, items in covered.items() if items < min(size, job.progress.items - number * size)}


@router.get("/content")
def content(plane: AtPlane, job: str) -> StreamingResponse:
    """The rows of every mini-batch that stands in the ledger, in mini-batch order."""
    found, rows = _committed(plane, job)
    segments = job_folder(plane.settings.home, found.name).segments
    if found.settings.output_format in _PUT_TOGETHER:
        return StreamingResponse(_put_together(plane, found), media_type="application/octet-stream")

    def pieces() -> Iterator[bytes]:
        for row in rows:
            yield _rows_of(segments, row) or b""

    return StreamingResponse(pieces(), media_type="application/octet-stream")


def _put_together(plane: ControlPlane, job: Job) -> Iterator[bytes]:
    """The bytes of a file that a process makes of them, and that is gone when they are read."""
    folder = job_folder(plane.settings.home, job.name).path
    sweep(folder, _LEFT_BEHIND_S)
    target = aside_path(folder)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "batchpoint.engine.publishing.partial", job.name, str(target)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=plane.settings.home,
        env=plane.settings.child_environ(),
        check=False,
    )
    if done.returncode:
        target.unlink(missing_ok=True)
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"the process ended with {done.returncode}"
        raise ResourceConflict(f"What job {job.name} had scored cannot be put together: {why}", target=job.name)

    def pieces() -> Iterator[bytes]:
        try:
            with target.open("rb") as file:
                while piece := file.read(_BLOCK_BYTES):
                    yield piece
        finally:
            target.unlink(missing_ok=True)

    return pieces()


def partial_name(output_file_name: str) -> str:
    """``predictions.csv`` → ``predictions.partial.csv``."""
    name = PurePosixPath(output_file_name)
    return f"{name.stem}.partial{name.suffix}"


def _committed(plane: ControlPlane, name: str) -> tuple[Job, Sequence[LedgerRow]]:
    job = found_job(plane, name)
    if job.status is JobStatus.COMPLETED:
        raise ResourceConflict(f"Job {job.name} is Completed: download its output without --partial.", target=name)
    if not job.status.is_terminal:
        message = f"Job {job.name} is {job.status}; partial results are those of a job that is Failed or Canceled."
        raise ResourceConflict(message, target=name)
    if since := job.properties.get(PRUNED):
        raise ResourceConflict(
            f"What job {job.name} had scored was pruned on {since[:10]}, so it cannot be downloaded in part any more. "
            "Its record and its logs are there; invoke again for the results.",
            target=name,
        )
    if job.settings.output_action == "summary_only":
        staging = job_folder(plane.settings.home, job.name).staging
        raise NotSupported(
            f"Job {job.name} has output_action summary_only: its script writes the files, and nobody knows which of "
            f"them are whole. What it wrote is on the server's machine in {staging}.",
            target=name,
        )
    return job, plane.store.ledger(job.name, job.revision)


def _rows_of(segments: Path, row: LedgerRow) -> bytes | None:
    """What the mini-batch gave; None when it is no longer what was scored."""
    found = [_read(segments / part.segment, part) for part in row.parts]
    whole = [piece for piece in found if piece is not None]
    return b"".join(whole) if len(whole) == len(found) else None


def _read(segment: Path, part: Part) -> bytes | None:
    if not segment.is_file():
        return None
    with segment.open("rb") as file:
        found = os.pread(file.fileno(), part.length, part.offset)
    return found if len(found) == part.length and zlib.crc32(found) == part.crc else None


def _ranges(numbers: Sequence[int]) -> list[list[int]]:
    """``[3, 4, 5, 9]`` → ``[[3, 5], [9, 9]]``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found
