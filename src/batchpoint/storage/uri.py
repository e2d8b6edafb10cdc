"""Owns the reading and writing of data URIs: text in, frozen values out, and back. Pure.

Client, server and engine call it. Whether anything exists behind a URI is asked elsewhere, and so is what an asset
reference means.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from batchpoint.errors import ReferenceInvalid

PathType = Literal["uri_folder", "uri_file"]

SUPPORTED_FORMS = (
    "a local path, azureml://datastores/<datastore>/paths/<path>, https://<host>/<path>, "
    "or a data asset (azureml:<name>:<version> or azureml:<name>@latest)"
)


@dataclass(frozen=True)
class DatastorePath:
    """A place in a datastore."""

    datastore: str
    #: Relative, without ``..``; empty for the whole datastore, with a trailing ``/`` for what is known to be a folder.
    path: str
    #: Set together, when the URI names its workspace.
    subscription: str = ""
    resource_group: str = ""
    workspace: str = ""

    @property
    def is_folder(self) -> bool:
        return not self.path or self.path.endswith("/")

    @property
    def short(self) -> str:
        """``azureml://datastores/<datastore>/paths/<path>``."""
        return f"azureml://datastores/{self.datastore}/paths/{self.path}"

    def long(self, subscription: str, resource_group: str, workspace: str) -> str:
        """The form that ``show`` prints; the arguments stand in where this URI names no workspace."""
        owner = (self.subscription, self.resource_group, self.workspace)
        of = owner if all(owner) else (subscription, resource_group, workspace)
        return (
            f"azureml://subscriptions/{of[0]}/resourcegroups/{of[1]}/workspaces/{of[2]}"
            f"/datastores/{self.datastore}/paths/{self.path}"
        )


@dataclass(frozen=True)
class JobOutput:
    """A place in what a job wrote; the output ``artifacts`` is its default artifact store."""

    job: str
    output: str
    path: str = ""


@dataclass(frozen=True)
class RunArtifact:
    """``runs:/<run>/<path>``: an artifact logged by a run."""

    run: str
    path: str = ""


@dataclass(frozen=True)
class RegisteredModel:
    """``models:/<name>/<version or stage>``, ``models:/<name>@<alias>`` or ``models:/<id>``: a model in a registry of
    MLflow's.
    """

    #: As written.
    text: str


@dataclass(frozen=True)
class HttpUrl:
    """A http or https URL, as it was written."""

    url: str


@dataclass(frozen=True)
class ObjectStoreUrl:
    """``wasbs:``, ``abfss:``, ``s3:`` and the like."""

    #: As written.
    url: str
    #: The storage account; "" for a bucket.
    account: str
    #: Container, file system or bucket.
    container: str
    #: Relative, without ``..``; with a trailing ``/`` for what is known to be a folder.
    path: str


@dataclass(frozen=True)
class AssetReference:
    """Not a place but the name of an asset, as written: ``azureml:<name>:<version>``, an asset id, an ARM id."""

    text: str


@dataclass(frozen=True)
class LocalPath:
    """A path on the machine of whoever wrote it."""

    path: str


DataUri = (
    DatastorePath | JobOutput | RunArtifact | RegisteredModel | HttpUrl | ObjectStoreUrl | AssetReference | LocalPath
)

