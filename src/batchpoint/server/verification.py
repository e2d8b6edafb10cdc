"""Reads again what a job read, ran and wrote, and says what is not as its manifest has it; compares two outputs.

The routers of evidence call it. It knows no HTTP, and changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batchpoint.entities.evidence.manifest import MANIFEST_SHA256, ContentProof, Manifest, settings_sha256
from batchpoint.entities.job import Job, JobStatus
from batchpoint.environments.built import pins, pins_sha256
from batchpoint.errors import BatchpointError, NotSupported, ResourceConflict, ResourceNotFound
from batchpoint.server.lookup import ControlPlane
from batchpoint.storage.content import content_hash, crc32_of_range
from batchpoint.storage.datastores import open_datastore
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.store.records import Part
from batchpoint.store.tables.retention import PRUNED

_BLOCK_BYTES = 1 << 20
#: Bytes of a differing line that are shown.
_SHOWN = 200


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    #: output, failed items, plan, code, model, environment, segments, settings or manifest.
    what: str
    path: str
    #: ok, changed, missing, or skipped where there is nothing to read any more.
    state: str
    #: A sentence where it is not ok.
    said: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two outputs beside each other."""

    other: str
    equal: bool
    #: First line that differs, from 1, and what stands there in each; None where they are equal or have no lines.
    line: int | None = None
    here: str = ""
    there: str = ""


def verify(plane: ControlPlane, job: Job) -> list[Check]:
    """Everything that the job's manifest vouches for. Raises ResourceConflict, ResourceNotFound where there is none."""
    folder = job_folder(plane.settings.home, job.name)
    manifest = _manifest(job, folder)
    if isinstance(manifest, Check):
        return [manifest]
    checks = [_manifest_itself(job, folder)]
    if manifest.output is not None:
        checks += [_file(plane, job, "output", file.path, file.sha256) for file in manifest.output.files]
        if not manifest.output.files:
            checks.append(_file(plane, job, "output", manifest.output.path, manifest.output.sha256))
    if manifest.failed_items is not None:
        checks.append(_file(plane, job, "failed items", manifest.failed_items.path, manifest.failed_items.sha256))
    checks += [*_plan_and_segments(plane, job, folder, manifest)]
    checks += [_content(what, one) for what, one in (("code", manifest.code), ("model", manifest.model)) if one]
    checks += [*_environment(plane.settings.home, manifest)]
    checks.append(_settings(job, manifest))
    return checks


def _manifest(job: Job, folder: JobFolder) -> Manifest | Check:
    if not job.status.is_terminal:
        raise ResourceConflict(
            f"Job {job.name} is {job.status}; it can be verified when it has ended: job stream --name {job.name}",
            target=job.name,
        )
    if not folder.manifest.is_file():
        if MANIFEST_SHA256 in job.properties:
            return Check("manifest", str(folder.manifest), "missing", "The manifest of the job is gone.")
        raise ResourceNotFound(
            f"Job {job.name} has no manifest: it is {job.status} and ended before a driver could write one.",
            target=job.name,
        )
    try:
        return Manifest.model_validate(json.loads(folder.manifest.read_bytes()))
    except ValueError:
        return Check("manifest", str(folder.manifest), "changed", "It cannot be read as a manifest any more.")


def _manifest_itself(job: Job, folder: JobFolder) -> Check:
    # The store knows the hash of the manifest of a completed job; one that broke off later has written another.
    wanted = job.properties.get(MANIFEST_SHA256) if job.status is JobStatus.COMPLETED else None
    found = hashlib.sha256(folder.manifest.read_bytes()).hexdigest()
    return _compared("manifest", str(folder.manifest), wanted or found, lambda: found)


def _compared(what: str, path: str, wanted: str, hashed: Callable[[], str]) -> Check:
    try:
        found = hashed()
    except FileNotFoundError:
        return Check(what, path, "missing", "It is not there any more: somebody moved or removed it.")
    except (OSError, BatchpointError) as error:
        why = error.message if isinstance(error, BatchpointError) else (error.strerror or str(error))
        return Check(what, path, "missing", f"It cannot be read: {why}")
    if found == wanted:
        return Check(what, path, "ok")
    return Check(what, path, "changed", f"Its sha256 is {found}; when the job ended it was {wanted}.")


def _file(plane: ControlPlane, job: Job, what: str, path: str, wanted: str) -> Check:
    """A file beside the output, or an absolute one in the job's folder."""

    def hashed() -> str:
        digest = hashlib.sha256()
        for block in _blocks(plane, job, path):
            digest.update(block)
        return digest.hexdigest()

    return _compared(what, shown_path(job, path), wanted, hashed)


def shown_path(job: Job, path: str) -> str:
    """Where a file beside the output is, for people."""
    settings = job.settings
    if Path(path).is_absolute():
        return path
    if settings.output_store is not None:
        return f"{settings.output_uri.rstrip('/')}/{path}"
    return str(Path(settings.output_folder, path))


