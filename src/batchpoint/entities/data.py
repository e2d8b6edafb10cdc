"""Where inputs come from: data assets (with the 2021 ``dataset``), datastores, and one job's input and output."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from batchpoint.entities.assets import ASSET_OUTPUT_ONLY
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags

DataType = Literal["uri_file", "uri_folder", "mltable"]


class DataAsset(Noun):
    """A named, versioned pointer to a file or folder (contract §2.7)."""

    schema_name: ClassVar[str] = "DataSchema"
    output_only: ClassVar[frozenset[str]] = ASSET_OUTPUT_ONLY
    #: ``paths: [{file: uri}]`` / ``[{folder: uri}]`` of 2021 becomes ``path`` and ``type`` in the loader.
    spellings: ClassVar[dict[str, str]] = {"local_path": "path"}

    name: str | None = None
    version: str | None = None
    type: Annotated[DataType, Lowered] = "uri_folder"
    path: str
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    properties: dict[str, str] = Field(default_factory=dict)
    datastore: str | None = None

    id: str | None = None
    creation_context: CreationContext | None = None
    latest_version: str | None = None


class Datastore(Noun):
    """A place for bytes. ``local_folder`` is ours; the Azure kinds come with object storage."""

    name: str
    type: str = "local_folder"
    #: Folder on the server's machine (``local_folder``).
    path: str | None = None
    description: str | None = None
    tags: Tags = Field(default_factory=dict)
    is_default: bool = False

    id: str | None = None
    creation_context: CreationContext | None = None


class Input(Noun):
    """The one data input of a model deployment's job."""

    type: Annotated[Literal["uri_file", "uri_folder"], Lowered] = "uri_folder"
    #: A resolved URI or absolute path; asset references are resolved on invoke.
    path: str
    #: Globs over the relative path; empty means everything (decision 19).
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Output(Noun):
    """Where a job's gathered file goes: a folder URI; the file name is a setting of its own."""

    path: str


class Invocation(Noun):
    """What a caller of ``invoke`` may say; None means "as the deployment says" (contract §3.3)."""

    schema_name: ClassVar[str] = "InvocationSchema"

    deployment_name: str | None = None
    job_name: str | None = None
    experiment_name: str | None = None
    input: Input | None = None
    #: Folder URI or local folder for the gathered file.
    output_path: str | None = None
    output_file_name: str | None = None
    mini_batch_size: int | None = None
    instance_count: int | None = None
    max_concurrency_per_instance: int | None = None
    error_threshold: int | None = None
    logging_level: str | None = None
    max_retries: int | None = None
    #: Seconds for one run() call.
    timeout_s: int | None = None
    tags: Tags = Field(default_factory=dict)
    properties: dict[str, Any] = Field(default_factory=dict)
