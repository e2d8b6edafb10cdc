"""Preflights: a deployment that might be created, or an invocation that might be sent, is checked and nothing is kept.

A preflight is started, asked about until it has ended, and ended by who started it; nobody else sees it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from batchpoint.arm import invocation as invocation_wire
from batchpoint.arm.envelope.reading import build
from batchpoint.entities.data import Input
from batchpoint.entities.deployment import Deployment
from batchpoint.server.identity.actions import ML
from batchpoint.server.identity.policy import refusal
from batchpoint.server.lookup import Desk
from batchpoint.server.preflight.processes import Preflights
from batchpoint.server.preflight.wishes import of_deployment, of_invocation
from batchpoint.server.routers.asked import AtDesk, By, Sent
from batchpoint.server.routers.scoring import DeploymentHeader

router = APIRouter(prefix="/batchpoint/v1/preflights")

_WORKSPACE = "/{subscription}/{group}/{workspace}"
_INVOKE = f"{ML}/batchEndpoints/jobs/write"


def _preflights(request: Request) -> Preflights:
    found = request.app.state.preflights
    assert isinstance(found, Preflights)
    return found


Since = Annotated[int, Query(ge=0, le=1 << 40)]
Here = Annotated[Preflights, Depends(_preflights)]


@router.post(f"{_WORKSPACE}/deployments", status_code=201)
def check_deployment(desk: AtDesk, by: By, here: Here, sent: Sent) -> dict[str, Any]:
    """``{"deployment": {…}, "input": {…}}``, both as the command line knows them; the input may be left out."""
    _require_invoke(desk)
    values = {key: value for key, value in sent.mapping("deployment").items() if value is not None}
    given = build(Input, sent.mapping("input")) if sent.has("input") else None
    asked = of_deployment(desk, build(Deployment, values), given)
    return {"name": here.start(asked, by.id)}


@router.post(f"{_WORKSPACE}/endpoints/{{endpoint}}", status_code=201)
def check_invocation(
    desk: AtDesk,
    by: By,
    here: Here,
    endpoint: str,
    sent: Sent,
    deployment: DeploymentHeader = None,
    *,
    estimate: bool = False,
) -> dict[str, Any]:
    """What an invocation would send."""
    wanted = invocation_wire.from_json(sent).model_copy(update={"deployment_name": deployment or None})
    return {"name": here.start(of_invocation(desk, endpoint, wanted), by.id, estimate=estimate)}


@router.get("/{preflight}")
def get_lines(by: By, here: Here, preflight: str, since: Since = 0) -> dict[str, Any]:
    """What it has said since then: checks, findings, lines of logs. Ask again from ``next`` on until it has ended."""
    lines, until, has_ended = here.lines(preflight, by.id, since)
    return {"state": "ended" if has_ended else "running", "lines": lines, "next": until}


@router.delete("/{preflight}")
def end(by: By, here: Here, preflight: str) -> Response:
    here.end(preflight, by.id)
    return Response(status_code=200)


def _require_invoke(desk: Desk) -> None:
    """A worker is started for it, as a job would."""
    if not desk.may(_INVOKE):
        raise refusal(desk.caller, _INVOKE, desk.workspace.arm_id)
