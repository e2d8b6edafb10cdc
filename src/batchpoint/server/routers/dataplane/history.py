"""The run history of a workspace: a job and its step as runs, their logs, and what a step wrote."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from batchpoint.arm.dataplane import run as wire
from batchpoint.entities.job import Job, JobStatus, step_of
from batchpoint.errors import ResourceNotFound
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent, page
from batchpoint.server.routers.dataplane.outputs import output_place
from batchpoint.server.routers.jobs import edit_job, is_still_written, path_inside
from batchpoint.storage.accounts.run_logs import LOG_FOLDERS, show_logs
from batchpoint.storage.job_folder import job_folder

#: The part of every address of the run history before the workspace.
HISTORY = "/history/v1.0"
_RUNS = f"{HISTORY}{WORKSPACE_PATH}"

router = APIRouter(prefix=_RUNS)

#: What clients print while they wait for a job; all other logs are those of its step.
_OF_THE_JOB = "logs/azureml/executionlogs.txt"
_OF_THE_STEP = "user_logs/std_log_0.txt"
_BLOCK_BYTES = 1 << 18


@router.get("/runs/{run}")
def get_run(desk: AtDesk, run: str) -> dict[str, Any]:
    return _shown(desk, desk.job_or_step(run))


@router.get("/runs/{run}/details")
def get_details(desk: AtDesk, run: str) -> dict[str, Any]:
    """With fresh links to the logs on every call: whoever follows a job for days never holds a stale one."""
    found = desk.job_or_step(run)
    logs = {name: _link(desk, found.name, name) for name in _log_names(desk, found)}
    details = wire.details_to_json(_shown(desk, found), logs)
    # Clients read no log after the end: the last lines are written when the output stands already.
    return {**details, "status": str(JobStatus.FINALIZING)} if is_still_written(desk.plane, found) else details


@router.get("/runs/{run}/children")
def list_children(request: Request, desk: AtDesk, run: str) -> dict[str, Any]:
    found = desk.job_or_step(run)
    return page(request, [] if found.parent_job_name else [_shown(desk, step_of(found))])


@router.get("/runs/{run}/logs/{path:path}")
def read_log(desk: AtDesk, run: str, path: str) -> Response:
    """The whole log as it stands now, of a job that runs its whole lines; empty while it has not been begun."""
    found = desk.job_or_step(run)
    if path.split("/")[0] not in LOG_FOLDERS:
        raise ResourceNotFound(f"Run {run} has no log {path}; logs stand under logs/ and user_logs/.", target=path)
    file = path_inside(_folder(desk, found), path)
    # The log may grow while it is read: no byte more than was announced.
    size = _length(file, found.status.is_terminal) if file.is_file() else 0
    headers = {"Content-Length": str(size), "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_bytes(file, size), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/runs/{run}/serviceinstances/{node}")
def list_services(desk: AtDesk, run: str, node: str) -> dict[str, Any]:
    """Programs that a run offers to be looked into: there are none."""
    desk.job_or_step(run)
    return {"instances": {}}


@router.patch("/experiments/{experiment}/runs/{run}")
@router.patch("/runs/{run}")
def patch_run(desk: AtDesk, run: str, sent: Sent) -> dict[str, Any]:
    """Changes what may be changed of a job, and archives or restores it: ``hidden``."""
    return _shown(desk, edit_job(desk, run, lambda before: wire.edit_from_json(sent, before), sent.boolean("hidden")))


@router.post("/rundata")
def get_run_data(desk: AtDesk, sent: Sent) -> dict[str, Any]:
    """What clients ask before they download; they then read logs and outputs from the storage."""
    found = desk.job_or_step(sent.text("runId") or "")
    if found.parent_job_name and found.status.is_terminal:
        show_logs(desk.settings.home, desk.workspace, found.parent_job_name)
    return {"runMetadata": _shown(desk, found)}


def _shown(desk: Desk, job: Job) -> dict[str, Any]:
    place = output_place(job, desk.workspace) if job.parent_job_name else None
    return wire.run_to_json(job, desk.workspace, desk.server, place.type if place else None)


def _link(desk: Desk, run: str, log: str) -> str:
    """An address that opens without a token for a while."""
    path, _, query = desk.plane.links.signed(f"{HISTORY}{desk.workspace.arm_id}/runs/{run}/logs/{log}").rpartition("?")
    return f"{desk.server}{quote(path)}?{query}"


def _folder(desk: Desk, job: Job) -> Path:
    return job_folder(desk.settings.home, job.parent_job_name or job.name).path


def _log_names(desk: Desk, job: Job) -> list[str]:
    """Of a job the log of its steps, of its step everything else; the first are there from the first moment."""
    if not job.parent_job_name:
        return [_OF_THE_JOB]
    root = _folder(desk, job)
    walked = (os.walk(root / folder) for folder in LOG_FOLDERS)
    found = {
        (Path(here) / name).relative_to(root).as_posix() for tree in walked for here, _, names in tree for name in names
    }
    return sorted((found - {_OF_THE_JOB}) | {_OF_THE_STEP})


def _length(file: Path, is_final: bool) -> int:
    """Bytes up to the end of the last line: clients count lines, and would never print the rest of half a one."""
    with file.open("rb") as reader:
        size = reader.seek(0, os.SEEK_END)
        if is_final:
            return size
        start = reader.seek(max(0, size - _BLOCK_BYTES))
        tail = reader.read(size - start)
    end = tail.rfind(b"\n") + 1
    return start + end if end or not start else size


def _bytes(file: Path, size: int) -> Iterator[bytes]:
    if not size:
        return
    with file.open("rb") as reader:
        while size and (block := reader.read(min(size, _BLOCK_BYTES))):
            size -= len(block)
            yield block
