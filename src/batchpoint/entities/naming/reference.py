"""How one noun points to another: every form that the field knows, read into one value.

The loader checks references with it, the server resolves them; it looks nothing up and opens no file.
"""

import re
from dataclasses import dataclass

from batchpoint.entities.naming import names
from batchpoint.errors import ReferenceInvalid

#: ARM's plural segment (lower case) → our word.
KINDS = {
    "codes": "code",
    "computes": "compute",
    "data": "data",
    "datasets": "data",
    "datastores": "datastore",
    "batchendpoints": "endpoint",
    "deployments": "deployment",
    "environments": "environment",
    "jobs": "job",
    "models": "model",
    "components": "component",
}
_NAME_RULES = {
    "compute": names.COMPUTE,
    "datastore": names.DATASTORE,
    "job": names.JOB,
    "endpoint": names.ENDPOINT,
    "deployment": names.DEPLOYMENT,
}
#: Kinds that have versions; a reference to one names a version or a label.
VERSIONED = frozenset({"code", "data", "environment", "model", "component"})
_SPOKEN = {"data": "a data asset", "code": "a code asset", "environment": "an environment", "endpoint": "an endpoint"}

_ARM = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<resource_group>[^/]+)"
    r"/providers/microsoft\.machinelearningservices/workspaces/(?P<workspace>[^/]+)/(?P<rest>.+)",
    re.IGNORECASE,
)
_ASSET_ID = re.compile(
    r"azureml://(?:registries/(?P<registry>[^/]+)/"
    r"|locations/(?P<location>[^/]+)/workspaces/(?P<workspace_at>[^/]+)/"
    r"|subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<resource_group>[^/]+)"
    r"(?:/providers/microsoft\.machinelearningservices)?/workspaces/(?P<workspace>[^/]+)/"
    r"|)(?P<rest>(?:codes|data|datasets|environments|models|components)/.+)",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?P<type>[^/]+)/(?P<name>[^/]+)"
    r"(?:/versions/labels/(?P<label_of_docs>[^/]+)|/versions/(?P<version>[^/]+)|/labels/(?P<label>[^/]+))?/?",
    re.IGNORECASE,
)
_UNDER_ENDPOINT = re.compile(r"batchendpoints/(?P<parent>[^/]*)/(?P<rest>.+)", re.IGNORECASE)
#: Two letters at least, so that nothing like a drive letter counts as a scheme.
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")


@dataclass(frozen=True)
class Reference:
    """A pointer to a noun by name, before anybody has looked for it."""

    #: model, data, environment, code, component, compute, datastore, job, endpoint or deployment.
    kind: str
    name: str
    version: str | None = None
    #: ``latest`` means the version created last.
    label: str | None = None
    subscription: str | None = None
    resource_group: str | None = None
    workspace: str | None = None
    #: Region of an asset id that names no subscription.
    location: str | None = None
    #: Set for an asset of a shared registry.
    registry: str | None = None
    #: The endpoint of a deployment's or a job's id.
    parent: str | None = None

    def __str__(self) -> str:
        if self.version:
            return f"azureml:{self.name}:{self.version}"
        return f"azureml:{self.name}@{self.label}" if self.label else f"azureml:{self.name}"


def parse(text: str, kind: str) -> Reference:
    """The reference that ``text`` spells where a ``kind`` is wanted, or ReferenceInvalid with a sentence."""
    plain = text.strip()
    if plain[:8].lower() == "azureml:":
        plain = "azureml:" + plain[8:]
    bare = plain.removeprefix("azureml:")
    if bare.lower().startswith("/subscriptions/"):
        reference = _of_arm_id(bare, text)
    elif plain.startswith("azureml://"):
        reference = _of_asset_id(plain, text)
    elif plain.startswith("azureml:") or kind not in VERSIONED:
        reference = _of_short_form(bare, kind, text)
    else:
        raise ReferenceInvalid(f"{_quoted(text)} is not a reference to {spoken(kind)}; {forms(kind)}", target=text)
    if reference.kind != kind:
        raise ReferenceInvalid(
            f"{_quoted(text)} is the id of {spoken(reference.kind)}, and {spoken(kind)} is wanted; "
            "write its id or its name",
            target=text,
        )
    return _complete(reference, text)


def forms(kind: str) -> str:
    """The spellings that are accepted for ``kind``, as a half sentence."""
    if kind in VERSIONED:
        return f"write azureml:<{kind} name>:<version> or azureml:<{kind} name>@latest"
    return f"write azureml:<{kind} name>"


