"""The model deployment: model, script, environment, compute and settings behind an endpoint.

The class is flat, as ``show`` prints it; ``spellings`` maps the dialects of 2021 to today onto it.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags, problem_with
from batchpoint.entities.tables.generated import Generated
from batchpoint.entities.tables.golden_rows import GoldenRows
from batchpoint.entities.tables.output import OutputFormat, PredictionColumns
from batchpoint.entities.tables.sizes import Size
from batchpoint.entities.tables.split import Split

OutputAction = Literal["append_row", "summary_only"]
LoggingLevel = Literal["warning", "info", "debug"]


class CodeConfiguration(Noun):
    """The folder with the scoring code and the script in it."""

    spellings: ClassVar[dict[str, str]] = {"code.local_path": "code"}
    dated: ClassVar[frozenset[str]] = frozenset(spellings)
    examples: ClassVar[dict[str, str]] = {
        "code": "code: <folder with the scoring script>",
        "scoring_script": "scoring_script: <script, relative to the code folder>",
    }

    #: Folder with the scoring script and the modules beside it, or a reference to a code asset.
    code: str
    #: Path of the script relative to the code folder.
    scoring_script: str


class RetrySettings(Noun):
    """How often and how long one mini-batch is tried."""

    #: At most this many executions of a mini-batch; 0 means one.
    max_retries: int = Field(default=3, ge=0)
    #: Seconds that one run() call may take.
    timeout: int = Field(default=30, gt=0, le=259200)


class Resources(Noun):
    """What one job takes from its compute."""

    #: Instances per job.
    instance_count: int = Field(default=1, ge=1)
    #: Kept and shown; a compute has instances of one kind.
    instance_type: str | None = None
    #: Kept and shown.
    max_instance_count: int | None = None
    #: Kept and shown.
    properties: dict[str, Any] = Field(default_factory=dict)
    #: Kept and shown.
    locations: tuple[str, ...] = ()
    #: Kept and shown; there is no container to limit.
    shm_size: str | None = None
    #: Kept and shown; there is no container to start.
    docker_args: str | None = None


_PIPELINE = (
    "pipeline component deployments are not offered here; a deployment with type: model has a model,"
    " a code_configuration and a compute"
)
_LOCAL = (
    "local is not offered as a compute; create a pool on this machine with"
    " batchpoint compute create --name batch-cluster --type amlcompute, and write compute: azureml:batch-cluster"
)
_NESTED = (
    "mini_batch_size",
    "max_concurrency_per_instance",
    "output_action",
    "output_file_name",
    "retry_settings",
    "error_threshold",
    "logging_level",
    "environment_variables",
    "isolate_failures",
    "max_mini_batches_per_worker",
    "provenance",
    "output_format",
    "passthrough_columns",
    "prediction_columns",
    "output_shard_size",
    "split",
)


class Deployment(Noun):
    """A model deployment, as written in YAML and as stored."""

    schema_name: ClassVar[str] = "BatchDeploymentSchema"
    output_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "provisioning_state", "creation_context", "resourceGroup", "generated"}
    )
    spellings: ClassVar[dict[str, str]] = {
        **{f"settings.{key}": key for key in _NESTED},
        "settings.instance_count": "resources.instance_count",
        "compute.target": "compute",
        "compute.instance_count": "resources.instance_count",
    }
    dated: ClassVar[frozenset[str]] = frozenset({"compute.target", "compute.instance_count"})
    refusals: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("type=pipeline", "component", "job_definition"), _PIPELINE),
        **dict.fromkeys(("compute=local", "compute=azureml:local"), _LOCAL),
    }
    examples: ClassVar[dict[str, str]] = {
        "name": "name: <deployment name>",
        "endpoint_name": "endpoint_name: <endpoint name>",
        "model": "model: azureml:<model name>:<version>, or a block with path",
        "compute": "compute: azureml:<compute name>",
    }
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.DEPLOYMENT, "endpoint_name": names.ENDPOINT}

    #: Its name behind the endpoint; ``--name`` wins.
    name: str
    #: The endpoint that it stands behind, which exists; ``--endpoint-name`` wins.
    endpoint_name: str
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Words for programs; kept and shown as they are.
    properties: dict[str, str] = Field(default_factory=dict)
    #: Only ``model`` is offered.
    type: Annotated[Literal["model", "pipeline"], Lowered] = "model"
    #: A reference to a registered model, one of an MLflow registry (``models:/name/3``, ``models:/name@alias``,
    #: ``runs:/<run>/<path>``), or a model written in place.
    model: str | Model
    #: The scoring code; an MLflow model with the flavour ``python_function`` can do without.
    code_configuration: CodeConfiguration | None = None
    #: The Python that runs the script: a reference, an environment written in place, the path of an interpreter or
    #: folder (ours), or none: then what an MLflow model says that it runs in, and for any other model the interpreter
    #: that Batchpoint itself runs on.
    environment: str | Environment | None = None
    #: Variables that the scoring script sees.
    environment_variables: dict[str, str] = Field(default_factory=dict)
    #: The compute that its jobs run on: ``azureml:<name>``, the bare name or an ARM id.
    compute: str
    #: What one job takes from its compute.
    resources: Resources = Resources()
    #: Worker processes per instance.
    max_concurrency_per_instance: int = Field(default=1, ge=1)
    #: Files per run() call.
    mini_batch_size: int = Field(default=10, ge=1)
    #: ``append_row`` gathers what run() returns in one file; ``summary_only`` counts and keeps what the script writes.
    output_action: Annotated[OutputAction, Lowered] = "append_row"
    #: Name of the gathered file, ``predictions.csv`` (``.jsonl``, ``.parquet``) when nothing is said; only with
    #: ``append_row``.
    output_file_name: str | None = None
    #: How often and how long one mini-batch is tried.
    retry_settings: RetrySettings = RetrySettings()
    #: Failed files of the whole input beyond which the job is stopped; -1 never.
    error_threshold: int = Field(default=-1, ge=-1, le=2**31 - 1)
    #: How much the logs of a job say.
    logging_level: Annotated[LoggingLevel, Lowered] = "info"
    #: A mini-batch that has used its tries is halved, and each half tried once, until the guilty files stand alone and
    #: all others are kept; ``false`` for a ``run()`` with effects: then the whole mini-batch is lost (ours).
    isolate_failures: bool = True
    #: Mini-batches after which a worker process is replaced by a new one; without it a worker lives as long as its job
    #: (ours).
    max_mini_batches_per_worker: int | None = Field(default=None, ge=1)
    #: Each line of the gathered file begins with the file, the row in it and the mini-batch that it came from (ours).
    provenance: bool = False
    #: ``azure`` writes what the cloud service writes, ``csv`` is RFC 4180 with a header, ``jsonl`` an object per line,
    #: ``parquet`` keeps types; only with ``append_row`` (ours).
    output_format: Annotated[OutputFormat, Lowered] = "azure"
    #: Columns of the input in front of each prediction, or ``["*"]`` for all; only for a model without a script (ours).
    passthrough_columns: tuple[str, ...] = ()
    #: ``signature`` names the columns with predictions as the model's signature does; only for a model without a
    #: script (ours).
    prediction_columns: Annotated[PredictionColumns, Lowered] = "azure"
    #: The output becomes several files of about this size, ``100mb``, with a number in their names (ours).
    output_shard_size: Size | None = Field(default=None, ge=1)
    #: Large CSV, TSV, JSON Lines and Parquet files are cut into parts of so many rows or bytes, each of which is an
    #: item (ours).
    split: Split | None = None
    #: Inputs whose predictions are known; checked when the deployment is made and when its environment is built anew
    #: (ours).
    golden_rows: GoldenRows | None = None
    #: Kept and shown; files are not partitioned.
    partition_keys: tuple[str, ...] = ()

    id: str | None = None
    provisioning_state: str | None = None
    creation_context: CreationContext | None = None
    #: Told by the server of a deployment without a script; never kept.
    generated: Generated | None = None

    @model_validator(mode="after")
    def _files_only_with_append_row(self) -> "Deployment":
        if self.output_action == "append_row":
            return self
        if self.output_file_name:
            raise problem_with(
                "output_file_name", "with output_action: summary_only there is no output file to name; remove this key"
            )
        if self.output_action == "summary_only" and self.golden_rows:
            raise problem_with(
                "golden_rows", "with output_action: summary_only there are no rows to compare; remove this key"
            )
        for key, is_said in (
            ("output_format", self.output_format != "azure"),
            ("output_shard_size", self.output_shard_size is not None),
        ):
            if is_said:
                message = "with output_action: summary_only the script writes the files itself, in any form it likes"
                raise problem_with(key, f"{message}; remove this key, or write output_action: append_row")
        return self
