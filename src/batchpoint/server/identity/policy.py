"""Whether a caller may do what is asked: one dependency in front of every route, and the check that none goes without.

Which action a route needs stands in ``actions``, what is open to all in ``openings``, what roles allow in ``roles``.
"""

from collections.abc import Iterable

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute

from batchpoint.arm.assets import KIND
from batchpoint.entities.job import job_of_step
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import AccessDenied, AuthorizationFailed, BatchpointError, InternalError
from batchpoint.server.identity.actions import ML, Need, Place, filled, need_of, place_in_path
from batchpoint.server.identity.caller import NOBODY, Caller, Grant, caller_of
from batchpoint.server.identity.openings import is_open_route
from batchpoint.server.identity.roles import BUILT_IN
from batchpoint.server.lookup import ControlPlane, no_endpoint, no_job

#: Who may read this of a workspace knows that its endpoints and jobs exist.
_SIGHT_OF = {Place.ENDPOINT: f"{ML}/batchEndpoints/read", Place.JOB: f"{ML}/experiments/runs/read"}


def authorised(request: Request) -> None:
    """Lets a request pass or raises AuthorizationFailed; ResourceNotFound where the caller may not know of the noun."""
    caller, template, state = caller_of(request), request.scope["route"].path, request.scope["state"]
    if is_open_route(request.method, template):
        return
    need = need_of(request.method, filled(template, request.path_params))
    # For the audit log, whose middleware lies further out.
    state["action"] = need.action if need else ""
    state["place"] = place_in_path(request.path_params)
    if caller.is_owner:
        return
    if caller is NOBODY:
        raise AccessDenied(target="Authorization")
    if need is None:
        raise AuthorizationFailed(f"{request.method} {template} is for the owner of the home alone.")
    if need.place is Place.CALLER:
        return
    place, unknown = _place(request, need)
    state["place"] = place
    # Without a place there is no such noun, as the route will say.
    if place and not caller.may(need.action, place):
        if unknown is not None and not caller.may(_SIGHT_OF[need.place], place):
            raise unknown
        raise refusal(caller, need.action, place)


def _place(request: Request, need: Need) -> tuple[str, BatchpointError | None]:
    """The id of where the action happens, and what is said to those who may not know of it."""
    parameters = request.path_params
    if need.place is Place.PATH:
        return place_in_path(parameters), None
    if need.place is Place.SERVER:
        return "/", None
    plane = request.app.state.plane
    assert isinstance(plane, ControlPlane)
    if need.place is Place.ENDPOINT:
        key = plane.store.endpoint_workspace(parameters["endpoint"])
        place = Workspace(*key.split("/")).arm_id if key else ""
        return place, no_endpoint(parameters["endpoint"])
    name = parameters["job"]
    job = plane.store.find_job(name) or plane.store.find_job(job_of_step(name) or name)
    return (job.id or "/") if job else "", no_job(name)


def refusal(caller: Caller, action: str, place: str) -> AuthorizationFailed:
    """Who may not do what where, and the command that would allow it."""
    role = next((role.name for role in BUILT_IN if Grant("/", role).covers(action, "/")), "Owner")
    return AuthorizationFailed(
        f"{caller.name} (object id {caller.id}) may not do {action} at {place}. Whoever may give roles there can allow "
        f"it with: batchpoint role assign --assignee {caller.id} --role '{role}' --scope {place}",
        target=place,
    )


def refuse_unguarded(routers: Iterable[APIRouter]) -> None:
    """Raises InternalError for a route that nobody has decided about: neither open, nor with an action."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise InternalError(f"{route} is no route that a policy can stand in front of.")
            for method in sorted(route.methods or ()):
                _refuse_undecided(method, route.path)


def _refuse_undecided(method: str, template: str) -> None:
    if is_open_route(method, template):
        return
    kinds = KIND if "{segment}" in template else ("",)
    if any(need_of(method, filled(template, {"segment": kind})) is None for kind in kinds):
        raise InternalError(
            f"{method} {template} has no policy: say in server/identity/actions.py which action it needs, or in "
            "server/identity/openings.py why anybody may ask for it."
        )
