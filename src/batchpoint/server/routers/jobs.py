"""Jobs of a workspace: list, get, change, archive, cancel, delete; and what a job left here: logs and output files."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from batchpoint.arm import job as wire
from batchpoint.arm.assets import is_archived
from batchpoint.entities.job import Job, JobEdit, is_of_the_service, job_of_step, step_of, step_refusal
from batchpoint.errors import NotSupported, ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.server import retention
from batchpoint.server.intake import limits
from batchpoint.server.lookup import ControlPlane, Desk, no_job
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, AtPlane, Sent, page_of_jobs, view_of
from batchpoint.server.transport.ascii_json import AsciiJson
from batchpoint.storage.datastores import open_datastore
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked
from batchpoint.storage.published import recall

router = APIRouter()

_ARM = f"{WORKSPACE_PATH}/jobs"
#: Our own routes name no workspace: the name of a job is unique in a home.
_OURS = "/batchpoint/v1/jobs/{job}"

#: The folders of a job that are shown as its logs, and the one file beside them.
_LOG_FOLDERS, _DRIVER_LOG = ("logs", "user_logs"), "driver.log"
#: Bytes of a log in one answer; whoever wants more asks again.
_LOG_CHUNK = 1 << 20
#: Of a path and of one name in it, at most.
_PATH_BYTES, _NAME_BYTES = 3000, 255
#: A driver that stays longer than this after the end of its job is not waited for.
_LAST_LINES_S = 30.0


@router.get(_ARM)
def list_jobs(request: Request, desk: AtDesk) -> Response:
    """Jobs, the latest first; with ``?parentJobName=`` the one step of that job."""

    def shown(job: Job) -> dict[str, Any]:
        return wire.to_json(job, desk.workspace, desk.server)

    parent = request.query_params.get("parentJobName")
    if parent is not None:
        job = desk.job_or_step(parent)
        return AsciiJson({"value": [] if job.parent_job_name else [shown(step_of(job))]})
    view = view_of(request)
    return page_of_jobs(request, lambda part: desk.store.some_jobs(part, desk.key, view=view), shown)


@router.get(f"{_ARM}/{{job}}")
def get_job(desk: AtDesk, job: str) -> dict[str, Any]:
    return wire.to_json(desk.job_or_step(job), desk.workspace, desk.server)


@router.put(f"{_ARM}/{{job}}")
def put_job(desk: AtDesk, job: str, sent: Sent) -> dict[str, Any]:
    """Changes what may be changed of a job and archives or restores it; a job is only ever made by an invocation."""
    if desk.store.get_job(desk.key, job) is None and not job_of_step(job):
        raise NotSupported(
            "Jobs are not created by themselves here: invoke a batch endpoint (batch-endpoint invoke).", target=job
        )
    edited = edit_job(desk, job, lambda before: wire.edit_from_json(sent, before), is_archived(sent))
    return wire.to_json(edited, desk.workspace, desk.server)


def edit_job(desk: Desk, job: str, edit: Callable[[JobEdit], JobEdit], archived: bool | None) -> Job:
    """The job after ``edit``, hidden from lists or shown again unless ``archived`` is None."""
    found = _whole_job(desk, job, "changed or archived", "job show")
    before = JobEdit(
        display_name=found.display_name, description=found.description, tags=found.tags, properties=found.properties
    )
    after = edit(before)
    if after != before:
        limits.check_words(
            desk.settings, _of_users(after.tags), _of_users(after.properties), after.description, after.display_name
        )
        desk.store.update_job_document(
            desk.key,
            found.name,
            tags={**after.tags, **_of_the_service(found.tags)},
            properties=_of_users(after.properties),
            display_name=after.display_name,
            description=after.description,
        )
    if archived is not None and archived != found.archived:
        desk.store.archive_job(desk.key, found.name, archived)
    return desk.job(found.name)


def _of_users(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if not is_of_the_service(key)}


def _of_the_service(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if is_of_the_service(key)}


@router.post(f"{_ARM}/{{job}}/cancel")
def cancel_job(desk: AtDesk, job: str) -> Response:
    desk.store.request_cancel(desk.key, _whole_job(desk, job, "cancelled", "job cancel").name)
    # A job whose driver has died needs a new one to end it.
    desk.plane.job_arrived()
    return Response(status_code=200)


@router.delete(f"{_ARM}/{{job}}")
def delete_job(desk: AtDesk, job: str) -> Response:
    """Only a job that has ended; its output stays."""
    if desk.store.get_job(desk.key, job) is None and not job_of_step(job):
        return Response(status_code=204)
    _whole_job(desk, job, "deleted", "job delete")
    retention.delete_job(desk.store, desk.settings.home, desk.key, job)
    return Response(status_code=200)


def _whole_job(desk: Desk, name: str, done: str, command: str) -> Job:
    """A job that is not the step of another one."""
    found = desk.job_or_step(name)
    if found.parent_job_name:
        raise step_refusal(name, done, command)
    return found


@router.get(f"{_OURS}/logs")
def list_logs(plane: AtPlane, job: str) -> dict[str, Any]:
    """The files, and whether all is in them that there will be."""
    found = found_job(plane, job)
    # First of all: what is written after this look is in no file that is listed as complete.
    is_complete = found.status.is_terminal and not is_still_written(plane, found)
    root = job_folder(plane.settings.home, found.name).path
    paths = [path for folder in _LOG_FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file()]
    if (root / _DRIVER_LOG).is_file():
        paths.append(root / _DRIVER_LOG)
    return {"value": [_entry(path, root) for path in paths], "isComplete": is_complete}


@router.get(f"{_OURS}/logs/{{path:path}}")
def read_log(plane: AtPlane, job: str, path: str, offset: int = 0) -> Response:
    """The bytes from ``offset`` on, at most a chunk of them; none while the log has not been begun."""
    root = job_folder(plane.settings.home, found_job(plane, job).name).path
    if path.split("/")[0] not in _LOG_FOLDERS and path != _DRIVER_LOG:
        raise ResourceNotFound(f"Job {job} has no log {path}; logs stand under logs/ and user_logs/.", target=path)
    file = path_inside(root, path)
    if offset < 0:
        raise ReferenceInvalid("offset must be 0 or more.", target="offset")
    if not file.is_file():
        return Response(b"", media_type="text/plain")
    with file.open("rb") as reader:
        reader.seek(min(offset, file.stat().st_size))
        return Response(reader.read(_LOG_CHUNK), media_type="text/plain")


@router.get(f"{_OURS}/outputs")
def list_outputs(plane: AtPlane, job: str) -> dict[str, Any]:
    """What the job published: its gathered file, and the files that its script wrote.

    What an earlier revision published is there although the last one failed.
    """
    found = _ended(plane, job)
    root = Path(found.settings.output_folder)
    if not found.has_published:
        return {"value": []}
    names = recall(job_folder(plane.settings.home, found.name))
    if found.settings.output_store is not None:
        store = open_datastore(found.settings.output_store, plane.settings.home)
        sizes = {name: store.size(_key(found, name)) for name in names}
        return {"value": [{"path": name, "size": size} for name, size in sizes.items() if size is not None]}
    files = [root / name for name in names]
    return {"value": [_entry(path, root) for path in files if path.is_file()]}


@router.get(f"{_OURS}/outputs/{{path:path}}")
def read_output(plane: AtPlane, job: str, path: str) -> Response:
    found = _ended(plane, job)
    # The folder may hold files of others; one that this job did not write is never answered.
    is_own = path in recall(job_folder(plane.settings.home, found.name))
    is_own = is_own and found.has_published
    if found.settings.output_store is not None and is_own:
        return _stored_output(plane, found, path)
    file = path_inside(Path(found.settings.output_folder), path)
    if not is_own or not file.is_file():
        raise ResourceNotFound(f"Job {job} has no output file {path}.", target=path)
    return FileResponse(file, media_type="application/octet-stream")


def _stored_output(plane: ControlPlane, job: Job, path: str) -> Response:
    """Passed on piece by piece: an output may be larger than the memory."""
    assert job.settings.output_store is not None
    store, key = open_datastore(job.settings.output_store, plane.settings.home), _key(job, path)
    size = store.size(key)
    if size is None:
        raise ResourceNotFound(f"{store.shown(key)}, which job {job.name} wrote, is no longer there.", target=path)
    headers = {"Content-Length": str(size)}
    return StreamingResponse(store.blocks(key), media_type="application/octet-stream", headers=headers)


def _key(job: Job, name: str) -> str:
    """The path of an output file in the job's datastore."""
    return f"{job.settings.output_folder}/{name}".lstrip("/")


