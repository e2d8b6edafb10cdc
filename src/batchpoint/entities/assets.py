"""The versioned assets behind a deployment: model, code, environment."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags


def _todays_type(value: object) -> object:
    lowered = value.lower() if isinstance(value, str) else value
    return f"{lowered}_model" if lowered in ("custom", "mlflow", "triton") else lowered


#: ``custom``, ``mlflow`` and ``triton`` are 2021's words.
ModelType = Annotated[Literal["custom_model", "mlflow_model", "triton_model"], BeforeValidator(_todays_type)]

ASSET_OUTPUT_ONLY = frozenset(
    {"id", "creation_context", "latest_version", "job_name", "utc_time_created", "provisioning_state", "resourceGroup"}
)


class Model(Noun):
    """A model: a file or folder under a name and a version."""

    schema_name: ClassVar[str] = "ModelSchema"
    output_only: ClassVar[frozenset[str]] = ASSET_OUTPUT_ONLY
    #: What may change in a version that exists; everything else is its content.
    mutable: ClassVar[tuple[str, ...]] = ("description", "tags", "properties", "stage", "flavors")
    spellings: ClassVar[dict[str, str]] = {"local_path": "path", "model_uri": "path", "model_format": "type"}
    dated: ClassVar[frozenset[str]] = frozenset(spellings)
    examples: ClassVar[dict[str, str]] = {"name": "name: <model name>", "path": "path: <model file or folder>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.ASSET, "version": names.VERSION}

    #: Needed to register it; without one, inside a deployment, it is named by its content.
    name: str | None = None
    #: Text, also where it looks like a number; the next whole number when nothing is said.
    version: str | None = None
    #: A local file or folder, or any URI that an input may have.
    path: str
    #: ``mlflow_model`` wants a folder with a file MLmodel; found out by itself when nothing is said.
    type: ModelType | None = None
    #: Kept and shown.
    flavors: dict[str, Any] = Field(default_factory=dict)
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Words for programs; kept and shown as they are.
    properties: dict[str, str] = Field(default_factory=dict)
    #: Kept and shown.
    stage: str | None = None
    #: Kept and shown; content is kept in ``workspaceblobstore``.
    datastore: str | None = None

    id: str | None = None
    creation_context: CreationContext | None = None
    latest_version: str | None = None


class Code(Noun):
    """A folder of scoring code, kept once by content hash."""

    schema_name: ClassVar[str] = "CodeSchema"
    output_only: ClassVar[frozenset[str]] = ASSET_OUTPUT_ONLY
    #: What may change in a version that exists; everything else is its content.
    mutable: ClassVar[tuple[str, ...]] = ()

    name: str | None = None
    version: str | None = None
    path: str
    #: sha256 of the folder's names and contents; equal folders share one asset.
    content_hash: str | None = None

    id: str | None = None
    creation_context: CreationContext | None = None


class EnvironmentBuild(Noun):
    """A container build context, kept by its content; for computes with ``isolation: container``."""

    spellings: ClassVar[dict[str, str]] = {"local_path": "path"}
    dated: ClassVar[frozenset[str]] = frozenset(spellings)
    examples: ClassVar[dict[str, str]] = {"path": "path: <folder with the Dockerfile>"}

    #: Folder with the Dockerfile.
    path: str
    #: The Dockerfile, relative to that folder.
    dockerfile_path: str = "Dockerfile"


class Environment(Noun):
    """The user's Python: an image with a conda file, or (ours) an interpreter or folder that exists."""

    schema_name: ClassVar[str] = "EnvironmentSchema"
    output_only: ClassVar[frozenset[str]] = ASSET_OUTPUT_ONLY
    #: What may change in a version that exists; everything else is its content.
    mutable: ClassVar[tuple[str, ...]] = ("description", "tags", "properties")
    spellings: ClassVar[dict[str, str]] = {"docker.image": "image", "path": "build.path"}
    dated: ClassVar[frozenset[str]] = frozenset(spellings)
    refusals: ClassVar[dict[str, str]] = dict.fromkeys(
        ("channels", "dependencies"),
        "this is a key of a conda file, not of an environment; keep it in a file of its own and name that file:"
        " conda_file: conda.yml, beside image",
    )
    examples: ClassVar[dict[str, str]] = {"name": "name: <environment name>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.ASSET, "version": names.VERSION}

    #: Needed to register it; without one, inside a deployment, it is named by its content.
    name: str | None = None
    #: Text, also where it looks like a number; the next whole number when nothing is said.
    version: str | None = None
    #: A container image, used on computes with ``isolation: container``, noted elsewhere. Excludes ``build``.
    image: str | None = None
    #: A container build context, for computes with ``isolation: container``.
    build: EnvironmentBuild | None = None
    #: The Python and its packages: a conda file beside this one, or its content in place.
    conda_file: dict[str, Any] | None = None
    #: Our extension: an existing interpreter, virtual environment or conda prefix on the server's machine.
    python: str | None = None
    #: Kept and shown; jobs run on the system of their machine.
    os_type: Annotated[Literal["linux", "windows"], Lowered] = "linux"
    #: Kept and shown; it is for online endpoints.
    inference_config: dict[str, Any] | None = None
    #: Kept and shown; content is kept in ``workspaceblobstore``.
    datastore: str | None = None
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Words for programs; kept and shown as they are.
    properties: dict[str, str] = Field(default_factory=dict)

    id: str | None = None
    creation_context: CreationContext | None = None
    latest_version: str | None = None
