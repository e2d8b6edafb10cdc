"""The one step of a job, ``batchscoring``, seen as a job: it follows its job in everything and is stored nowhere.

Server and clients make and recognise it here.
"""

from batchpoint.entities.job import Job
from batchpoint.errors import ResourceConflict

STEP = "batchscoring"
#: Name of the step's one output, which scripts and official clients rely on.
OUTPUT = "score"
_SUFFIX = f"-{STEP}"


def step_of(job: Job) -> Job:
    """The step of ``job``."""
    return job.model_copy(
        update={"name": f"{job.name}{_SUFFIX}", "display_name": STEP, "parent_job_name": job.name, "id": None}
    )


def job_of_step(name: str) -> str | None:
    """The name of the job whose step would be called ``name``; None for a name that no step has."""
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) and name != _SUFFIX else None


def refusal(step: str, done: str, command: str) -> ResourceConflict:
    """Why a step is not streamed, cancelled or archived, and the ``command`` for its job."""
    parent = job_of_step(step) or step
    return ResourceConflict(
        f"{step} is the step {STEP} of job {parent}, and a step is not {done} by itself. "
        f"Name the job: {command} --name {parent}",
        target=step,
    )
