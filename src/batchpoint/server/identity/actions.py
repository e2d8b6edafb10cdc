"""Which action each route needs, and where: read off its method and template, with the exceptions in one table.

``policy`` asks it for each request, ``create_app`` for each route. It knows no caller and no store.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache

from batchpoint.entities.workspace import PROVIDER

#: What stands before every action on what a workspace holds.
ML = f"{PROVIDER}/workspaces"
AUTHORIZATION = "Microsoft.Authorization"


class Place(Enum):
    """Of what the caller must have the action."""

    #: The subscription, resource group or workspace that the path names.
    PATH = "path"
    #: The workspace of the endpoint that the path names.
    ENDPOINT = "endpoint"
    #: The workspace of the job that the path names.
    JOB = "job"
    #: The whole server.
    SERVER = "server"
    #: Everybody known may ask; the route answers with what that caller may see.
    CALLER = "caller"


@dataclass(frozen=True)
class Need:
    """What a route asks of its caller."""

    action: str
    place: Place = Place.PATH


_RUNS_READ = f"{ML}/experiments/runs/read"
_INVOKE = f"{ML}/batchEndpoints/jobs/write"
_BRING_DATA = f"{ML}/data/versions/write"
_DATA_READ = f"{ML}/datasets/registered/read"
_CODE_READ, _CODE_WRITE = f"{ML}/metadata/snapshots/read", f"{ML}/metadata/artifacts/write"
_SIGHT = Need("", Place.CALLER)
_PREFLIGHTS = "/batchpoint/v1/preflights/{subscription}/{group}/{workspace}"

#: Method, template, need. ``*`` stands for any text, ``/**`` at the end for the route itself and all below it. The
#: first that matches counts; for what matches none the action is read off its path.
_EXCEPTIONS: tuple[tuple[str, str, Need], ...] = (
    # Our own routes, which name no workspace.
    ("GET", "/batchpoint/v1/info", _SIGHT),
    ("GET", "/batchpoint/v1/openapi.json", _SIGHT),
    ("GET", "/batchpoint/v1/session", _SIGHT),
    ("GET", "/", _SIGHT),
    ("GET", "/docs", _SIGHT),
    ("GET", "/batchpoint/v1/jobs/{job}/*", Need(_RUNS_READ, Place.JOB)),
    ("GET", "/batchpoint/v1/roles/**", _SIGHT),
    ("*", "/batchpoint/v1/roles/**", Need(f"{AUTHORIZATION}/roleDefinitions/write", Place.SERVER)),
    # Whether the caller may, depends on the scope of the assignment.
    ("*", "/batchpoint/v1/assignments/**", _SIGHT),
    ("GET", "/batchpoint/v1/users/**", Need(f"{AUTHORIZATION}/principals/read", Place.SERVER)),
    ("*", "/batchpoint/v1/users/**", Need(f"{AUTHORIZATION}/principals/write", Place.SERVER)),
    ("GET", "/batchpoint/v1/principals/**", Need(f"{AUTHORIZATION}/principals/read", Place.SERVER)),
    ("*", "/batchpoint/v1/principals/**", Need(f"{AUTHORIZATION}/principals/write", Place.SERVER)),
    # The name of an operation proves itself; a connection is the caller's own, or is refused where it is made.
    ("GET", f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}/operationsStatus/*", _SIGHT),
    ("*", "/batchpoint/v1/connections", _SIGHT),
    ("POST", "/batchpoint/v1/keys/rotate", Need(f"{AUTHORIZATION}/keys/write", Place.SERVER)),
    ("GET", "/batchpoint/v1/audit", Need(f"{AUTHORIZATION}/audit/read", Place.SERVER)),
    # Checks before there is a job: the start of one needs what it tries out; the rest is its starter's alone.
    ("POST", f"{_PREFLIGHTS}/deployments", Need(f"{ML}/batchEndpoints/deployments/write")),
    ("POST", f"{_PREFLIGHTS}/endpoints/{{endpoint}}", Need(_INVOKE)),
    ("*", "/batchpoint/v1/preflights/{preflight}", _SIGHT),
    # Jobs by the name of their endpoint.
    ("GET", "/endpoints/{endpoint}/jobs/**", Need(_RUNS_READ, Place.ENDPOINT)),
    ("POST", "/endpoints/{endpoint}/jobs", Need(_INVOKE, Place.ENDPOINT)),
    # Lists of what a caller may see.
    ("GET", "/tenants", _SIGHT),
    ("GET", "/subscriptions", _SIGHT),
    ("GET", "/subscriptions/{subscription}", _SIGHT),
    ("GET", "/subscriptions/{subscription}/locations", _SIGHT),
    ("GET", "/subscriptions/{subscription}/providers", _SIGHT),
    ("GET", "/subscriptions/{subscription}/providers/{provider}", _SIGHT),
    ("GET", f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}/vmSizes", _SIGHT),
    ("GET", "/subscriptions/{subscription}/resourceGroups", _SIGHT),
    ("GET", f"/subscriptions/{{subscription}}*/providers/{PROVIDER}/workspaces", _SIGHT),
    # Whose account it is, says which workspace counts.
    ("*", "/subscriptions/{subscription}*/providers/Microsoft.Storage/storageAccounts*", _SIGHT),
    # Content is sent before it is registered as what it is.
    ("*", "/batchpoint/v1/uploads/{subscription}/{group}/{workspace}/**", Need(_BRING_DATA)),
    ("GET", "/batchpoint/v1/environments/{subscription}/{group}/{workspace}/**", Need(f"{ML}/environments/read")),
    ("POST", "/batchpoint/v1/environments/{subscription}/{group}/{workspace}/**", Need(f"{ML}/environments/write")),
    # Jobs are runs of an experiment.
    ("PATCH", "/history/v1.0/*", Need(f"{ML}/experiments/runs/write")),
    ("*", "/history/v1.0/*", Need(_RUNS_READ)),
    ("GET", "/mferp/managementfrontend/*", Need(_RUNS_READ)),
    ("POST", "*/workspaces/{workspace}/jobs/{job}/redrive", Need(_INVOKE)),
    ("POST", "*/workspaces/{workspace}/jobs/{job}/resume", Need(_INVOKE)),
    ("POST", "*/workspaces/{workspace}/jobs/{job}/rerun", Need(_INVOKE)),
    ("GET", "*/workspaces/{workspace}/jobs/**", Need(_RUNS_READ)),
    ("PUT", "*/workspaces/{workspace}/jobs/{job}", Need(f"{ML}/experiments/runs/write")),
    ("GET", "*/batchEndpoints/{endpoint}*/jobs/**", Need(_RUNS_READ)),
    ("POST", "*/batchEndpoints/{endpoint}/jobs", Need(_INVOKE)),
    ("POST", "*/deployments/{deployment}/jobs", Need(f"{ML}/batchEndpoints/deployments/jobs/write")),
    # Data assets under both their names, and code, have actions that are older than their paths.
    ("POST", "/data/v1.0/*/batchGetResolvedUris", Need(_DATA_READ)),
    ("GET", "*/workspaces/{workspace}/data/**", Need(_DATA_READ)),
    ("GET", "*/workspaces/{workspace}/datasets/**", Need(_DATA_READ)),
    ("DELETE", "*/workspaces/{workspace}/datasets/**", Need(f"{ML}/datasets/registered/delete")),
    ("*", "*/workspaces/{workspace}/datasets/**", Need(f"{ML}/datasets/registered/write")),
    ("GET", "*/workspaces/{workspace}/codes/**", Need(_CODE_READ)),
    ("DELETE", "*/workspaces/{workspace}/codes/**", Need(f"{ML}/codes/delete")),
    ("*", "*/workspaces/{workspace}/codes/**", Need(_CODE_WRITE)),
)

#: Kinds whose versions need what their names need.
_UNVERSIONED = frozenset({"models", "environments", "components"})
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_PARAMETER = re.compile(r"\{(\w+)(:\w+)?\}")
#: In the place of a name stands a word that says what the rest is.
_WORDS_IN_PARAMETERS = frozenset({"segment", "verb"})


@lru_cache(maxsize=2048)
def need_of(method: str, template: str) -> Need | None:
    """What a request to the route needs; None where nobody has decided it.

    Of the parameters of ``template``, those that stand for a word are to be filled in: see ``filled``.
    """
    for of_method, pattern, need in _EXCEPTIONS:
        if of_method in ("*", method if method != "HEAD" else "GET") and _matches(template, pattern):
            return need
    return _read_off(method, template)


def filled(template: str, parameters: Mapping[str, str]) -> str:
    """``template`` with the words that stand in its parameters: ``…/{segment}/{name}`` → ``…/models/{name}``."""
    for word in _WORDS_IN_PARAMETERS & parameters.keys():
        template = template.replace(f"{{{word}}}", parameters[word])
    return template


def place_in_path(parameters: Mapping[str, str]) -> str:
    """The id of the narrowest of subscription, group and workspace that the path names; ``/`` if it names none."""
    if "subscription" not in parameters:
        return "/"
    place = f"/subscriptions/{parameters['subscription']}"
    if "group" in parameters:
        place += f"/resourceGroups/{parameters['group']}"
        if "workspace" in parameters:
            place += f"/providers/{PROVIDER}/workspaces/{parameters['workspace']}"
    return place


def _matches(template: str, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return fnmatchcase(template, pattern[:-3]) or fnmatchcase(template, pattern[:-1])
    return fnmatchcase(template, pattern)


def _read_off(method: str, template: str) -> Need | None:
    """``PUT …/workspaces/{w}/batchEndpoints/{e}`` → ``…/workspaces/batchEndpoints/write``; None for other paths."""
    _, found, path = template.rpartition("/providers/")
    if not found:
        _, found, rest = template.partition("/subscriptions/{subscription}")
        path = f"Microsoft.Resources/subscriptions{rest}"
    if not found:
        return None
    words = [word for word in path.split("/") if not _PARAMETER.fullmatch(word)]
    if len(words) > 2 and words[2] in _UNVERSIONED:
        words = [word for word in words if word not in ("versions", "labels", "files")]
    verb = _VERBS.get(method)
    # The first half of writing a version.
    if words[-1] == "startPendingUpload":
        words, verb = words[:-1], "write"
    if verb is None and method != "POST":
        return None
    return Need("/".join([*words, verb or "action"]))
