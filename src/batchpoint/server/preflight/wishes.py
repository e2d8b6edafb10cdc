"""What a preflight is to check: a job, frozen as an invocation would freeze it, of nouns that need not exist yet.

The router asks. Everything goes through the rules of creation and invocation, over a store that forgets it all; what
they refuse becomes a finding.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from batchpoint.arm.assets import SEGMENT
from batchpoint.arm.envelope import ids
from batchpoint.entities.assets import Code, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Input, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.evidence.finding import Finding, finding_of
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.naming import reference as references
from batchpoint.errors import BatchpointError, JobFailed, Problem, ResourceNotFound, UserError
from batchpoint.server.intake import creation, invocation
from batchpoint.server.intake.locations import resolve
from batchpoint.server.lookup import Desk
from batchpoint.storage.uri import AssetReference, is_in_registry, parse_uri
from batchpoint.store.pretence import Pretence

T = TypeVar("T")
A = TypeVar("A", Model, Code)

#: In the place of an input that nobody has named: it is never read.
_NO_INPUT = Input(type="uri_folder", path="https://input.invalid/")
_CHECK = "deployment"


@dataclass
class Asked:
    """What is to be checked, and what is known to be wrong already."""

    settings: JobSettings | None = None
    findings: list[Finding] = field(default_factory=list)
    has_input: bool = True
    #: True where nobody has named a place for the output.
    has_own_output: bool = True
    arm_id: str = ""
    #: Of the compute that the job would run on.
    max_instances: int = 1
    #: What was looked at until now, as a check.
    title: str = "Everything that the deployment names is there"


def of_invocation(desk: Desk, endpoint: str, wanted: Invocation) -> Asked:
    """An invocation as it would be accepted now."""
    asked = Asked(arm_id=desk.workspace.arm_id, title="The invocation would be accepted")
    asked.has_own_output = wanted.output_path is None
    here, _ = _pretending(desk)
    job = _tried(asked, lambda: invocation.create_job(here, endpoint, wanted))
    _keep(asked, job)
    if job is not None:
        asked.max_instances = here.compute(job.compute).max_instances
    return asked


def of_deployment(desk: Desk, wanted: Deployment, given: Input | None) -> Asked:
    """A deployment as it would be created now, invoked with ``given``."""
    asked = Asked(arm_id=desk.workspace.arm_id, has_input=given is not None)
    here, store = _pretending(desk)
    _tried(asked, lambda: here.endpoint(wanted.endpoint_name))
    if asked.findings:
        store.pretend_endpoint(Endpoint(name=wanted.endpoint_name))
    _need_compute(asked, here, store, wanted)
    model = _tried(asked, lambda: _model(here, wanted.model))
    code = _tried(asked, lambda: _code(here, wanted.code_configuration))
    if model is None or (code is None and wanted.code_configuration is not None):
        return asked
    update = {"model": model, "code_configuration": code}
    made = _tried(asked, lambda: creation.create_deployment(here, wanted.model_copy(update=update)))
    if made is not None:
        called = Invocation(deployment_name=made.name, input=given or _NO_INPUT)
        _keep(asked, _tried(asked, lambda: invocation.create_job(here, made.endpoint_name, called)))
    return asked


def _pretending(desk: Desk) -> tuple[Desk, Pretence]:
    store = Pretence(desk.store)
    return replace(desk, plane=replace(desk.plane, store=store, job_arrived=lambda: None)), store


def _keep(asked: Asked, job: Job | None) -> None:
    if job is not None:
        asked.settings, asked.arm_id = job.settings, job.id or asked.arm_id


def _tried(asked: Asked, act: Callable[[], T]) -> T | None:
    """What ``act`` answers; None where it is refused, and why among the findings."""
    try:
        return act()
    except (UserError, JobFailed) as error:
        asked.findings += _findings(error)
        return None


def _findings(error: BatchpointError) -> list[Finding]:
    problems = getattr(error, "problems", ())
    if problems:
        return [
            Finding(code=error.code, severity="error", check=_CHECK, message=_told(error, one), fix="")
            for one in problems
        ]
    code = "ComputeTooSmall" if error.target == "instance_count" else error.code
    return [finding_of(error).model_copy(update={"code": code, "check": _CHECK})]


def _told(error: BatchpointError, problem: Problem) -> str:
    """Where a problem of a document is, as far as that is known, and what it is."""
    line = f" line {problem.line}" if problem.line else ""
    source = getattr(error, "source", None)
    where = [f"{source}{line}" if source else line.strip(), problem.key]
    return ": ".join([*filter(None, where), problem.message])


def _need_compute(asked: Asked, here: Desk, store: Pretence, wanted: Deployment) -> None:
    """The compute, or one in its place as large as anybody could wish."""
    try:
        here.compute(wanted.compute)
    except ResourceNotFound as error:
        asked.findings += _findings(error)
        name = references.parse(wanted.compute, "compute").name
        store.pretend_compute(Compute(name=name, max_instances=max(4, wanted.resources.instance_count)))
    except UserError as error:
        asked.findings += _findings(error)


def _model(here: Desk, model: str | Model) -> str | Model:
    """A model that is on this machine is looked at where it is; any other is fetched as creation would."""
    if isinstance(model, str) or is_in_registry(model.path):
        return model
    place = resolve(here, model.path)
    if not isinstance(place, Path):
        return model
    if not place.exists():
        raise ResourceNotFound(f"There is no file or folder at {model.path} on the server's machine.", target="model")
    kind = model.type or ("mlflow_model" if (place / "MLmodel").is_file() else "custom_model")
    return _pretended(here, model.model_copy(update={"type": kind, "path": str(place)}))


def _code(here: Desk, code: CodeConfiguration | None) -> CodeConfiguration | None:
    if code is None or isinstance(parse_uri(code.code), AssetReference):
        return code
    place = resolve(here, code.code)
    is_here = isinstance(place, Path)
    asset = Code(path=str(place)) if is_here else creation.create_asset(here, _named(Code(path=code.code)))
    return code.model_copy(update={"code": _pretended(here, asset)})


def _named(code: Code) -> Code:
    return code.model_copy(update={"name": uuid.uuid4().hex, "version": "1"})


def _pretended(here: Desk, asset: A) -> str:
    """The id under which a version is known for as long as this request takes."""
    name = uuid.uuid4().hex
    arm_id = ids.asset_id(here.workspace, SEGMENT[type(asset)], name, "1")
    named = asset.model_copy(update={"name": name, "version": "1", "id": arm_id})
    here.store.put_asset(here.key, named)
    return arm_id
