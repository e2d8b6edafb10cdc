"""Scores a job again: ``redrive`` what failed of it, ``resume`` what is left, ``rerun`` all of it in a new job."""

from typing import Any

from fastapi import APIRouter

from batchpoint.arm import invocation as invocation_wire
from batchpoint.arm import job as wire
from batchpoint.server.intake import redrive as rules
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, SameRequest, Sent

router = APIRouter()

_JOB = f"{WORKSPACE_PATH}/jobs/{{job}}"


@router.post(f"{_JOB}/redrive")
def redrive_job(desk: AtDesk, job: str, sent: Sent, request: SameRequest) -> dict[str, Any]:
    """Settings as in an invocation; ``deploymentName`` names another deployment of the job's endpoint."""
    named = {"deployment_name": sent.text("deploymentName") or None}
    wanted = invocation_wire.from_json(sent).model_copy(update=named)
    return wire.to_json(rules.redrive(desk, job, wanted, request), desk.workspace, desk.server)


@router.post(f"{_JOB}/resume")
def resume_job(desk: AtDesk, job: str, request: SameRequest) -> dict[str, Any]:
    return wire.to_json(rules.resume(desk, job, request), desk.workspace, desk.server)


@router.post(f"{_JOB}/rerun")
def rerun_job(desk: AtDesk, job: str, request: SameRequest) -> dict[str, Any]:
    return wire.to_json(rules.rerun(desk, job, request), desk.workspace, desk.server)
