"""The jobs of an endpoint and of a deployment, at the address where official clients list them."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.server.routers import scoring
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk

router = APIRouter(prefix=f"/mferp/managementfrontend{WORKSPACE_PATH}/batchEndpoints/{{endpoint}}")


@router.get("/jobs")
def list_jobs(request: Request, desk: AtDesk, endpoint: str) -> Response:
    return scoring.list_jobs_by_id(request, desk, endpoint)


@router.get("/jobs/{job}")
def get_job(desk: AtDesk, endpoint: str, job: str) -> dict[str, Any]:
    return scoring.get_job_by_id(desk, endpoint, job)


@router.get("/deployments/{deployment}/jobs")
def list_jobs_of_deployment(request: Request, desk: AtDesk, endpoint: str, deployment: str) -> Response:
    return scoring.list_jobs_of_deployment(request, desk, endpoint, deployment)


@router.get("/deployments/{deployment}/jobs/{job}")
def get_job_of_deployment(desk: AtDesk, endpoint: str, deployment: str, job: str) -> dict[str, Any]:
    return scoring.get_job_of_deployment(desk, endpoint, deployment, job)