def _blocks(plane: ControlPlane, job: Job, path: str) -> Iterator[bytes]:
    """The bytes of a file beside the output. Raises OSError, DatastoreUnavailable."""
    settings = job.settings
    if settings.output_store is not None and not Path(path).is_absolute():
        store = open_datastore(settings.output_store, plane.settings.home)
        try:
            yield from store.blocks(f"{settings.output_folder}/{path}".lstrip("/"))
        except ResourceNotFound as error:
            raise FileNotFoundError(path) from error
        return
    with Path(settings.output_folder, path).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _plan_and_segments(plane: ControlPlane, job: Job, folder: JobFolder, manifest: Manifest) -> Iterator[Check]:
    if since := job.properties.get(PRUNED):
        said = f"It was removed to make room on {since[:10]}."
        yield Check("plan", str(folder.plan_items), "skipped", said)
        yield Check("segments", str(folder.segments), "skipped", said)
        return
    if manifest.plan is not None:
        for file, wanted in (
            (folder.plan_items, manifest.plan.sha256),
            (folder.plan_header, manifest.plan.header_sha256),
        ):
            yield _compared("plan", str(file), wanted, partial(_sha256, file))
    wrong: dict[str, Check] = {}
    for row in plane.store.rows(job.name, job.revision):
        for part in row.parts:
            why = _fault(folder.segments / part.segment, part)
            if why and part.segment not in wrong:
                state = "changed" if (folder.segments / part.segment).exists() else "missing"
                wrong[part.segment] = Check("segments", str(folder.segments / part.segment), state, why)
    yield from wrong.values()
    if not wrong:
        yield Check("segments", str(folder.segments), "ok")


def _fault(segment: Path, part: Part) -> str:
    """What is wrong with a range of a segment; empty if nothing is."""
    try:
        sound = crc32_of_range(segment, part.offset, part.length) == (part.crc, part.length)
    except OSError as error:
        return f"It cannot be read although scored rows stand in it: {error.strerror}."
    return "" if sound else f"Bytes {part.offset:,} to {part.offset + part.length:,} do not hold what was scored."


def _content(what: str, proof: ContentProof) -> Check:
    path = Path(proof.path)

    def hashed() -> str:
        if not path.exists():
            raise FileNotFoundError(proof.path)
        return content_hash(path)

    return _compared(what, proof.path, proof.sha256, hashed)


def _environment(home: Path, manifest: Manifest) -> Iterator[Check]:
    built = manifest.environment
    if built.lock_sha256:
        folder = home.absolute() / "environments" / built.spec

        def hashed() -> str:
            pinned = pins(folder, built.python)
            if not pinned:
                raise FileNotFoundError(folder)
            return pins_sha256(folder, built.python)

        where = next(iter(pins(folder, built.python)), folder)
        yield _compared("environment", str(where), built.lock_sha256, hashed)


def _settings(job: Job, manifest: Manifest) -> Check:
    if manifest.revision != job.revision:
        said = f"Revision {job.revision} ended before it could leave a manifest; this one is of {manifest.revision}."
        return Check("settings", "", "skipped", said)
    if settings_sha256(job.settings) == manifest.settings_sha256:
        return Check("settings", "", "ok")
    return Check("settings", "", "changed", "The settings in the store are not those that the job ran with.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- two outputs -------------------------------------------------------------------------------------------------


def compare(plane: ControlPlane, job: Job, other: Job) -> Comparison:
    """Whether two jobs have written the same bytes. Raises NotSupported, ResourceNotFound."""
    for one in (job, other):
        if one.settings.output_action == "summary_only" or one.status is not JobStatus.COMPLETED:
            why = "its script writes the files" if one.status is JobStatus.COMPLETED else f"it is {one.status}"
            raise NotSupported(f"Job {one.name} has no gathered output to compare: {why}.", target=one.name)
    try:
        found = first_difference(_output(plane, job), _output(plane, other))
    except OSError as error:
        message = f"An output cannot be read: {error.strerror or error}. See: job verify --name {job.name}"
        raise ResourceNotFound(message, target=job.name) from error
    if found is None:
        return Comparison(other.name, equal=True)
    if "parquet" in (job.settings.output_format, other.settings.output_format):
        # There are no lines to show.
        return Comparison(other.name, equal=False)
    line, here, there = found
    return Comparison(other.name, False, line, here, there)


def _output(plane: ControlPlane, job: Job) -> Iterator[bytes]:
    """The gathered file, or the files, one after the other."""
    settings = job.settings
    names = [settings.output_file_name]
    if not settings.has_one_file:
        manifest = _manifest(job, job_folder(plane.settings.home, job.name))
        proof = manifest.output if isinstance(manifest, Manifest) else None
        names = [file.path for file in proof.files] if proof else []
    for name in names:
        yield from _blocks(plane, job, name)


def first_difference(one: Iterator[bytes], other: Iterator[bytes]) -> tuple[int, str, str] | None:
    """Number of the first line that differs, from 1, and its beginning in each; None for equal bytes."""
    line, begun, a, b = 1, b"", b"", b""
    while True:
        a, b = a or next(one, b""), b or next(other, b"")
        if not a and not b:
            return None
        length = min(len(a), len(b))
        if not length or a[:length] != b[:length]:
            at = next((place for place, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), length)
            same = begun + a[:at]
            line += a[:at].count(b"\n")
            start = same.rpartition(b"\n")[2]
            return line, _beginning(start + a[at:], one), _beginning(start + b[at:], other)
        line += a[:length].count(b"\n")
        begun = (begun + a[:length]).rpartition(b"\n")[2][:_SHOWN]
        a, b = a[length:], b[length:]


def _beginning(rest: bytes, more: Iterator[bytes]) -> str:
    while len(rest) < _SHOWN and b"\n" not in rest and (block := next(more, b"")):
        rest += block
    return rest.partition(b"\n")[0][:_SHOWN].decode(errors="backslashreplace")
