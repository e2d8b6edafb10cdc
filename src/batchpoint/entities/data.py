"""What is scored: data assets (with the 2021 ``dataset``), and what one invocation asks for."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from batchpoint.entities.assets import ASSET_OUTPUT_ONLY
from batchpoint.entities.deployment import LoggingLevel
from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags
from batchpoint.entities.tables.output import OutputFormat
from batchpoint.entities.tables.split import Split

DataType = Literal["uri_file", "uri_folder", "mltable"]


class DataAsset(Noun):
    """A named, versioned pointer to a file or folder."""

    schema_name: ClassVar[str] = "DataSchema"
    output_only: ClassVar[frozenset[str]] = ASSET_OUTPUT_ONLY
    #: What may change in a version that exists; everything else is its content.
    mutable: ClassVar[tuple[str, ...]] = ("description", "tags", "properties")
    #: ``paths: [{file: uri}]`` / ``[{folder: uri}]`` of 2021 becomes ``path`` and ``type`` in the loader.
    spellings: ClassVar[dict[str, str]] = {"local_path": "path"}
    dated: ClassVar[frozenset[str]] = frozenset(spellings)
    refusals: ClassVar[dict[str, str]] = {
        "type=mltable": "mltable and tabular data are not offered as input of batch endpoints;"
        " register the folder with the files and write type: uri_folder"
    }
    examples: ClassVar[dict[str, str]] = {"name": "name: <data name>", "path": "path: <file, folder or URI>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.ASSET, "version": names.VERSION}

    #: What references call it.
    name: str | None = None
    #: Text, also where it looks like a number; the next whole number when nothing is said.
    version: str | None = None
    #: Whether the path is one file or a folder; found out by itself for a local path.
    type: Annotated[DataType, Lowered] = "uri_folder"
    #: A local file or folder, or any URI that an input may have.
    path: str
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Words for programs; kept and shown as they are.
    properties: dict[str, str] = Field(default_factory=dict)
    #: Kept and shown.
    datastore: str | None = None

    id: str | None = None
    creation_context: CreationContext | None = None
    latest_version: str | None = None


class Input(Noun):
    """The one data input of a model deployment's job."""

    examples: ClassVar[dict[str, str]] = {"path": "path: <file, folder or URI>"}

    #: Whether the path is one file or a folder.
    type: Annotated[Literal["uri_file", "uri_folder"], Lowered] = "uri_folder"
    #: A file, folder, data asset or URI.
    path: str
    #: Globs over the relative path; only what matches one is scored. Empty means everything.
    include: tuple[str, ...] = ()
    #: Globs over the relative path; what matches one is left out.
    exclude: tuple[str, ...] = ()


# ---- harm on purpose ------------------------------------------------------------------------------------------------

#: Ends a worker, and now and then the driver, with SIGKILL.
KILL = "kill"
#: Stops a worker for a part of a second.
SLOW = "slow"
#: No chance but a number: where the dice begin.
SEED = "seed"
KINDS = {KILL: "workers and drivers are killed", SLOW: "workers are stopped for a moment"}
#: With more, little else would happen.
CHANCE_MAX = 0.5
SEED_MAX = 2**31 - 1
_HOW = "write kill=2%,slow=1%"


def _chances(value: object) -> object:
    """A map of numbers, from one with percentages or from the text of a flag."""
    if value is None or value == {}:
        return value
    given = _pairs(value) if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise _wrong(f"is no map of chances; {_HOW}")
    chances = {str(kind): _number(str(kind), one) for kind, one in given.items()}
    if not chances.keys() & KINDS.keys():
        raise _wrong(f"names no kind of harm; {_HOW}")
    return chances


def _pairs(text: str) -> dict[str, str]:
    pairs = [word.strip().partition("=") for word in text.split(",") if word.strip()]
    kinds = [kind.strip() for kind, _, _ in pairs]
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice is not None:
        raise _wrong(f"names {twice} twice; keep one of them")
    return {kind.strip(): amount.strip() for kind, _, amount in pairs}


def _number(kind: str, value: object) -> float:
    if kind == SEED:
        return _seed(value)
    if kind not in KINDS:
        known = " and ".join(f"{name} ({what})" for name, what in KINDS.items())
        raise _wrong(f"does not know the harm {kind!r}; there are {known}")
    chance = _chance(value)
    if chance is None or not 0 <= chance <= CHANCE_MAX:
        raise _wrong(f"{kind}={value} is no chance between 0 % and {CHANCE_MAX * 100:.0f} %; {_HOW}")
    return chance