def found_job(plane: ControlPlane, name: str) -> Job:
    """A job of any workspace; what its step left is what it left."""
    job = plane.store.find_job(name) or plane.store.find_job(job_of_step(name) or name)
    if job is None:
        raise no_job(name)
    return job


def is_still_written(plane: ControlPlane, job: Job) -> bool:
    """Whether a job that has just ended still has its driver, which writes the last lines of the logs."""
    if not job.status.is_terminal or job.ended_at is None:
        return False
    age_s = (datetime.now(UTC) - job.ended_at).total_seconds()
    folder = job_folder(plane.settings.home, job.parent_job_name or job.name)
    return age_s < _LAST_LINES_S and is_locked(folder.lock)


def _ended(plane: ControlPlane, name: str) -> Job:
    job = found_job(plane, name)
    if not job.status.is_terminal:
        message = f"Job {name} is {job.status}; its output can be downloaded when it is Completed, Failed or Canceled."
        raise ResourceConflict(message, target=name)
    return job


def _entry(path: Path, root: Path) -> dict[str, Any]:
    return {"path": path.relative_to(root).as_posix(), "size": path.stat().st_size}


def path_inside(root: Path, path: str) -> Path:
    """The file ``path`` under ``root``; ReferenceInvalid for a path that leads out, by dots or by a link."""
    segments = path.split("/")
    # Of a longer name no file system tells whether it is there.
    is_long = len(os.fsencode(path)) > _PATH_BYTES or any(len(os.fsencode(one)) > _NAME_BYTES for one in segments)
    if is_long or any(segment in {"", ".", ".."} or "\0" in segment for segment in segments):
        raise ReferenceInvalid(f"{path[:200]!r} is not a path inside the folder.", target=path[:200])
    file = root.joinpath(*segments)
    if not file.resolve().is_relative_to(root.resolve()):
        raise ReferenceInvalid(f"{path!r} leads out of the folder.", target=path)
    return file
