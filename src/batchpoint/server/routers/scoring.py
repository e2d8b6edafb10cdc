"""Jobs as their endpoint sees them: the scoring URI, and the same under the paths of endpoint and deployment."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from batchpoint.arm import invocation as invocation_wire
from batchpoint.arm import job as wire
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceNotFound
from batchpoint.server.identity.caller import caller_of
from batchpoint.server.intake import invocation
from batchpoint.server.lookup import Desk, no_endpoint
from batchpoint.server.routers.asked import (
    WORKSPACE_PATH,
    AtDesk,
    SameRequest,
    Sent,
    page_of_jobs,
    plane,
    server_of,
    view_of,
)

router = APIRouter()

_ARM = f"{WORKSPACE_PATH}/batchEndpoints/{{endpoint}}"
#: The scoring URI, which names no workspace: an endpoint's name is unique on a server.
_SCORING = "/endpoints/{endpoint}/jobs"


def desk_of_endpoint(request: Request, endpoint: str) -> Desk:
    """The desk of the workspace that has the endpoint; 404 when none has."""
    found = plane(request)
    key = found.store.endpoint_workspace(endpoint)
    if key is None:
        raise no_endpoint(endpoint)
    workspace = _workspace(found.store.get_endpoint(key, endpoint), key)
    return Desk(found, workspace, server_of(request), caller_of(request))


def _workspace(endpoint: Endpoint | None, key: str) -> Workspace:
    """In the spelling of the endpoint's id."""
    return Workspace.of_id(endpoint.id if endpoint else None) or Workspace(*key.split("/"))


AtEndpoint = Annotated[Desk, Depends(desk_of_endpoint)]
DeploymentHeader = Annotated[str | None, Header(alias="azureml-model-deployment")]


@router.post(_SCORING, status_code=201)
def invoke(
    desk: AtEndpoint, endpoint: str, sent: Sent, request: SameRequest, deployment: DeploymentHeader = None
) -> dict[str, Any]:
    wanted = invocation_wire.from_json(sent).model_copy(update={"deployment_name": deployment or None})
    return _shown(desk, invocation.create_job(desk, endpoint, wanted, request))


@router.post(f"{_ARM}/jobs", status_code=201)
def invoke_by_id(
    desk: AtDesk, endpoint: str, sent: Sent, request: SameRequest, deployment: DeploymentHeader = None
) -> dict[str, Any]:
    return invoke(desk, endpoint, sent, request, deployment)


@router.post(f"{_ARM}/deployments/{{deployment}}/jobs", status_code=201)
def invoke_deployment(desk: AtDesk, endpoint: str, deployment: str, sent: Sent, request: SameRequest) -> dict[str, Any]:
    return invoke(desk, endpoint, sent, request, deployment)


@router.get(_SCORING)
def list_jobs(request: Request, desk: AtEndpoint, endpoint: str) -> Response:
    return _listed(request, desk, endpoint, request.query_params.get("deployment"))


@router.get(f"{_ARM}/jobs")
def list_jobs_by_id(request: Request, desk: AtDesk, endpoint: str) -> Response:
    """The jobs of an endpoint stay when it is deleted."""
    return list_jobs(request, desk, endpoint)


@router.get(f"{_ARM}/deployments/{{deployment}}/jobs")
def list_jobs_of_deployment(request: Request, desk: AtDesk, endpoint: str, deployment: str) -> Response:
    return _listed(request, desk, endpoint, deployment)


@router.get(f"{_SCORING}/{{job}}")
def get_job(desk: AtEndpoint, endpoint: str, job: str) -> dict[str, Any]:
    return _shown(desk, desk.job_of(endpoint, job))


@router.get(f"{_ARM}/jobs/{{job}}")
def get_job_by_id(desk: AtDesk, endpoint: str, job: str) -> dict[str, Any]:
    return _shown(desk, desk.job_of(endpoint, job))


@router.get(f"{_ARM}/deployments/{{deployment}}/jobs/{{job}}")
def get_job_of_deployment(desk: AtDesk, endpoint: str, deployment: str, job: str) -> dict[str, Any]:
    found = desk.job_of(endpoint, job)
    if found.deployment_name != deployment:
        raise ResourceNotFound(f"Job {job} is no job of deployment {deployment}.", target=job)
    return _shown(desk, found)


def _listed(request: Request, desk: Desk, endpoint: str, deployment: str | None) -> Response:
    """Jobs outlive what they were sent to; ResourceNotFound where there is neither."""
    if not desk.store.has_jobs(desk.key, endpoint, deployment):
        if deployment is None:
            desk.endpoint(endpoint)
        else:
            desk.deployment(endpoint, deployment)
    view = view_of(request)
    return page_of_jobs(
        request,
        lambda part: desk.store.some_jobs(part, desk.key, endpoint, deployment, view),
        lambda job: _shown(desk, job),
    )


def _shown(desk: Desk, job: Job) -> dict[str, Any]:
    return wire.batch_job_to_json(job, desk.workspace, desk.server)
