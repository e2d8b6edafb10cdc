"""Writes ``manifest.json`` into a job's folder just before the job ends: what it read, ran and wrote, by hash.

``proof`` calls it. A model of many gigabytes is not read again for it: what the store of uploads keeps under its
hash has that hash, and ``job verify`` reads it where somebody wants to be sure.
"""

import hashlib
import json
import logging
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchpoint.engine.preparation.plan import read_header
from batchpoint.engine.publishing.dead_letters import DeadLetters
from batchpoint.engine.publishing.output import Published
from batchpoint.entities.evidence.manifest import (
    Attempts,
    ContentProof,
    EnvironmentProof,
    FileProof,
    Manifest,
    OutputProof,
    PlanProof,
    Timings,
    Versions,
    settings_sha256,
)
from batchpoint.entities.job import Job, JobSettings, JobStatus, Progress
from batchpoint.errors import UserError
from batchpoint.storage.atomic import sha256_of, write_atomically
from batchpoint.storage.content import UPLOADS, content_hash
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import Fence

log = logging.getLogger(__name__)

_HIDDEN = "(not shown)"


@dataclass(frozen=True)
class Ending:
    """How a job ended, as the driver knows it."""

    status: JobStatus
    progress: Progress
    #: When its last driver began; the job itself may have begun before.
    began: datetime
    #: None: nothing was gathered.
    published: Published | None = None
    letters: DeadLetters | None = None
    #: Where the dead letters stand beside the output; empty where they stand in the job's folder alone.
    letters_name: str = ""


def write(job: Job, fence: Fence, folder: JobFolder, home: Path, ending: Ending) -> str:
    """Put the manifest in its place, whole or not at all; answers its sha256. Raises OSError, SegmentCorrupt."""
    settings, progress = job.settings, ending.progress
    started = job.started_at or ending.began
    # A clock that was put back makes no job shorter than nothing.
    now = max(started, datetime.now(UTC))
    manifest = Manifest(
        job=job.name,
        revision=job.revision,
        status=str(ending.status),
        endpoint=job.endpoint_name,
        deployment=job.deployment_name,
        plan=_plan(folder),
        code=_code(settings),
        model=_content(Path(settings.model_path)) if settings.model_path else None,
        environment=_environment(settings, home),
        settings=_shown(settings.model_dump(mode="json")),
        settings_sha256=settings_sha256(settings),
        output=_output(job, ending),
        failed_items=_failed_items(ending, folder),
        counts=progress,
        attempts=Attempts(failed=progress.failed_attempts, drivers=fence.epoch),
        timings=Timings(started=started, ended=now, seconds=round((now - started).total_seconds(), 3)),
        versions=Versions(batchpoint=_own_version(), python=platform.python_version()),
    )
    # A path that is no UTF-8 has surrogates in it, and each becomes an escape of JSON.
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1)
    data = text.encode("utf-8", "backslashreplace") + b"\n"
    write_atomically(folder.manifest, data)
    return hashlib.sha256(data).hexdigest()


def _plan(folder: JobFolder) -> PlanProof | None:
    header = read_header(folder.plan_header)
    if header is None:
        return None
    told = {name: header[name] for name in ("sha256", "bytes", "items", "mini_batch_size")}
    return PlanProof(**told, header_sha256=sha256_of(folder.plan_header))


def _code(settings: JobSettings) -> ContentProof | None:
    """The folder of an upload; without one the script alone, whose folder may hold anything; None without a script."""
    if settings.is_no_code:
        return None
    folder = Path(settings.code_path)
    return _content(folder if _stored_hash(folder) else folder / settings.scoring_script)


def _content(path: Path) -> ContentProof | None:
    """None for what is not there, or cannot be read whole: a run that did without it has scored all the same."""
    stored = _stored_hash(path)
    try:
        return ContentProof(path=str(path), sha256=stored or content_hash(path), as_stored=bool(stored))
    except UserError as error:
        log.warning("the manifest names no hash of %s: %s", path, error)
        return None


def _stored_hash(path: Path) -> str:
    """The hash under which an upload is kept; empty for anything else."""
    above = path.parent
    is_stored = above.parent.name == UPLOADS and len(above.name) == hashlib.sha256().digest_size * 2
    return above.name if is_stored else ""


def _environment(settings: JobSettings, home: Path) -> EnvironmentProof:
    environment = settings.environment
    if environment is None:
        return EnvironmentProof(interpreter=sys.executable, python=platform.python_version())
    # Imported where they are used: `score` needs the first for another interpreter only, and the second never.
    if environment.python:
        path = Path(environment.python).expanduser()
        program = path / "bin" / "python" if path.is_dir() else path
        if program == Path(sys.executable):
            return EnvironmentProof(interpreter=environment.python, python=platform.python_version())
        from batchpoint.environments.interpreters import start

        found = start(str(program))
        return EnvironmentProof(interpreter=environment.python, python=found.version if found else "")
    from batchpoint.environments.built import pins_sha256
    from batchpoint.environments.spec import read_spec

    try:
        spec = read_spec(environment).content_hash
    except UserError:
        return EnvironmentProof()
    built = home.absolute() / "environments" / spec
    python = _python_of(built / "complete")
    return EnvironmentProof(spec=spec, lock_sha256=pins_sha256(built, python), python=python)


def _python_of(record: Path) -> str:
    return str(json.loads(record.read_bytes())["version"]) if record.is_file() else ""


def _output(job: Job, ending: Ending) -> OutputProof | None:
    settings, published = job.settings, ending.published
    if published is None or not published.sha256:
        return None
    return OutputProof(
        path=settings.output_file_name,
        place=settings.output_uri or settings.output_folder,
        sha256=published.sha256,
        bytes=published.length,
        rows=ending.progress.rows,
        files=tuple(FileProof(path=s.name, sha256=s.sha256, bytes=s.length) for s in published.shards),
    )


def _failed_items(ending: Ending, folder: JobFolder) -> FileProof | None:
    letters = ending.letters
    if letters is None:
        return None
    path = ending.letters_name or str(folder.failed_items)
    return FileProof(path=path, sha256=letters.sha256, bytes=letters.bytes)


def _shown(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings for eyes that need not know secrets: a manifest is made to be handed on."""
    variables = dict.fromkeys(settings["environment_variables"], _HIDDEN)
    address = settings["input"]["path"]
    if "://" in address and urlsplit(address).query:
        address = f"{address.partition('?')[0]}?{_HIDDEN}"
    return {**settings, "environment_variables": variables, "input": {**settings["input"], "path": address}}


def _own_version() -> str:
    try:
        return version("batchpoint")
    except PackageNotFoundError:
        return ""
