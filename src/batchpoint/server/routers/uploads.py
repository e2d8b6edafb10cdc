"""Content that clients send, kept once by hash in a workspace's default datastore: asked for, sent, committed."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from batchpoint.errors import ReferenceInvalid, ResourceNotFound, UserError
from batchpoint.server.intake.locations import allowed_path
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import AtDesk, Sent
from batchpoint.server.routers.jobs import path_inside
from batchpoint.storage.accounts.account import account_of
from batchpoint.storage.atomic import aside_path
from batchpoint.storage.content import UPLOADS, is_stored, store_content
from batchpoint.storage.datastores import DEFAULT_DATASTORE, default_datastore

router = APIRouter(prefix="/batchpoint/v1/uploads/{subscription}/{group}/{workspace}")

_HASH = re.compile(r"[0-9a-f]{64}")


@router.post("", status_code=201)
def copy_local(desk: AtDesk, sent: Sent) -> dict[str, Any]:
    """Take a file or folder that is on this machine already: ``{"source": "/absolute/path"}``."""
    source = Path(sent.text("source") or "")
    if not source.is_absolute():
        raise ReferenceInvalid(f"The source {str(source)!r} must be an absolute path.", target="source")
    stored = store_content(allowed_path(desk, str(source)), _datastore(desk))
    return {"uri": _uri(stored.path), "content_hash": stored.content_hash}


@router.get("/{content_hash}/{name}")
def find(desk: AtDesk, content_hash: str, name: str) -> dict[str, Any]:
    """Where the content is; 404 when it must be sent."""
    _check(content_hash, name)
    folder = _datastore(desk) / UPLOADS / content_hash
    if not is_stored(folder, name):
        raise ResourceNotFound(f"{name} with hash {content_hash} has not been sent yet.", target=content_hash)
    tail = "/" if (folder / name).is_dir() else ""
    return {"uri": _uri(f"{UPLOADS}/{content_hash}/{name}{tail}"), "content_hash": content_hash}


@router.put("/{content_hash}/{path:path}", status_code=201)
async def put_file(request: Request, desk: AtDesk, content_hash: str, path: str, executable: bool = False) -> Response:
    """One file, as the raw body. ``path`` starts with the name of the content: ``model/weights.bin``."""
    _check(content_hash, path.split("/")[0])
    staging = _staging(desk, content_hash)
    target = await run_in_threadpool(path_inside, staging, path)
    aside = aside_path(staging)
    await run_in_threadpool(_make_room, target)
    try:
        with aside.open("wb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
        aside.chmod(0o755 if executable else 0o644)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return Response(status_code=201)


@router.post("/{content_hash}/{name}", status_code=201)
def commit(desk: AtDesk, content_hash: str, name: str) -> dict[str, Any]:
    """Everything is sent: keep it, if it is what its hash says."""
    _check(content_hash, name)
    staging = _staging(desk, content_hash)
    if is_stored(_datastore(desk) / UPLOADS / content_hash, name):
        # Sent twice at once, and the other was first: it may have taken some of our files along.
        shutil.rmtree(staging, ignore_errors=True)
        return find(desk, content_hash, name)
    if not (staging / name).exists():
        raise ResourceNotFound(f"Nothing of {name} has been sent yet.", target=name)
    try:
        stored = store_content(staging / name, _datastore(desk))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if stored.content_hash != content_hash:
        raise UserError(
            f"What was sent as {name} has another hash than announced. It changed while it was read; send it again.",
            target=name,
        )
    return {"uri": _uri(stored.path), "content_hash": stored.content_hash}


def _datastore(desk: Desk) -> Path:
    return Path(default_datastore(desk.settings.home, desk.workspace).path or "")


def _staging(desk: Desk, content_hash: str) -> Path:
    # One of another workspace may be sending the same, and must not get hold of what is sent here.
    return desk.settings.home / "uploads" / f"{account_of(desk.settings.home, desk.workspace).name}-{content_hash}"


def _make_room(target: Path) -> None:
    """Have the folder of a file that is sent. ReferenceInvalid where a folder and a file would have one name."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ReferenceInvalid(f"A folder that {target.name} would be in was sent as a file.", target="path") from error
    if target.is_dir():
        raise ReferenceInvalid(f"{target.name} was sent as a folder, and cannot be a file as well.", target="path")


def _uri(path: str) -> str:
    return f"azureml://datastores/{DEFAULT_DATASTORE}/paths/{path}"


def _check(content_hash: str, name: str) -> None:
    if not _HASH.fullmatch(content_hash):
        raise ReferenceInvalid(f"{content_hash!r} is not a sha256 in hexadecimal.", target="hash")
    if name in {"", ".", ".."} or "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        raise ReferenceInvalid(f"{name!r} is not the name of a file or folder.", target="name")
