"""How a request reaches a router: the desk of its workspace, its body, and lists cut into pages."""

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from batchpoint.arm.envelope.reading import Body, parse_body
from batchpoint.entities.job import Job
from batchpoint.entities.noun import ListView
from batchpoint.entities.workspace import PROVIDER, Workspace
from batchpoint.errors import ReferenceInvalid, RequestTooLarge
from batchpoint.server.identity.caller import Caller, caller_of
from batchpoint.server.lookup import ControlPlane, Desk, no_workspace
from batchpoint.server.transport.ascii_json import AsciiJson
from batchpoint.store.records import ListPart, RequestKey

WORKSPACE_PATH = (
    f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{PROVIDER}/workspaces/{{workspace}}"
)

#: Bytes of a body that takes so long to read that other requests would wait for it.
_LONG_BODY = 64 << 10
#: Entries of a page when nobody says how many, and at most.
_PAGE, _PAGE_MAX = 100, 1000
_VIEWS: dict[str, ListView] = {"activeonly": "ActiveOnly", "archivedonly": "ArchivedOnly", "all": "All"}
#: No list is longer than such a number.
_DIGITS_MAX = 18


def plane(request: Request) -> ControlPlane:
    found = request.app.state.plane
    assert isinstance(found, ControlPlane)
    return found


def caller(request: Request) -> Caller:
    return caller_of(request)


def desk(request: Request, subscription: str, group: str, workspace: str) -> Desk:
    """The desk of the workspace in the path; 404 when nobody created it."""
    found = Desk(plane(request), Workspace(subscription, group, workspace), server_of(request), caller_of(request))
    if not found.workspace.is_default and found.store.get_workspace(found.key) is None:
        raise no_workspace(found.workspace)
    return found


def server_of(request: Request) -> str:
    return str(request.base_url).rstrip("/")


async def body(request: Request) -> Body:
    """The JSON object that was sent, read leniently; UserError when it is none, RequestTooLarge when it is too long."""
    limit_mb = plane(request).settings.json_body_limit_mb
    said = request.headers.get("content-length", "")
    if said.isdecimal() and len(said) <= _DIGITS_MAX and int(said) > limit_mb << 20:
        # Nothing is read of one that says itself that it is too long.
        raise _too_large(limit_mb)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit_mb << 20:
            raise _too_large(limit_mb)
    if len(raw) > _LONG_BODY:
        return await run_in_threadpool(parse_body, bytes(raw))
    return parse_body(bytes(raw))


def _too_large(limit_mb: int) -> RequestTooLarge:
    how = "Upload data as files, or raise the setting json_body_limit_mb of the server."
    return RequestTooLarge(f"The request body is larger than {limit_mb} MB. {how}", target="body")


AtDesk = Annotated[Desk, Depends(desk)]
AtPlane = Annotated[ControlPlane, Depends(plane)]
By = Annotated[Caller, Depends(caller)]
Sent = Annotated[Body, Depends(body)]


def request_key(request: Request, sent: Sent) -> RequestKey | None:
    """By what the request is known when it is sent again to the same address; None when it brings no key."""
    said = request.headers
    shown = said.get("Idempotency-Key") or said.get("repeatability_request-id")
    if not shown:
        return None
    address = request.url.path.rstrip("/").lower()
    asks = _digest(said.get("azureml-model-deployment", ""), sent.canonical())
    # The key of somebody else is another key, also where the words are the same.
    return RequestKey(_digest(caller_of(request).id, address, shown), asks, shown)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


SameRequest = Annotated[RequestKey | None, Depends(request_key)]


def page(request: Request, values: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a list, with the link to the next."""
    skip = _number(request, "$skip", 0)
    top = _wanted(request)
    answer: dict[str, Any] = {"value": values[skip : skip + top]}
    if skip + top < len(values):
        answer["nextLink"] = str(request.url.include_query_params(**{"$skip": skip + top}))
    return answer


def page_of_jobs(
    request: Request, read: Callable[[ListPart], dict[int, Job]], shown: Callable[[Job], dict[str, Any]]
) -> AsciiJson:
    """One page of a list of jobs. The link to the next says where this one ended, not how many there were before it:
    jobs that arrive meanwhile shift nothing.
    """
    top = _wanted(request)
    # One more than is shown tells whether there is a next page.
    found = read(ListPart(top + 1, _place(request), _number(request, "$skip", 0)))
    answer: dict[str, Any] = {"value": [shown(job) for job in list(found.values())[:top]]}
    if len(found) > top:
        url = request.url.remove_query_params(["$skip", "$skipToken", "$skiptoken"])
        answer["nextLink"] = str(url.include_query_params(**{"$skipToken": f"{list(found)[top - 1]:x}"}))
    return AsciiJson(answer)


def _place(request: Request) -> int | None:
    """Where the page before ended. It opens nothing: whoever makes one up reads the list that is theirs from there."""
    token = request.query_params.get("$skipToken", request.query_params.get("$skiptoken"))
    if token is None:
        return None
    if not re.fullmatch("[0-9a-f]{1,15}", token):
        raise ReferenceInvalid(
            f"$skipToken {token[:80]!r} is none of ours. Follow the nextLink of the page before as it is.",
            target="$skipToken",
        )
    return int(token, 16)


def _wanted(request: Request) -> int:
    """How many entries a page is to have. Who asks for very many gets fewer, and a link to the next ones."""
    top = _number(request, "$top", _number(request, "count", _PAGE)) or _PAGE
    return min(top, _PAGE_MAX)


def view_of(request: Request) -> ListView:
    """Whether a list shows what is archived: ``?listViewType=ActiveOnly|ArchivedOnly|All``."""
    text = request.query_params.get("listViewType")
    if text is None:
        return "ActiveOnly"
    found = _VIEWS.get(text.lower())
    if found is None:
        raise ReferenceInvalid(f"listViewType must be one of {', '.join(_VIEWS.values())}.", target="listViewType")
    return found


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > _DIGITS_MAX:
        raise ReferenceInvalid(f"{name} must be a number, not {text[:80]!r}.", target=name)
    return int(text)
