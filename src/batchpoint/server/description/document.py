"""The OpenAPI document of this server: its routes as the web framework knows them, with the nouns as their bodies.

``routers.browser.documents`` answers with it, ``docs/generate.py`` writes it down. It knows no request and no store.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from batchpoint.entities.workspace import PROVIDER
from batchpoint.server.description import bodies
from batchpoint.server.identity.openings import is_open_route

Operation = dict[str, Any]

#: Segment of a path → what stands behind it.
_NOUNS = {
    "workspaces": "Workspace",
    "batchEndpoints": "Endpoint",
    "deployments": "Deployment",
    "computes": "Compute",
    "datastores": "Datastore",
    "models": "Model",
    "data": "Data",
    "datasets": "Data",
    "environments": "Environment",
    "codes": "Code",
    "jobs": "Job",
}
#: Kinds of assets, which share their routes.
_KINDS = ("models", "data", "datasets", "environments", "codes")
_PAGED = [
    {"name": "$top", "in": "query", "schema": {"type": "integer", "minimum": 1}, "description": "Entries of a page."},
    {"name": "$skip", "in": "query", "schema": {"type": "integer", "minimum": 0}, "description": "Entries before it."},
]
_ABOUT = """\
The routes and bodies that Azure Machine Learning has for batch endpoints, and a few of our own below /batchpoint/v1.

Any `api-version` is taken. Fixed words of a path may be written in any casing. Bodies are read leniently: trailing
commas, numbers as texts, any casing of keys; keys that are not known are ignored. Every error has the shape of the
schema Error.
"""


def described(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The document for ``routes``."""
    found = get_openapi(title="Batchpoint", version=_version(), openapi_version="3.0.3", routes=list(routes))
    found["info"]["description"] = _ABOUT
    paths: dict[str, dict[str, Operation]] = {}
    for path, operations in found["paths"].items():
        for kind in _KINDS if "{segment}" in path else ("",):
            place = paths.setdefault(path.replace("{segment}", kind), {})
            for method, operation in operations.items():
                place[method] = _operation(method, path, kind, operation)
    schemas = {name: {**bodies.schema(name), **_example(name)} for name in bodies.DESCRIBED}
    found["paths"] = paths
    found["components"] = {
        "schemas": {**schemas, "Error": _ERROR, "TokenError": _TOKEN_ERROR},
        "responses": {"Error": _answer("What is wrong, and what to do about it.", _referred("Error"))},
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    }
    found["security"] = [{"bearer": []}]
    return found


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "description": "What `batchpoint explain` explains."},
                "message": {"type": "string"},
                "target": {"description": "What it is about: a key, a name, a path; nothing or null if it is all."},
                "details": {"type": "array", "items": {"type": "object"}},
                "additionalInfo": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}

#: What token endpoints say.
_TOKEN_ERROR = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}


@dataclass(frozen=True)
class _Path:
    """What the words of a path say about the body that travels there."""

    #: The noun that it is about, for its heading.
    tag: str
    #: The noun that is sent and answered; empty for what is none.
    noun: str
    is_list: bool = False


def _read(path: str) -> _Path:
    words = [word for word in path.rpartition(f"/providers/{PROVIDER}/")[2].split("/") if word]
    nouns = [_NOUNS[word] for word in words if word in _NOUNS]
    if not nouns or path.startswith("/batchpoint/"):
        return _Path("Server", "")
    is_named = words[-1].startswith("{")
    last = words[-2] if is_named else words[-1]
    if last in ("versions", "labels"):
        return _Path(nouns[-1], nouns[-1], is_list=not is_named)
    if last not in _NOUNS or not path.startswith(("/subscriptions/", "/endpoints/")):
        return _Path(nouns[-1], "")
    if last in _KINDS:
        return _Path(nouns[-1], "Container", is_list=not is_named)
    is_of_endpoint = last == "jobs" and not {"endpoints", "batchEndpoints"}.isdisjoint(words)
    return _Path(nouns[-1], "EndpointJob" if is_of_endpoint else nouns[-1], is_list=not is_named)


def _operation(method: str, path: str, kind: str, before: Operation) -> Operation:
    about = _read(path.replace("{segment}", kind))
    is_list = about.is_list and method == "get"
    parameters = [one for one in before.get("parameters", []) if one["name"] != "segment"]
    operation = {
        "tags": [about.tag],
        "summary": before["summary"],
        "operationId": f"{before['operationId']}{f'_{kind}' if kind else ''}",
        "parameters": parameters + (_PAGED if is_list else []),
        "responses": {**_responses(method, before, about.noun, is_list), **_failures(path)},
    }
    if text := before.get("description"):
        operation["description"] = text
    if method in ("put", "patch", "post"):
        operation["requestBody"] = _request(method, path, before, about.noun)
    if is_open_route(method.upper(), path):
        operation["security"] = []
    return operation


def _responses(method: str, before: Operation, noun: str, is_list: bool) -> dict[str, Any]:
    said = {"description": "Done."}
    if method == "delete":
        return {"200": {"description": "Deleted."}, "204": {"description": "There was none."}}
    if noun:
        shape = _referred(noun)
        shown = _answer("Found.", _list_of(shape) if is_list else shape)
        return {"200": shown, "201": shown} if method in ("put", "post") else {"200": shown}
    codes = [code for code in before["responses"] if code != "422"]
    return dict.fromkeys(codes, said)


def _failures(path: str) -> dict[str, Any]:
    if path.endswith("/token"):
        return {"default": _answer("What is wrong, as OAuth 2.0 says it.", _referred("TokenError"))}
    return {code: {"$ref": "#/components/responses/Error"} for code in ("400", "401", "403", "404", "409", "default")}


def _request(method: str, path: str, before: Operation, noun: str) -> dict[str, Any]:
    if "requestBody" in before:
        found: dict[str, Any] = before["requestBody"]
        return found
    if method == "put" and "/uploads/" in path:
        return {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    wanted = "Invocation" if method == "post" and noun == "EndpointJob" else noun
    schema = _referred(wanted) if wanted else {"type": "object"}
    return {"required": bool(wanted), "content": {"application/json": {"schema": schema}}}


def _example(name: str) -> dict[str, Any]:
    found = bodies.example(name)
    return {} if found is None else {"example": found}


def _list_of(shape: dict[str, Any]) -> dict[str, Any]:
    properties = {"value": {"type": "array", "items": shape}, "nextLink": {"type": "string"}}
    return {"type": "object", "required": ["value"], "properties": properties}


def _answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _referred(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _version() -> str:
    try:
        return version("batchpoint")
    except PackageNotFoundError:
        return "0"
