"""Deployments from the client's side: model, code and environment go first, then the deployment itself."""

import ast
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from batchpoint.arm import deployment as wire
from batchpoint.arm import job as job_wire
from batchpoint.client.assets import Assets
from batchpoint.client.endpoints import Endpoints
from batchpoint.client.preflight.preflights import Preflights, placed_golden_rows
from batchpoint.client.requests import Requests, segment
from batchpoint.client.uploads import Uploads
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.job import Job
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import Problem, ReferenceInvalid, ResourceNotFound, ValidationFailed
from batchpoint.storage.uri import LocalPath, is_in_registry, parse_uri


class Deployments:
    """The deployments of a workspace's endpoints."""

    def __init__(
        self,
        requests: Requests,
        workspace: Workspace,
        endpoints: Endpoints,
        models: Assets[Model],
        codes: Assets[Code],
        environments: Assets[Environment],
        uploads: Uploads,
        preflights: Callable[[], Preflights],
    ) -> None:
        self._requests = requests
        self._workspace = workspace
        self._endpoints = endpoints
        self._models = models
        self._codes = codes
        self._environments = environments
        self._uploads = uploads
        self._preflights = preflights

    def create_or_update(
        self,
        deployment: Deployment,
        *,
        set_default: bool = False,
        skip_script_validation: bool = False,
        skip_golden_rows: bool = False,
    ) -> Deployment:
        """Upload the model, then the code, register the environment, score golden rows, put the deployment.

        Raises ValidationFailed where those do not come out. If they are skipped, the first job checks them.
        """
        # Nothing is uploaded for an endpoint that does not exist.
        self._endpoints.get(deployment.endpoint_name)
        code = deployment.code_configuration
        if code and not skip_script_validation:
            check_script(code)
        resolved = deployment.model_copy(
            update={
                "model": self._model(deployment.model),
                "code_configuration": self._code(code) if code else None,
                "environment": self._environment(deployment.environment),
                "generated": None,
            }
        )
        if deployment.golden_rows is not None:
            golden = placed_golden_rows(deployment.golden_rows, self._uploads)
            resolved = resolved.model_copy(update={"golden_rows": golden})
            if not skip_golden_rows:
                _check_golden_rows(self._preflights().deployment(resolved))
        sent = wire.to_json(resolved, self._workspace)
        created = wire.from_json(self._requests.json("PUT", self._path(resolved.endpoint_name, resolved.name), sent))
        if set_default:
            self._endpoints.set_default(created.endpoint_name, created.name)
        return created

    def get(self, endpoint: str, name: str) -> Deployment:
        return wire.from_json(self._requests.json("GET", self._path(endpoint, name)))

    def list(self, endpoint: str) -> "list[Deployment]":
        return [wire.from_json(body) for body in self._requests.pages(self._path(endpoint))]

    def delete(self, endpoint: str, name: str) -> None:
        """ResourceConflict for the default deployment, while it is the default."""
        self._requests.delete(self._path(endpoint, name), f"deployment {name} of endpoint {endpoint}")

    def list_jobs(self, endpoint: str, name: str) -> Sequence[Job]:
        """Newest first."""
        path = f"{self._path(endpoint, name)}/jobs"
        return [job_wire.from_json(body) for body in self._requests.pages(path)]

    def _path(self, endpoint: str, name: str | None = None) -> str:
        tail = "" if name is None else f"/{segment(name)}"
        return f"{self._workspace.arm_id}/batchEndpoints/{segment(endpoint)}/deployments{tail}"

    def _model(self, model: str | Model) -> str:
        if isinstance(model, str):
            return model
        if not model.name and is_in_registry(model.path):
            # What an alias means now, the server finds out.
            return model.path
        return str(self._models.create_or_reuse(model).id)

    def _code(self, code: CodeConfiguration) -> CodeConfiguration:
        if not isinstance(parse_uri(code.code), LocalPath):
            return code
        return code.model_copy(update={"code": self._codes.create_or_reuse(Code(path=code.code)).id})

    def _environment(self, environment: str | Environment | None) -> str | None:
        """A reference stays; a path is our extension: an interpreter or folder on the server's machine."""
        if isinstance(environment, str):
            if not isinstance(parse_uri(environment), LocalPath):
                return environment
            environment = _environment_at(environment)
        return None if environment is None else str(self._environments.create_or_reuse(environment).id)


def _check_golden_rows(lines: Iterable[dict[str, Any]]) -> None:
    found = [line for line in lines if line.get("line") == "finding" and line.get("severity") == "error"]
    if found:
        said = " ".join(str(found[0][key]) for key in ("message", "fix") if found[0].get(key))
        message = f"{said} To create the deployment all the same: --skip-golden-rows"
        raise ValidationFailed("deployment", (Problem("golden_rows", message),))


def _environment_at(path: str) -> Environment:
    if "/" not in path and not Path(path).exists():
        raise ReferenceInvalid(
            f"{path!r} is neither a reference to an environment nor a path. Write azureml:{path}:<version>, "
            f"azureml:{path}@latest, an environment in place (image and conda_file), or the path of an interpreter.",
            target="environment",
        )
    return Environment(python=path)


def check_script(code: CodeConfiguration) -> None:
    """Raises where a local scoring script is missing or does not parse, before anything is uploaded."""
    place = parse_uri(code.code)
    if not isinstance(place, LocalPath):
        return
    folder = Path(place.path).expanduser()
    script = folder / code.scoring_script
    if not folder.is_dir():
        raise ResourceNotFound(
            f"There is no code folder at {folder}. Check code_configuration.code.", target=str(folder)
        )
    if not script.is_file():
        near = ", ".join(sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.py"))[:5]) or "none"
        message = f"There is no script {code.scoring_script} in {folder}; Python files there: {near}."
        raise ResourceNotFound(message, target="code_configuration.scoring_script")
    try:
        ast.parse(script.read_bytes(), str(script))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        text = (getattr(error, "text", None) or "").strip()
        message = (
            f"{getattr(error, 'msg', None) or error} in line {line}: {text}\n"
            "If the script is written for another version of Python, deploy it with --skip-script-validation."
        )
        problem = Problem("code_configuration.scoring_script", message, line)
        raise ValidationFailed("scoring script", (problem,), source=str(script)) from error
