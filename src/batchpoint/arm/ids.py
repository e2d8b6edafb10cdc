"""The ids of every noun, and every way to refer to one (contract §1.4).

``arm``, ``client`` and ``server`` build and read ids here and nowhere else. It knows no store: whether the thing exists
is not its business.
"""

import re
from dataclasses import dataclass

from batchpoint.entities.workspace import PROVIDER, Workspace
from batchpoint.errors import ReferenceInvalid

#: Path segments of ARM ids by noun; ``data`` has the 2021 alias ``datasets``.
SEGMENTS = (
    "batchEndpoints",
    "deployments",
    "codes",
    "computes",
    "data",
    "datastores",
    "environments",
    "jobs",
    "models",
)
_CANONICAL = {segment.lower(): segment for segment in SEGMENTS} | {"datasets": "data"}

LATEST = "latest"

_ARM = re.compile(
    r"/?subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)"
    r"(?:/providers/microsoft\.machinelearningservices)?/workspaces/(?P<workspace>[^/]+)/(?P<rest>.+)",
    re.IGNORECASE,
)
_LOCATION = re.compile(r"locations/[^/]+/workspaces/[^/]+/(?P<rest>.+)", re.IGNORECASE)
_REST = re.compile(
    r"(?P<kind>[a-z]+)/(?P<name>[^/]+)"
    r"(?:/versions/labels/(?P<label1>[^/]+)|/labels/(?P<label2>[^/]+)|/versions/(?P<version>[^/]+))?/?",
    re.IGNORECASE,
)
_NAME = re.compile(r"/?(?P<name>[A-Za-z0-9][A-Za-z0-9_.\-]{0,254})(?:[:](?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")

FORMS = (
    "azureml:<name>:<version>, azureml:<name>@latest, the full id that starts with /subscriptions/, "
    "or an azureml:// asset id"
)


@dataclass(frozen=True)
class Reference:
    """What a reference names. ``version`` and ``label`` exclude each other; neither means "whatever is the default"."""

    #: ARM segment: models, environments, data, …
    kind: str
    name: str
    version: str = ""
    label: str = ""
    #: None: the workspace of the request.
    workspace: Workspace | None = None

    def __str__(self) -> str:
        tail = f":{self.version}" if self.version else f"@{self.label}" if self.label else ""
        return f"azureml:{self.name}{tail}"


def endpoint_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/batchEndpoints/{name}"


def deployment_id(workspace: Workspace, endpoint: str, name: str) -> str:
    return f"{workspace.arm_id}/batchEndpoints/{endpoint}/deployments/{name}"


def asset_id(workspace: Workspace, kind: str, name: str, version: str) -> str:
    """The id of a model, environment, data or code version; ``kind`` is the ARM segment."""
    return f"{workspace.arm_id}/{kind}/{name}/versions/{version}"


def compute_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/computes/{name}"


def datastore_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/datastores/{name}"


def job_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/jobs/{name}"


def endpoint_job_id(workspace: Workspace, endpoint: str, name: str) -> str:
    return f"{workspace.arm_id}/batchEndpoints/{endpoint}/jobs/{name}"


def type_of(arm_id: str) -> str:
    """The ARM type of an id, e.g. ``Microsoft.MachineLearningServices/workspaces/models/versions``."""
    segments = arm_id.partition(f"{PROVIDER}/")[2].split("/")
    return "/".join([PROVIDER, *segments[::2]])


def parse_reference(text: str, kind: str, *, prefix_needed: bool = True) -> Reference:
    """Read a reference to a ``kind``; ``prefix_needed=False`` also takes a bare name, as for computes.

    Raises ReferenceInvalid, naming the forms, when ``text`` is none of them or names another kind.
    """
    body = text.strip()
    stripped = body[len("azureml:") :] if body.lower().startswith("azureml:") else body
    if stripped.startswith("//registries/"):
        raise ReferenceInvalid(f"{text!r} names a shared registry; there are none here. Register a copy.", target=text)
    found = _parse_id(stripped.lstrip("/"), text, kind)
    if found:
        return found
    name = _NAME.fullmatch(stripped)
    if name and (stripped is not body or not prefix_needed):
        return Reference(kind, name["name"], name["version"] or "", name["label"] or "")
    raise _unreadable(text, kind)


def _parse_id(path: str, text: str, kind: str) -> Reference | None:
    """``path`` without scheme and leading slashes; None when it does not look like an id at all."""
    arm = _ARM.fullmatch(path)
    location = None if arm else _LOCATION.fullmatch(path)
    rest = arm["rest"] if arm else location["rest"] if location else path
    parsed = _REST.fullmatch(rest)
    if not parsed or (not arm and not location and parsed["kind"].lower() not in _CANONICAL):
        if arm or location:
            raise _unreadable(text, kind)
        return None
    if _CANONICAL.get(parsed["kind"].lower()) != kind:
        raise ReferenceInvalid(f"{text!r} refers to {parsed['kind']}, but {kind} are expected here.", target=text)
    workspace = Workspace(arm["subscription"], arm["group"], arm["workspace"]) if arm else None
    label = parsed["label1"] or parsed["label2"] or ""
    return Reference(kind, parsed["name"], parsed["version"] or "", label, workspace)


def _unreadable(text: str, kind: str) -> ReferenceInvalid:
    return ReferenceInvalid(f"{text!r} is not a reference to {kind}. Write {FORMS}.", target=text)


def last_segment(arm_id: str) -> str:
    """The name at the end of an id, or the text itself: ``azureml:cpu`` and ``…/computes/cpu`` both give ``cpu``."""
    return arm_id.rstrip("/").rpartition("/")[2].removeprefix("azureml:")