_OBJECT_STORES = frozenset({"wasb", "wasbs", "abfs", "abfss", "adl", "s3", "s3a"})
_MARKER = re.compile(r"(folder|file):", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_OWNER = r"subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<resource_group>[^/]+)/"
_STORE_AND_PATH = r"datastores/(?P<datastore>[^/]+)(?:/+(?P<path>.*))?"
_DATASTORE = re.compile(rf"azureml://(?:{_OWNER}workspaces/(?P<workspace>[^/]+)/)?{_STORE_AND_PATH}", re.I | re.S)
_DATASTORE_ID = re.compile(
    rf"(?:azureml:)?/{_OWNER}providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)/{_STORE_AND_PATH}",
    re.I | re.S,
)
_JOB_OUTPUT = re.compile(
    rf"azureml://(?:{_OWNER}workspaces/[^/]+/)?jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/+(?P<path>.*))?",
    re.I | re.S,
)
_RUN = re.compile(r"runs:/+(?P<run>[^/]+)(?:/+(?P<path>.*))?", re.I | re.S)
_REGISTERED = re.compile(r"models:/+[^/@]+(?:/+[^/]+|@[^/]+)?", re.I)
_PATHS = re.compile(r"paths(?:/+|$)", re.I)


def kind_of_url(url: str) -> PathType:
    """What a URL means that nobody said more about: a file if it ends like one."""
    return "uri_file" if "." in urlsplit(url).path.rpartition("/")[2] else "uri_folder"


def strip_marker(text: str) -> tuple[str, PathType | None]:
    """Take the ``folder:`` or ``file:`` of 2021 off ``text``; None when there is none.

    The type is a hint: the oldest files write ``file:`` before local folders too. A URL with ``file://`` says nothing.
    """
    text = text.strip()
    marker = _MARKER.match(text)
    if marker is None:
        return text, None
    rest = text[marker.end() :].strip()
    if marker[1].lower() == "folder":
        return rest, "uri_folder"
    # ``file:///a%20b`` is a URL with an escaped path; ``file:./a%20b`` is a path as it stands.
    url = re.fullmatch(r"//(?:localhost)?(/.*)", rest, re.S)
    return (unquote(url[1], errors="surrogateescape"), None) if url else (rest, "uri_file")


def parse_uri(text: str) -> DataUri:
    """Read any known form, markers stripped. Raises ReferenceInvalid and lists the forms that are known."""
    rest, _ = strip_marker(text)
    if not rest or "\0" in rest:
        raise ReferenceInvalid(
            f"The path is {'empty' if not rest else repr(rest)}. Give {SUPPORTED_FORMS}.", target=text
        )
    return _parse_azureml(rest) or _parse_url(rest) or LocalPath(rest)


def _parse_azureml(text: str) -> DataUri | None:
    if match := _DATASTORE.fullmatch(text) or _DATASTORE_ID.fullmatch(text):
        owner = (match["subscription"] or "", match["resource_group"] or "", match["workspace"] or "")
        return DatastorePath(match["datastore"], _path_in_datastore(match["path"] or "", text), *owner)
    if match := _JOB_OUTPUT.fullmatch(text):
        return JobOutput(match["job"], match["output"], _path_in_datastore(match["path"] or "", text))
    if match := _RUN.fullmatch(text):
        return RunArtifact(match["run"], _safe(match["path"] or "", text))
    if text.lower().startswith("models:/"):
        return _registered_model(text)
    if text.lower().startswith(("azureml:", "/subscriptions/")):
        return AssetReference(text)
    return None


def _registered_model(text: str) -> RegisteredModel:
    if not _REGISTERED.fullmatch(text):
        raise ReferenceInvalid(
            f"{text} names no registered model. Write models:/<name>/<version>, models:/<name>@<alias>, "
            "models:/<name>/<stage> or models:/<id of a logged model>.",
            target=text,
        )
    return RegisteredModel(text)


def is_in_registry(text: str) -> bool:
    """True for ``models:/…`` and ``runs:/…``: what only a tracking server of MLflow's knows the place of."""
    return text.strip().lower().startswith(("models:/", "runs:/"))


def _parse_url(text: str) -> DataUri | None:
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme in ("http", "https"):
        if not _host(text):
            raise ReferenceInvalid(f"The URL {text} names no host. Write https://<host>/<path>.", target=text)
        return HttpUrl(text)
    if scheme in _OBJECT_STORES:
        return _object_store(scheme, text)
    raise ReferenceInvalid(f"{text} cannot be read: {match[1]}:// is not known. Give {SUPPORTED_FORMS}.", target=text)


def _object_store(scheme: str, text: str) -> ObjectStoreUrl:
    """``wasbs://<container>@<account>.blob.…/<path>``, ``s3://<bucket>/<key>``. Names are not escaped in them."""
    authority, _, path = text.partition("://")[2].partition("/")
    container, at, host = authority.rpartition("@")
    if scheme in ("s3", "s3a"):
        if not authority or at:
            raise ReferenceInvalid(f"{text} names no bucket. Write s3://<bucket>/<path>.", target=text)
        return ObjectStoreUrl(text, "", authority, _safe(path, text))
    if scheme != "adl" and not (container and host):
        kind = "blob" if scheme.startswith("wasb") else "dfs"
        message = f"{text} is not complete. Write {scheme}://<container>@<account>.{kind}.core.windows.net/<path>."
        raise ReferenceInvalid(message, target=text)
    return ObjectStoreUrl(text, host.partition(".")[0], container, _safe(path, text))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _path_in_datastore(path: str, text: str) -> str:
    """What follows the datastore; ``paths/`` is missing in artifact URIs and in some printed samples."""
    return _safe(_PATHS.sub("", path, count=1) if _PATHS.match(path) else path, text)


def _safe(path: str, text: str) -> str:
    """``path`` without empty and ``.`` segments. Raises ReferenceInvalid for one that leads out."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise ReferenceInvalid(f"{text} leads out of its datastore: write the path without '..' segments.", target=text)
    tail = "/" if segments and path.endswith(("/", "/.")) else ""
    return "/".join(segments) + tail


def relative_parts(path: str) -> list[str]:
    """The segments of a path in a datastore. Raises ReferenceInvalid when it would lead out of it."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments or "\0" in path:
        raise ReferenceInvalid(
            f"The path {path!r} leads out of its datastore. Write it without '..' segments.", target=path
        )
    return segments


def datastore_to_register(url: ObjectStoreUrl) -> str:
    """The file of a datastore that would serve ``url``, as one line for a message."""
    if not url.account:
        return f"name: <name>, type: s3, bucket: {url.container}"
    return f"name: <name>, type: azure_blob, account_name: {url.account}, container_name: {url.container}"
