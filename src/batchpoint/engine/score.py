"""Scores a folder without an endpoint: the same engine, its ledger in memory, its files below ``out``.

``batchpoint score`` calls it, to try a script or a model before deploying it.
"""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.publishing.places import output_file
from batchpoint.engine.run import JobRun
from batchpoint.engine.score_request import PREFIX, ScoreRequest, job_of
from batchpoint.entities.job import FAILED_ITEMS_PATH, FailureReason, Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import UserError
from batchpoint.settings import Settings
from batchpoint.storage.atomic import aside_path, fsync_file, fsync_folder
from batchpoint.storage.job_folder import JobFolder
from batchpoint.storage.lock import try_lock
from batchpoint.store.memory import MemoryLedger


@dataclass(frozen=True)
class ScoreResult:
    """How it went."""

    status: JobStatus
    progress: Progress
    wall_s: float
    #: Seconds until the first mini-batch was scored; None when none was.
    first_result_s: float | None
    output: Path | None
    logs: Path
    failures: tuple[FailureReason, ...]
    error: JobError | None
    #: Lists each item that failed; None when none did.
    failed_items: Path | None
    #: Run that ``redrive`` would take now, if any: this one or, where it came to nothing, an earlier one in the folder.
    redrivable: str | None


def score(
    request: ScoreRequest, settings: Settings, on_progress: Callable[[Progress], None] = lambda progress: None
) -> ScoreResult:
    """Score and wait. Raises UserError when the request names what is not there; a failed job is a result."""
    began = time.monotonic()
    ledger = MemoryLedger()
    begun = None if request.redrive else _begun(request, ledger)
    folder = _kept_run(request) if begun is None else JobFolder(request.out.absolute() / begun.name)
    with try_lock(folder.lock) as is_ours:
        if not is_ours:
            name = folder.path.name
            raise UserError(f"The run {name} is being scored by another process. Wait for it.", target=name)
        job = begun or _reopened(request, ledger, folder)
        run = JobRun(job.name, ledger, folder, settings, on_progress)
        try:
            with _logging_to(folder.driver_log):
                run.execute()
        finally:
            _leave(folder, ledger, job.name)
    ended = ledger.job(job.name)
    return ScoreResult(
        status=ended.status,
        progress=ended.progress,
        wall_s=time.monotonic() - began,
        first_result_s=run.first_result_s,
        output=output_file(job) if ended.status is JobStatus.COMPLETED else None,
        logs=folder.logs,
        failures=ended.failures,
        error=ended.error,
        failed_items=_failed_items(ended, folder),
        redrivable=kept.path.name if (kept := _latest(_folders(request.out))) else None,
    )


def _failed_items(ended: Job, folder: JobFolder) -> Path | None:
    """Beside the output, or with a run that has none."""
    if ended.status is JobStatus.COMPLETED:
        beside = ended.properties.get(FAILED_ITEMS_PATH)
        return Path(beside) if beside else None
    return folder.failed_items if folder.failed_items.exists() else None


def _begun(request: ScoreRequest, ledger: MemoryLedger) -> Job:
    job = job_of(request)
    try:
        (request.out.absolute() / job.name).mkdir(parents=True)
    except OSError as error:
        message = f"The output folder {request.out} cannot be made: {error.strerror}. Name another one."
        raise UserError(message, target=str(request.out)) from error
    ledger.add(job)
    return job


def _reopened(request: ScoreRequest, ledger: MemoryLedger, kept: JobFolder) -> Job:
    """The next revision of an earlier run. Its plan stands, so input, output and mini-batches are what they were."""
    try:
        with kept.kept_ledger.open(encoding="utf-8") as lines:
            job = ledger.restore(lines)
    except (OSError, ValueError) as error:
        message = f"{kept.kept_ledger} cannot be read ({type(error).__name__}). Score again without --redrive."
        raise UserError(message, target=str(kept.kept_ledger)) from error
    before, now = job.settings, job_of(request).settings
    _refuse_what_stays(request, job.name, before)
    if now.input != before.input:
        raise UserError(
            f"The run {job.name} scored {before.input.path}, not {request.input}. Give it the same input, or leave out "
            "--redrive.",
            target=str(request.input),
        )
    if why := before.unlike(now):
        raise UserError(f"The run {job.name} cannot be scored again with this: {why}. Score without --redrive.")
    stays = {
        "output_folder": str(request.out.absolute()),
        "output_file_name": before.output_file_name,
        "output_format": before.output_format,
        "split": before.split,
    }
    return ledger.reopen(job.name, now.model_copy(update={**stays, "mini_batch_size": before.mini_batch_size}))


def _refuse_what_stays(request: ScoreRequest, run: str, before: JobSettings) -> None:
    stays = {
        "--mini-batch-size": (request.mini_batch_size, before.mini_batch_size),
        "--output-file-name": (request.output_file_name, before.output_file_name),
        "--output-format": (request.output_format, before.output_format),
        f"--split-{'rows' if request.split and request.split.rows else 'bytes'}": (request.split, before.split),
    }
    for flag, (wanted, had) in stays.items():
        if wanted is not None and wanted != had:
            message = f"{flag} {wanted}: the run {run} has {had}, and that stays, as its plan and its output do."
            raise UserError(f"{message} Leave out {flag}, or name another run with --run.", target=flag)


def _kept_run(request: ScoreRequest) -> JobFolder:
    kept = _latest([JobFolder(request.out.absolute() / request.run)] if request.run else _folders(request.out))
    if kept is None:
        which = f"The run {request.run} in {request.out} cannot" if request.run else f"No run in {request.out} can"
        raise UserError(
            f"{which} be scored again: only a run in which items failed, or which failed as a whole after its input "
            "was listed, leaves what that needs. Score without --redrive.",
            target=str(request.out),
        )
    return kept


def _latest(folders: Iterable[JobFolder]) -> JobFolder | None:
    kept = [folder for folder in folders if folder.kept_ledger.is_file()]
    return max(kept, key=lambda folder: folder.kept_ledger.stat().st_mtime_ns, default=None)


def _folders(out: Path) -> list[JobFolder]:
    return [JobFolder(path) for path in out.absolute().glob(f"{PREFIX}*")]


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """What the driver logs of itself goes to a file that is made when there is something to say."""
    ours = logging.getLogger("batchpoint")
    handler = logging.FileHandler(path, delay=True)
    handler.setLevel(logging.WARNING)
    ours.addHandler(handler)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.propagate = True
        handler.close()


def _keep(path: Path, lines: Iterable[str]) -> None:
    """Line by line: there may be a million."""
    aside = aside_path(path.parent)
    with aside.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    fsync_file(aside)
    aside.replace(path)
    fsync_folder(path.parent)


def _leave(folder: JobFolder, ledger: MemoryLedger, name: str) -> None:
    """Keep the logs; and while something is left to score, what that needs."""
    job = ledger.job(name)
    kept = {folder.logs, folder.user_log.parent, folder.driver_log, folder.tracking, folder.manifest}
    # A run that was refused before it had a plan must not stand before an earlier one that has something left to do.
    if folder.plan_header.is_file() and (job.status is not JobStatus.COMPLETED or job.progress.items_failed):
        _keep(folder.kept_ledger, ledger.lines(name))
        kept |= {folder.kept_ledger, folder.plan_items, folder.plan_header, folder.segments}
        kept |= {folder.published, folder.published_hashes, folder.failed_items, folder.staging}
    # The ledger first: without it nobody takes what is left of a plan and its rows for all of it.
    for path in sorted(set(folder.path.iterdir()) - kept, key=lambda path: path != folder.kept_ledger):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