def spoken(kind: str) -> str:
    """``kind`` with its article, for sentences."""
    return _SPOKEN.get(kind, f"a {kind}")


def is_reference(text: str) -> bool:
    """True for text that claims to be a reference: ``azureml:…`` or an ARM id, but not a data URI."""
    lowered = text.strip().lower()
    if lowered.startswith("azureml://"):
        return _ASSET_ID.fullmatch(lowered) is not None
    return lowered.startswith(("azureml:", "/subscriptions/"))


def is_local(text: str) -> bool:
    """True for a path on this machine; ``file:`` in front of it does not matter."""
    lowered = text.lower()
    return lowered.startswith("file:") or not (_SCHEME.match(text) or lowered.startswith("/subscriptions/"))


def _quoted(text: str) -> str:
    return f'"{text if len(text) <= 120 else text[:117] + "..."}"'


def _of_arm_id(path: str, text: str) -> Reference:
    found = _ARM.fullmatch(path)
    if not found:
        raise ReferenceInvalid(
            f"{_quoted(text)} is not a complete id; it reads /subscriptions/<id>/resourceGroups/<group>/providers/"
            "Microsoft.MachineLearningServices/workspaces/<workspace>/<type>/<name>",
            target=text,
        )
    parts = found.groupdict()
    rest, parent = parts["rest"], None
    below = _UNDER_ENDPOINT.fullmatch(rest)
    if below and "/" in below["rest"]:
        rest, parent = below["rest"], below["parent"] or None
    kind, name, version, label = _tail(rest, text)
    return Reference(
        kind, name, version, label, parts["subscription"], parts["resource_group"], parts["workspace"], parent=parent
    )


def _of_asset_id(path: str, text: str) -> Reference:
    found = _ASSET_ID.fullmatch(path)
    if not found:
        raise ReferenceInvalid(
            f"{_quoted(text)} is not the id of an asset; it reads azureml://registries/<registry>/<type>/<name>/versions/<version>"
            " or azureml://subscriptions/…/workspaces/<workspace>/<type>/<name>/versions/<version>",
            target=text,
        )
    parts = found.groupdict()
    kind, name, version, label = _tail(parts["rest"], text)
    workspace = parts["workspace"] or parts["workspace_at"]
    return Reference(
        kind,
        name,
        version,
        label,
        parts["subscription"],
        parts["resource_group"],
        workspace,
        parts["location"],
        parts["registry"],
    )


def _tail(rest: str, text: str) -> tuple[str, str, str | None, str | None]:
    found = _TAIL.fullmatch(rest)
    kind = KINDS.get(found["type"].lower()) if found else None
    if not found or kind is None:
        raise ReferenceInvalid(
            f"{_quoted(text)} does not end in <type>/<name>; types are {', '.join(KINDS)}", target=text
        )
    return kind, found["name"], found["version"], found["label"] or found["label_of_docs"]


def _of_short_form(bare: str, kind: str, text: str) -> Reference:
    # Published samples carry a stray slash: azureml:/name@latest.
    body = bare.removeprefix("/")
    body, at, label = body.partition("@")
    name, colon, version = body.partition(":")
    if at and colon:
        raise ReferenceInvalid(
            f"{_quoted(text)} gives a version and a label; keep one: :<version> or @<label>", target=text
        )
    if (at and not label) or (colon and not version):
        raise ReferenceInvalid(
            f"{_quoted(text)} ends after {(at or colon)!r}; {forms(kind)}".replace("'", '"'), target=text
        )
    if (at or colon) and kind not in VERSIONED:
        raise ReferenceInvalid(f"{_quoted(text)}: {spoken(kind)} has no versions; {forms(kind)}", target=text)
    return Reference(kind, name, version or None, label or None)


def _complete(reference: Reference, text: str) -> Reference:
    found = list(_NAME_RULES.get(reference.kind, names.ASSET).problems(reference.name))
    if reference.version is not None:
        found += names.VERSION.problems(reference.version)
    # A component without a version means its default version.
    elif reference.kind in VERSIONED - {"component"} and reference.label is None:
        found.append(f"{_quoted(text)} names neither a version nor a label; {forms(reference.kind)}")
    if found:
        raise ReferenceInvalid("; ".join(found), target=text)
    return reference
