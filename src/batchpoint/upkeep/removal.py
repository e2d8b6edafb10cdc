"""Carries removals out beside whatever is alive: each is looked at once more, under the lock of who might use it.

``prune`` and ``doctor`` call it. A name goes in one step while nobody else can use it, the bytes afterwards.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceConflict, ResourceNotFound
from batchpoint.server.retention import delete_job
from batchpoint.storage.accounts.run_logs import forget_logs
from batchpoint.storage.atomic import is_aside
from batchpoint.storage.discarding import discard, set_aside
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.storage.lock import try_lock
from batchpoint.store.store import Store
from batchpoint.upkeep.inventory import (
    environments_in_use,
    is_attended,
    last_change,
    log_paths,
    segment_paths,
    upload_folders,
)
from batchpoint.upkeep.rules import UPLOAD_GRACE_S, Kind, Removal

#: Whoever asks whether a lock is held holds it for an instant.
_PATIENCE_S = 0.2


def carry_out(removals: Sequence[Removal], store: Store, home: Path) -> list[Removal]:
    """Remove what may still go; answers what went."""
    folders = upload_folders(home)
    contents = [removal for removal in removals if removal.path and removal.path.parent in folders]
    others = [removal for removal in removals if removal not in contents]
    return [removal for removal in others if _went(removal, store, home)] + _remove_contents(contents, store)


def remove_orphan(path: Path, store: Store) -> bool:
    """Remove a folder in ``jobs`` unless a job has it or gets it now."""
    with _held(JobFolder(path).lock) as is_ours:
        if not is_ours:
            return False
        with store.still():
            if store.find_job(path.name) is not None:
                return False
            aside = set_aside(path)
    return _gone(aside)


def _went(removal: Removal, store: Store, home: Path) -> bool:
    try:
        return _remove(removal, store, home)
    except FileNotFoundError:
        return False  # somebody else was faster


def _remove(removal: Removal, store: Store, home: Path) -> bool:
    match removal.kind, removal.path:
        case Kind.JOBS, _:
            return _remove_job(removal, store, home)
        case Kind.SEGMENTS, _:
            now = datetime.now(UTC)
            folder = job_folder(home, removal.name)
            return _remove_parts(folder, segment_paths(folder), lambda: store.mark_pruned(removal.name, now))
        case Kind.LOGS, None:
            folder = job_folder(home, removal.name)
            is_gone = _remove_parts(folder, log_paths(folder), lambda: _has_ended(store, removal.name))
            if is_gone and removal.workspace:
                forget_logs(home, Workspace(*removal.workspace.split("/")), removal.name)
            return is_gone
        case Kind.LOGS, Path() as path:
            return not is_attended(home) and _removed(path)
        case Kind.ENVIRONMENTS, Path() as path:
            return _remove_environment(path, store, home)
        case Kind.UPLOADS, Path() as path:
            return time.time() - last_change(path) >= UPLOAD_GRACE_S and _gone(set_aside(path))
        case _, Path() as path if path.suffix == ".lock":
            return _remove_lock(path)
        case _, Path() as path:
            return _removed(path) if is_aside(path.name) else remove_orphan(path, store)
    return False


def _remove_job(removal: Removal, store: Store, home: Path) -> bool:
    try:
        delete_job(store, home, removal.workspace, removal.name)
    except (ResourceConflict, ResourceNotFound):
        return False
    return True


def _remove_parts(folder: JobFolder, paths: Sequence[Path], may_go: Callable[[], bool]) -> bool:
    """Remove files of a job while no driver can have it."""
    with _held(folder.lock) as is_ours:
        try:
            if not is_ours or not may_go():
                return False
        except ResourceNotFound:
            return False
        for path in paths:
            discard(path)
    return True


def _has_ended(store: Store, name: str) -> bool:
    job = store.find_job(name)
    return job is not None and job.status.is_terminal


def _remove_environment(path: Path, store: Store, home: Path) -> bool:
    lock = path.with_name(f"{path.name}.lock")
    with _held(lock) as is_ours:
        if not is_ours or path.name in environments_in_use(home, [kept.job for kept in store.kept_jobs()]):
            return False
        # A job that is accepted later finds it gone and builds it again.
        with store.still():
            if path.name in environments_in_use(home, store.open_jobs()):
                return False
            aside = set_aside(path)
            lock.unlink(missing_ok=True)
    return _gone(aside)


def _remove_contents(removals: Sequence[Removal], store: Store) -> list[Removal]:
    """All in one step: what is referred to has to be read in full."""
    if not removals:
        return []
    taken: list[tuple[Removal, Path]] = []
    with store.still():
        referenced = store.referenced_hashes()
        for removal in removals:
            if removal.name not in referenced and removal.path and (aside := _taken_unless_fresh(removal.path)):
                taken.append((removal, aside))
    for _, aside in taken:
        discard(aside)
    return [removal for removal, _ in taken]


def _taken_unless_fresh(path: Path) -> Path | None:
    aside = set_aside(path)
    if aside is None or time.time() - aside.lstat().st_mtime >= UPLOAD_GRACE_S:
        return aside
    try:
        # Somebody has just asked for it, to refer to it.
        aside.rename(path)
    except OSError:
        return aside
    return None


def _remove_lock(path: Path) -> bool:
    with _held(path) as is_ours:
        return is_ours and not path.with_suffix("").exists() and _removed(path)


def _removed(path: Path) -> bool:
    discard(path)
    return not path.exists()


def _gone(aside: Path | None) -> bool:
    if aside is not None:
        discard(aside)
    return aside is not None


def _held(lock: Path) -> contextlib.AbstractContextManager[bool]:
    """The lock, or nothing to hold where its folder has gone."""
    if not lock.parent.is_dir():
        return contextlib.nullcontext(False)
    return try_lock(lock, _PATIENCE_S)
