"""The manifest: what one job read, ran and wrote, by hash. A driver writes it; the server verifies a job against it."""

import hashlib
import json
from typing import Any

from batchpoint.entities.job import JobSettings, Progress
from batchpoint.entities.noun import Moment, Noun

#: Property of a job that completed: sha256 of its manifest.
MANIFEST_SHA256 = "batchpoint.manifest_sha256"
#: Counts up when a reader of an older manifest would misread a newer one.
SCHEMA_VERSION = 2


class FileProof(Noun):
    """One file, or a folder as one."""

    #: For an output relative to its place, otherwise absolute.
    path: str
    sha256: str
    #: None for a folder.
    bytes: int | None = None


class ContentProof(Noun):
    """Code or a model."""

    path: str
    #: Of a file or folder: over names, executable bits and bytes, as the store of uploads computes it.
    sha256: str
    #: True: the hash is that under which the upload was stored, and was not computed again for this manifest.
    as_stored: bool


class PlanProof(Noun):
    """The items, in order, and how they are cut."""

    sha256: str
    bytes: int
    items: int
    mini_batch_size: int
    #: Of the file that says where the paths start and how they are cut.
    header_sha256: str


class EnvironmentProof(Noun):
    """The Python that scored."""

    #: Hash of what the environment asks for; empty for an interpreter that was named.
    spec: str = ""
    #: sha256 of the file of exact versions that it was built from; empty where nothing was resolved.
    lock_sha256: str = ""
    #: Path of the interpreter, where one was named.
    interpreter: str = ""
    #: ``3.11.7``; empty where nobody could be asked.
    python: str = ""


class OutputProof(Noun):
    """The gathered file, or files."""

    #: Relative to ``place``; of several files the name that their numbers are put into.
    path: str
    place: str
    #: Of several files over a line for each: its hash, two spaces and its name.
    sha256: str
    bytes: int
    rows: int
    #: Relative to ``place``, in order; empty where there is one.
    files: tuple[FileProof, ...] = ()


class Attempts(Noun):
    """What it took."""

    #: Executions that raised, timed out or died.
    failed: int
    #: Drivers that had the job, in all revisions.
    drivers: int


class Timings(Noun):
    """When, and the seconds between; of all revisions together."""

    started: Moment
    ended: Moment
    seconds: float


class Versions(Noun):
    """Of the programs that drove the job."""

    batchpoint: str
    python: str


class Manifest(Noun):
    """What a job that has ended read, ran and wrote."""

    schema_version: int = SCHEMA_VERSION
    job: str
    revision: int
    status: str
    endpoint: str
    deployment: str
    #: None for a job that ended before its input was listed.
    plan: PlanProof | None
    code: ContentProof | None
    model: ContentProof | None
    environment: EnvironmentProof
    #: The frozen settings, without the values of environment variables and the queries of addresses.
    settings: dict[str, Any]
    #: sha256 over the whole settings as JSON with sorted keys and no spaces.
    settings_sha256: str
    output: OutputProof | None
    #: Of a job that completed, beside its output; otherwise in the job's folder.
    failed_items: FileProof | None
    counts: Progress
    attempts: Attempts
    timings: Timings
    versions: Versions


def settings_sha256(settings: JobSettings) -> str:
    """Hash of all settings, as a manifest has it."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
