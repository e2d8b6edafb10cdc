"""The application: every route behind the gate, errors in one shape. ``serve`` and ``local`` build it.

It owns how a request becomes a ``Desk`` and a ``Body``; what is done with them stands in the routers.
"""

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from batchpoint.arm.envelope import data_plane_error, error_body
from batchpoint.errors import (
    BatchpointError,
    InternalError,
    MethodNotAllowed,
    Problem,
    ResourceNotFound,
    UserError,
    ValidationFailed,
)
from batchpoint.server.blobs.places import Places
from batchpoint.server.blobs.service import BlobService
from batchpoint.server.browser.visitors import Visitors
from batchpoint.server.identity.caller import NOBODY
from batchpoint.server.identity.gate import Gate
from batchpoint.server.identity.home import drawn_once, home_id_of, token_of
from batchpoint.server.identity.links import Links
from batchpoint.server.identity.policy import authorised, refuse_unguarded
from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.preflight.processes import Preflights
from batchpoint.server.routers import files, jobs, machine, partial, revisions, schemas, scoring, service, uploads
from batchpoint.server.routers.browser import documents, login
from batchpoint.server.routers.cloud import (
    connections,
    metadata,
    operations,
    storage_accounts,
    subscriptions,
    templates,
    tokens,
)
from batchpoint.server.routers.dataplane import endpoint_jobs, history, resolving
from batchpoint.server.routers.environments import builds
from batchpoint.server.routers.evidence import preflights, proofs
from batchpoint.server.routers.nouns import (
    assets,
    components,
    computes,
    datastores,
    deployments,
    endpoints,
    groups,
    workspaces,
)
from batchpoint.server.routers.people import audit, principals, roles
from batchpoint.server.transport.ascii_json import AsciiJson
from batchpoint.server.transport.audit import Audit, audit_file
from batchpoint.server.transport.canonical_paths import CanonicalPaths
from batchpoint.server.transport.error_answers import error_answer
from batchpoint.server.transport.limits.crowds import Crowds
from batchpoint.server.transport.limits.rates import RateLimit
from batchpoint.server.transport.names import extra_names
from batchpoint.server.transport.request_ids import RequestIds, current_request_id
from batchpoint.server.transport.tls.strict import StrictTransport
from batchpoint.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchpoint.store.store import Store

log = logging.getLogger(__name__)

# Assets come last: their routes have the kind as a variable.
ROUTERS = (
    subscriptions,
    templates,
    storage_accounts,
    operations,
    workspaces,
    groups,
    endpoints,
    deployments,
    scoring,
    endpoint_jobs,
    history,
    resolving,
    partial,
    proofs,
    preflights,
    builds,
    jobs,
    revisions,
    components,
    computes,
    datastores,
    uploads,
    files,
    service,
    machine,
    schemas,
    metadata,
    tokens,
    connections,
    login,
    documents,
    principals,
    roles,
    audit,
    assets,
)


def create_app(
    settings: Settings, store: "Store", job_arrived: "Callable[[], None]" = lambda: None, *, keeps_idle: bool = False
) -> FastAPI:
    """The application on ``store``; ``job_arrived`` is called after each invoke. ``keeps_idle``: it is a server's."""
    # No documentation routes: everything that answers stands behind the gate and in a router.
    app = Application(
        title="Batchpoint",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=AsciiJson,
    )
    # Drawn before the first question, so that a client on this home can compare.
    home_id_of(settings.home)
    links = Links(drawn_once(settings.home / "keys" / "links"))
    app.state.plane = ControlPlane(store, settings, job_arrived, links, keeps_idle)
    app.state.authority = Authority(store, settings)
    app.state.preflights = Preflights(settings)
    app.state.visitors = Visitors(app.state.authority, settings.home)
    _route(app)
    _add_layers(app, app.state.plane)
    _answer_errors(app)
    return app


def _add_layers(app: FastAPI, plane: ControlPlane) -> None:
    """What a request passes before it reaches a route; the layer that is added last is the outermost."""
    settings, hosts = plane.settings, frozenset(extra_names(plane.settings))
    app.add_middleware(CanonicalPaths)
    app.add_middleware(Crowds, most=settings.requests_in_progress if plane.keeps_idle else 0)
    app.add_middleware(RateLimit, per_second=settings.requests_per_second)
    app.add_middleware(
        Gate,
        owner_token=token_of(settings.home),
        links=plane.links,
        hosts=hosts,
        authority=app.state.authority,
        visitors=app.state.visitors,
        blobs=BlobService(Places(settings.home, plane.store)),
    )
    if settings.tls_certificate:
        # Under a certificate of our own making, a browser that was told so could not be let in any more.
        app.add_middleware(StrictTransport, hosts=hosts)
    app.add_middleware(Audit, file=audit_file(settings.home))


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(BatchpointError, _answer)
    app.add_exception_handler(HTTPException, _answer_unrouted)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_fault)


def _route(app: FastAPI) -> None:
    for module in ROUTERS:
        app.include_router(module.router, dependencies=[Depends(authorised)])
    refuse_unguarded(module.router for module in ROUTERS)


class Application(FastAPI):
    """A web application whose every answer has a request id: those of its outermost layer, too."""

    def build_middleware_stack(self) -> ASGIApp:
        return RequestIds(super().build_middleware_stack())


def _answer(request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, BatchpointError) else InternalError()
    is_owner = request.scope.get("state", {}).get("caller", NOBODY).is_owner
    return error_answer(known, is_owner=is_owner, widened=lambda body: _widened(request, body))


def _widened(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    if not request.url.path.startswith(data_plane_error.PREFIXES):
        return body
    location = request.app.state.plane.settings.location
    return data_plane_error.widened(body, current_request_id(), location, datetime.now(UTC))


def _answer_unrouted(request: Request, error: Exception) -> JSONResponse:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    message = f"This server has no {request.method} {request.url.path}."
    known = {404: ResourceNotFound, 405: MethodNotAllowed}.get(status, UserError)(
        message if status in {404, 405} else str(getattr(error, "detail", message))
    )
    body = _widened(request, error_body.to_json(known, current_request_id()))
    return AsciiJson(body, status_code=status, headers=headers)


def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    listed = tuple(Problem(str(p["loc"][-1]), f"{p['msg']}.") for p in problems)
    return _answer(request, ValidationFailed("request", listed))


def _answer_nobody(_: Request, __: Exception) -> Response:
    """The client has gone in the middle of its request: nobody's fault, and nobody reads what is answered."""
    return Response(status_code=400)


def _answer_fault(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed by a fault of ours", exc_info=error, extra={"path": request.url.path})
    message = (
        f"A fault inside the server: {type(error).__name__}: {error}. Its traceback is in the server's log; without a "
        "server, in the file server.log of the home folder."
    )
    return _answer(request, InternalError(message))
