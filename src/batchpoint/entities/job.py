"""The job: one invocation with every setting frozen, its progress, and how it ended."""

import json
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from batchpoint.entities.assets import Environment
from batchpoint.entities.compute import Place
from batchpoint.entities.data import Chances, Input
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import LoggingLevel, OutputAction
from batchpoint.entities.noun import CreationContext, Moment, Noun, Tags
from batchpoint.entities.tables.golden_rows import FrozenGoldenRows
from batchpoint.entities.tables.output import OutputFormat, PredictionColumns, default_name
from batchpoint.entities.tables.split import Split
from batchpoint.errors import ResourceConflict


class JobStatus(StrEnum):
    """Where a job stands; the words are the field's own."""

    #: Accepted; no driver has claimed it yet. What ``invoke`` answers.
    PREPARING = "Preparing"
    #: Waiting for instances of its compute.
    QUEUED = "Queued"
    #: A driver is scoring it.
    RUNNING = "Running"
    #: The ledger is frozen; the output is being assembled and published.
    FINALIZING = "Finalizing"
    #: Somebody asked to cancel; workers are being stopped.
    CANCEL_REQUESTED = "CancelRequested"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def has_started(self) -> bool:
        """False until a driver has a plan and scores by it."""
        return self not in (JobStatus.PREPARING, JobStatus.QUEUED)

    @property
    def is_terminal(self) -> bool:
        """True for a status that a revision never leaves."""
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED})


class JobSettings(Noun):
    """Everything that a job needs to run, resolved once on invoke; later changes elsewhere never reach it."""

    #: Absolute folder of the code asset and the script in it; both empty for an MLflow model without a script.
    code_path: str
    scoring_script: str
    #: Absolute path of the model file or folder; its last segment is what scripts see.
    model_path: str | None = None
    environment: Environment | None = None
    environment_variables: dict[str, str] = Field(default_factory=dict)
    input: Input
    #: Datastore that the input is in; None for one on the server's machine and for URLs.
    input_store: Datastore | None = None
    #: Absolute local folder that the output goes to, and the same place as a URI for people.
    output_folder: str
    #: Datastore that the output goes to, with ``output_folder`` as a path in it; None for one on the server's machine.
    output_store: Datastore | None = None
    output_uri: str = ""
    output_action: OutputAction = "append_row"
    output_file_name: str = default_name("azure")
    mini_batch_size: int = 10
    instance_count: int = 1
    max_concurrency_per_instance: int = 1
    max_retries: int = 3
    #: Seconds for one run() call.
    timeout_s: float = 30
    error_threshold: int = -1
    #: A mini-batch that has failed for good is halved until the guilty items stand alone.
    isolate_failures: bool = True
    #: Mini-batches after which a worker process is replaced; None: it lives as long as the job.
    max_mini_batches_per_worker: int | None = None
    #: Each line of the output begins with the file, the row in it and the mini-batch that it came from.
    provenance: bool = False
    output_format: OutputFormat = "azure"
    passthrough_columns: tuple[str, ...] = ()
    prediction_columns: PredictionColumns = "azure"
    #: Bytes; None: one file.
    output_shard_size: int | None = None
    #: Size of the parts that large files are cut into; None: files stay whole.
    split: Split | None = None
    #: Checked before anything is scored, unless they have come out with this very environment already.
    golden_rows: FrozenGoldenRows | None = None
    #: Chances, from 0 to 1, that the job does itself harm, by kind of harm; see ``invoke --chaos``.
    chaos: Chances = Field(default_factory=dict)
    logging_level: LoggingLevel = "info"
    #: Where the workers are placed.
    place: Place = Place()
    #: Seconds after which the job fails, from when it got its instances; None: it may take as long as it takes.
    lifetime_s: float | None = None

    @property
    def is_no_code(self) -> bool:
        """True where the worker scores an MLflow model by itself."""
        return not self.scoring_script

    def unlike(self, now: "JobSettings") -> str | None:
        """Why rows that are scored as ``now`` says cannot stand beside those of this; None where they can."""
        if self.is_no_code == now.is_no_code:
            return None
        if self.output_action == "summary_only":
            return None if self.is_no_code else "its script writes its files itself, and without a script nothing would"
        if self.output_format != "azure":
            return None
        return "in the format azure the rows of a script and those of a model without one have nothing in common"

    @property
    def has_one_file(self) -> bool:
        """True where the rows are gathered in one file: neither left to the script nor cut by size."""
        return self.output_action == "append_row" and self.output_shard_size is None


class Progress(Noun):
    """How far a job is; counts only what stands in the ledger."""

    mini_batches: int = 0
    mini_batches_done: int = 0
    items: int = 0
    items_succeeded: int = 0
    items_failed: int = 0
    rows: int = 0
    #: Executions that raised, timed out or died, retried ones included.
    failed_attempts: int = 0
    #: A sentence while the job waits for room on a disk; empty while it goes on.
    waiting_for: str = ""


class FailureReason(Noun):
    """A group of failed mini-batches with the same reason, as shown at the end of a job."""

    #: Stable code: ScriptRaised, MiniBatchTimeout, WorkerCrashed, OutOfMemory, InvalidResult …
    code: str
    #: First line that a person should read, e.g. ``ValueError: bad header``.
    message: str
    mini_batches: int
    items: int
    #: Path of one item as an example.
    example: str = ""
    #: The same for failures of one cause, in the dead letters too.
    fingerprint: str = ""


