"""The jobs: does every record have its folder, does the ledger cover the plan, are the bytes those that were scored.

A job may end, be pruned or be deleted while it is looked at: what looks wrong is looked at twice.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from batchpoint.engine.preparation.plan import read_plan
from batchpoint.entities.evidence.manifest import Manifest
from batchpoint.entities.job import JobStatus
from batchpoint.errors import SegmentCorrupt
from batchpoint.storage.content import crc32_of_range
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.store.lifecycle import overlaps
from batchpoint.store.records import LedgerRow, Part
from batchpoint.store.store import Store
from batchpoint.store.tables.retention import PRUNED, Coverage, KeptJob
from batchpoint.upkeep.findings import Finding, ok, problem, warning
from batchpoint.upkeep.inventory import is_driven, job_folders
from batchpoint.upkeep.removal import remove_orphan


def findings(store: Store, home: Path, deep: bool) -> Iterator[Finding]:
    # Folders first: a job's record is there before its folder.
    folders = list(job_folders(home))
    kept = store.kept_jobs()
    covered = store.coverage()
    wrong = 0
    for one in kept:
        look = _Look(one, job_folder(home, one.job.name), covered.get((one.job.name, one.job.revision), Coverage(0, 0)))
        for finding in look.findings(store, deep):
            wrong += 1
            yield finding
    known = {one.job.name for one in kept}
    for path in folders:
        if path.name not in known and not is_driven(path):
            yield _orphan(path, store)
    if not wrong:
        count = f"{len(kept):,} job{'s' * (len(kept) != 1)}"
        yield ok("jobs", f"{count}, each with what it needs" + (", read again in full." if deep else "."))


def _orphan(path: Path, store: Store) -> Finding:
    said = warning(
        "jobs",
        f"No job has the folder {path}: its deletion was cut off, or the store is older than it.",
        "doctor --fix removes it. Keep it if you have put an old backup of the store in place.",
    )

    def remove() -> str:
        return f"{path} was removed." if remove_orphan(path, store) else ""

    return replace(said, mend=remove, asks=True)


@dataclass(frozen=True)
class _Look:
    """One job, as it was a moment ago."""

    kept: KeptJob
    folder: JobFolder
    covered: Coverage

    @property
    def name(self) -> str:
        return self.kept.job.name

    @property
    def has_ended(self) -> bool:
        return self.kept.job.status.is_terminal

    def findings(self, store: Store, deep: bool) -> Iterator[Finding]:
        found = [*self._records(store, deep), *self._output(deep)]
        if not found:
            return
        now = store.find_job(self.name)
        if now is not None and (now.status, now.properties) == (self.kept.job.status, self.kept.job.properties):
            yield from found

    def _records(self, store: Store, deep: bool) -> Iterator[Finding]:
        job = self.kept.job
        if not self.folder.path.is_dir():
            if self.kept.epoch:
                yield self._wrong(f"Its folder {self.folder.path} is gone, with its logs and what it had scored.")
            return
        yield from self._coverage()
        if PRUNED in job.properties:
            return
        if self.covered.rows and not self.folder.segments.is_dir():
            yield self._wrong(f"Its segments {self.folder.segments} are gone, and with them what it had scored.")
        elif deep or not self.has_ended:
            yield from self._plan()
            yield from self._parts(store.ledger(job.name, job.revision), deep)

    def _coverage(self) -> Iterator[Finding]:
        planned, items = self.kept.planned_items, self.covered.items
        is_complete = self.kept.job.status is JobStatus.COMPLETED
        if items > planned or (is_complete and items != planned):
            yield self._wrong(f"Its ledger covers {items:,} items where its plan has {planned:,}.")

    def _plan(self) -> Iterator[Finding]:
        try:
            plan = read_plan(self.folder.plan_items, self.folder.plan_header)
        except (SegmentCorrupt, OSError) as error:
            yield self._wrong(f"Its plan cannot be used: {error}")
            return
        if plan is None and self.covered.rows:
            yield self._wrong(f"Its plan {self.folder.plan_header} is gone although scored rows stand in the ledger.")
        elif plan is not None and self.kept.planned_items not in (0, plan.items):
            yield self._wrong(f"Its plan has {plan.items:,} items, and its record says {self.kept.planned_items:,}.")

    def _parts(self, rows: list[LedgerRow], deep: bool) -> Iterator[Finding]:
        if overlaps(rows):
            yield self._wrong(f"{overlaps(rows):,} rows of its ledger cover items that others cover, too.")
        bad = [why for part in (part for row in rows for part in row.parts) if (why := _fault(part, self.folder, deep))]
        if bad:
            more = f" ({len(bad) - 1:,} more like this.)" if len(bad) > 1 else ""
            yield self._wrong(f"{bad[0]}{more}")

    def _output(self, deep: bool) -> Iterator[Finding]:
        job, recorded = self.kept.job, self.kept.output_sha256
        if job.settings.output_shard_size is not None:
            yield from self._shards(deep)
            return
        path = Path(job.settings.output_folder, job.settings.output_file_name)
        if job.status is not JobStatus.COMPLETED or not recorded or not path.is_absolute():
            return
        if not path.is_file():
            yield self._moved(path)
        elif path.stat().st_size != self.kept.output_length or (deep and _sha256(path) != recorded):
            yield self._changed(path)

    def _shards(self, deep: bool) -> Iterator[Finding]:
        """Of an output of several files; the manifest knows them."""
        job, folder = self.kept.job, Path(self.kept.job.settings.output_folder)
        if job.status is not JobStatus.COMPLETED or not folder.is_absolute() or not self.folder.manifest.is_file():
            return
        proof = Manifest.model_validate_json(self.folder.manifest.read_bytes()).output
        for file in proof.files if proof else ():
            path = folder / file.path
            if not path.is_file():
                yield self._moved(path)
            elif path.stat().st_size != file.bytes or (deep and _sha256(path) != file.sha256):
                yield self._changed(path)

    def _moved(self, path: Path) -> Finding:
        moved = f"Its output {path} is not there any more: somebody moved or removed it."
        return warning(f"job {self.name}", moved, "If you did not, put it back from a backup, or invoke again.")

    def _changed(self, path: Path) -> Finding:
        return problem(
            f"job {self.name}",
            f"Its output {path} is not what was published: somebody or the disk changed it.",
            "If it was not you, check the disk, move the file away and invoke again.",
        )

    def _wrong(self, message: str) -> Finding:
        check = f"job {self.name}"
        if self.has_ended:
            again = (
                ""
                if self.kept.job.status is JobStatus.COMPLETED
                else f"job resume --name {self.name} scores it again; "
            )
            remedy = f"What it published is not affected. {again}job delete --name {self.name} forgets it."
            return problem(check, message, remedy)
        return problem(check, message, f"job cancel --name {self.name}, then invoke again.")


def _fault(part: Part, folder: JobFolder, deep: bool) -> str:
    """What is wrong with a part; empty if nothing is."""
    path, end = folder.segments / part.segment, part.offset + part.length
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < end:
                return f"{path} ends before byte {end:,}, and scored rows stood there."
        if deep and crc32_of_range(path, part.offset, part.length) != (part.crc, part.length):
            return f"{path}, bytes {part.offset:,} to {end:,}, does not hold what was scored."
    except OSError as error:
        return f"{path} cannot be read although scored rows stand in it: {error.strerror}."
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
