"""What a job that has ended can show for itself: its manifest, its failed items, and whether all is still as it was."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from batchpoint.entities.job import Job, JobStatus
from batchpoint.errors import ResourceNotFound
from batchpoint.server import verification
from batchpoint.server.identity.actions import ML
from batchpoint.server.identity.caller import Caller
from batchpoint.server.intake.redrive import RERUN_OF
from batchpoint.server.lookup import ControlPlane, no_job
from batchpoint.server.routers.asked import AtPlane, By
from batchpoint.server.routers.jobs import found_job
from batchpoint.storage.job_folder import job_folder

router = APIRouter(prefix="/batchpoint/v1/jobs/{job}")

_READ = f"{ML}/experiments/runs/read"


@router.get("/manifest")
def manifest(plane: AtPlane, job: str) -> FileResponse:
    name = found_job(plane, job).name
    return _answer(job_folder(plane.settings.home, name).manifest, f"Job {name} has no manifest.", "application/json")


@router.get("/failed-items")
def failed_items(plane: AtPlane, job: str) -> FileResponse:
    """One line of JSON for each item that failed, whether the job completed or not."""
    name = found_job(plane, job).name
    file = job_folder(plane.settings.home, name).failed_items
    return _answer(file, f"Job {name} has no failed items.", "application/jsonl")


@router.get("/verification")
def verify(plane: AtPlane, by: By, job: str, against: str = "") -> dict[str, Any]:
    """Reads everything again; with ``against``, and for a job that repeats another one, compares the outputs too."""
    found = found_job(plane, job)
    other = _other(plane, by, against) if against else _repeated(plane, by, found)
    checks = verification.verify(plane, found)
    compared = verification.compare(plane, found, other) if other is not None else None
    return {
        "job": found.name,
        "checks": [asdict(check) for check in checks],
        "comparison": asdict(compared) if compared else None,
    }


def _other(plane: ControlPlane, by: Caller, name: str) -> Job:
    """The job to compare with, which the caller must be allowed to read as well."""
    found = found_job(plane, name)
    if not by.may(_READ, found.id or "/"):
        raise no_job(name)
    return found


def _repeated(plane: ControlPlane, by: Caller, job: Job) -> Job | None:
    """The job that this one repeats, where both have an output and the caller may read both."""
    other = plane.store.find_job(job.properties.get(RERUN_OF, ""))
    both = (job, other) if other is not None and by.may(_READ, other.id or "/") else ()
    comparable = both and all(
        one.status is JobStatus.COMPLETED and one.settings.output_action == "append_row" for one in both
    )
    return other if comparable else None


def _answer(file: Path, missing: str, kind: str) -> FileResponse:
    if not file.is_file():
        raise ResourceNotFound(missing, target=file.name)
    return FileResponse(file, media_type=kind)
