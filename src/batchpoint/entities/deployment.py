"""The model deployment: model, script, environment, compute and settings behind an endpoint.

The class is flat, as ``show`` prints it; ``spellings`` maps the dialects of 2021 to today onto it.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags, problem_with

OutputAction = Literal["append_row", "summary_only"]
LoggingLevel = Literal["warning", "info", "debug"]

DEFAULT_OUTPUT_FILE_NAME = "predictions.csv"


class CodeConfiguration(Noun):
    """The folder with the scoring code and the script in it."""

    spellings: ClassVar[dict[str, str]] = {"code.local_path": "code"}
    dated: ClassVar[frozenset[str]] = frozenset(spellings)
    examples: ClassVar[dict[str, str]] = {
        "code": "code: <folder with the scoring script>",
        "scoring_script": "scoring_script: <script, relative to the code folder>",
    }

    #: Local folder, or a reference to a code asset.
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
    instance_type: str | None = None
    max_instance_count: int | None = None
    properties: dict[str, Any] = Field(default_factory=dict)
    locations: tuple[str, ...] = ()
    shm_size: str | None = None
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
)


class Deployment(Noun):
    """A model deployment, as written in YAML and as stored."""

    schema_name: ClassVar[str] = "BatchDeploymentSchema"
    output_only: ClassVar[frozenset[str]] = frozenset({"id", "provisioning_state", "creation_context", "resourceGroup"})
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

    name: str
    endpoint_name: str
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    properties: dict[str, str] = Field(default_factory=dict)
    type: Annotated[Literal["model", "pipeline"], Lowered] = "model"
    #: A reference or a model written in place.
    model: str | Model
    code_configuration: CodeConfiguration | None = None
    #: A reference, an environment written in place, the path of an interpreter or folder (ours), or none:
    #: then the interpreter that Batchpoint itself runs on.
    environment: str | Environment | None = None
    environment_variables: dict[str, str] = Field(default_factory=dict)
    compute: str
    resources: Resources = Resources()
    #: Worker processes per instance.
    max_concurrency_per_instance: int = Field(default=1, ge=1)
    #: Files per run() call.
    mini_batch_size: int = Field(default=10, ge=1)
    output_action: Annotated[OutputAction, Lowered] = "append_row"
    output_file_name: str | None = None
    retry_settings: RetrySettings = RetrySettings()
    #: Failed files of the whole input beyond which the job is stopped; -1 never.
    error_threshold: int = Field(default=-1, ge=-1, le=2**31 - 1)
    logging_level: Annotated[LoggingLevel, Lowered] = "info"
    partition_keys: tuple[str, ...] = ()

    id: str | None = None
    provisioning_state: str | None = None
    creation_context: CreationContext | None = None

    @model_validator(mode="after")
    def _file_name_only_with_append_row(self) -> "Deployment":
        if self.output_action == "summary_only" and self.output_file_name:
            raise problem_with(
                "output_file_name", "with output_action: summary_only there is no output file to name; remove this key"
            )
        return self