def _chance(value: object) -> float | None:
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return None
    if not math.isfinite(number) or isinstance(value, bool):
        return None
    return number / 100 if text.endswith("%") else number


def _seed(value: object) -> float:
    try:
        seed = float(str(value))
    except ValueError:
        seed = -1.0
    if not (0 <= seed <= SEED_MAX and seed.is_integer()):
        raise _wrong(f"seed={value} is no whole number from 0 to {SEED_MAX}")
    return seed


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("noun", "{message}", {"message": message})


#: Chances from 0 to a half by kind of harm, and the ``seed``; empty: no harm.
Chances = Annotated[dict[str, float], BeforeValidator(_chances)]


# ---- invocations ----------------------------------------------------------------------------------------------------

_OVERRIDES = (
    "mini_batch_size",
    "instance_count",
    "max_concurrency_per_instance",
    "output_file_name",
    "error_threshold",
    "logging_level",
    "isolate_failures",
    "max_mini_batches_per_worker",
    "provenance",
    "output_format",
    "split",
)


class Invocation(Noun):
    """What a caller of ``invoke`` may say; None means "as the deployment says"."""

    schema_name: ClassVar[str] = "InvocationSchema"
    #: The names of ``--set`` and of the settings in a deployment; ``inputs``, ``outputs`` and ``output_dataset`` are
    #: read by the loader.
    spellings: ClassVar[dict[str, str]] = {
        "endpoint": "endpoint_name",
        "deployment": "deployment_name",
        "retry_settings.max_retries": "max_retries",
        "retry_settings.timeout": "timeout_s",
        "timeout": "timeout_s",
        "compute.instance_count": "instance_count",
        "resources.instance_count": "instance_count",
        "settings.retry_settings.max_retries": "max_retries",
        "settings.retry_settings.timeout": "timeout_s",
        **{f"settings.{key}": key for key in _OVERRIDES},
    }
    name_rules: ClassVar[dict[str, names.NameRule]] = {
        "endpoint_name": names.ENDPOINT,
        "deployment_name": names.DEPLOYMENT,
        "job_name": names.JOB,
    }

    #: The endpoint, only in an invocation file; the command line's ``--name`` wins.
    endpoint_name: str | None = None
    #: The deployment; the endpoint's default when nothing is said.
    deployment_name: str | None = None
    #: Name of the job; drawn when nothing is said.
    job_name: str | None = None
    #: A word to list jobs under; the endpoint's name when nothing is said.
    experiment_name: str | None = None
    #: What to score.
    input: Input | None = None
    #: Folder URI or local folder for the gathered file.
    output_path: str | None = None
    #: Name of the gathered file.
    output_file_name: str | None = None
    #: Files per run() call.
    mini_batch_size: int | None = Field(default=None, ge=1)
    #: Instances that the job takes from its compute.
    instance_count: int | None = Field(default=None, ge=1)
    #: Worker processes per instance.
    max_concurrency_per_instance: int | None = Field(default=None, ge=1)
    #: Failed files beyond which the job is stopped; -1 never.
    error_threshold: int | None = Field(default=None, ge=-1, le=2**31 - 1)
    #: How much the logs of the job say.
    logging_level: Annotated[LoggingLevel, Lowered] | None = None
    #: At most this many executions of a mini-batch; 0 means one.
    max_retries: int | None = Field(default=None, ge=0)
    #: Seconds for one run() call.
    timeout_s: int | None = Field(default=None, gt=0, le=259200)
    #: Harm that is done to the job on purpose: chances by kind, kill and slow; none when nothing is said.
    chaos: Chances = Field(default_factory=dict)
    #: Whether a mini-batch that has used its tries is halved until the guilty files stand alone (ours).
    isolate_failures: bool | None = None
    #: Mini-batches after which a worker process is replaced by a new one (ours).
    max_mini_batches_per_worker: int | None = Field(default=None, ge=1)
    #: Whether each line of the gathered file says where it came from (ours).
    provenance: bool | None = None
    #: ``azure``, ``csv``, ``jsonl`` or ``parquet``; only for a deployment with ``append_row`` (ours).
    output_format: Annotated[OutputFormat, Lowered] | None = None
    #: Size of the parts that large files are cut into (ours).
    split: Split | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Words for programs; kept and shown as they are.
    properties: dict[str, Any] = Field(default_factory=dict)