class JobError(Noun):
    """Why a job failed: the first user traceback where there is one."""

    code: str
    message: str


#: Property of a job that has published: the revision that did so last.
PUBLISHED = "batchpoint.published_revision"


class Job(Noun):
    """One invocation of an endpoint."""

    output_only: ClassVar[frozenset[str]] = frozenset()

    name: str
    #: Friendly three-part name that the pages show.
    display_name: str = ""
    endpoint_name: str
    deployment_name: str
    experiment_name: str = ""
    compute: str = ""
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    properties: dict[str, str] = Field(default_factory=dict)
    settings: JobSettings
    status: JobStatus = JobStatus.PREPARING
    #: Counts up with each redrive or resume.
    revision: int = 0
    progress: Progress = Progress()
    failures: tuple[FailureReason, ...] = ()
    error: JobError | None = None
    #: A sentence while the job waits, for instances of its compute or for room on a disk; empty while it goes on.
    waiting_for: str = ""
    #: Numbers of the instances of its compute that the job was given, all at once.
    instances: tuple[int, ...] = ()
    #: GPU of each worker, instance by instance; those beyond the last number see none. None: nobody allotted any.
    gpus: tuple[int, ...] | None = None
    #: When it was given its instances.
    placed_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    #: Hidden from lists; only a job that has ended can be.
    archived: bool = False
    #: Set in the view of a job's one step; see ``step_of``.
    parent_job_name: str = ""
    creation_context: CreationContext | None = None
    id: str | None = None

    @property
    def has_published(self) -> bool:
        """True when an output stands, be it of an earlier revision."""
        return self.status is JobStatus.COMPLETED or PUBLISHED in self.properties


class JobEdit(Noun):
    """What may be changed of a job that exists."""

    schema_name: ClassVar[str] = "JobSchema"

    display_name: str = ""
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    #: Added to those the job has; the service's own never change.
    properties: dict[str, str] = Field(default_factory=dict)


#: Property of a job with failed items: where the file that lists them stands.
FAILED_ITEMS_PATH = "batchpoint.failed_items_path"


#: How properties begin in which the service notes something about a job itself.
NOTES = "batchpoint."


def is_of_the_service(key: str) -> bool:
    """True for a tag or property that users can neither change nor remove."""
    return key.startswith(("azureml.", NOTES)) or key in {"runSource", "runType"}


def shown_properties(job: Job) -> dict[str, str]:
    """The job's properties as clients see them: its own, and how far it is."""
    shown = job.progress.model_dump(exclude={"waiting_for"} if not job.progress.waiting_for else None)
    counts = {f"batchpoint.{name}": str(count) for name, count in shown.items()}
    counts["batchpoint.output_uri"] = job.settings.output_uri
    if job.revision:
        counts["batchpoint.revision"] = str(job.revision)
    if job.failures:
        counts["batchpoint.failures"] = json.dumps([reason.model_dump() for reason in job.failures])
    # A redrive that heals everything leaves an empty one.
    own = {name: value for name, value in job.properties.items() if value or name != FAILED_ITEMS_PATH}
    origin = job.parent_job_name or job.name
    return {**own, "azureml.sourcepipelinerunid": origin, "azureml.pipelines.stages": _stages(job), **counts}


def _stages(job: Job) -> str:
    """The two stages of a pipeline job, as its official clients keep them."""
    moments = {"StartTime": job.started_at, "EndTime": job.ended_at}
    execution = {name: moment.isoformat() for name, moment in moments.items() if moment}
    return json.dumps({"Initialization": None, "Execution": {**execution, "Status": str(job.status)}})


# ---- the one step of a job --------------------------------------------------------------------------------------

#: Name of the one step, which is seen as a job: it follows its job in everything and is stored nowhere.
STEP = "batchscoring"
#: Name of the step's one output, which scripts and official clients rely on.
OUTPUT = "score"
_SUFFIX = f"-{STEP}"


def step_of(job: Job) -> Job:
    """The step of ``job``."""
    return job.model_copy(
        update={"name": f"{job.name}{_SUFFIX}", "display_name": STEP, "parent_job_name": job.name, "id": None}
    )


#: The datastore of every workspace where official clients look for the logs of runs.
ARTIFACT_STORE = "workspaceartifactstore"


def artifact_folder(job: str) -> str:
    """Where the logs of a job's step stand in it."""
    return f"ExperimentRun/dcid.{job}{_SUFFIX}"


def job_of_step(name: str) -> str | None:
    """The name of the job whose step would be called ``name``; None for a name that no step has."""
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) and name != _SUFFIX else None


def step_refusal(step: str, done: str, command: str) -> ResourceConflict:
    """Why a step is not streamed, cancelled or archived, and the ``command`` for its job."""
    parent = job_of_step(step) or step
    return ResourceConflict(
        f"{step} is the step {STEP} of job {parent}, and a step is not {done} by itself. "
        f"Name the job: {command} --name {parent}",
        target=step,
    )
