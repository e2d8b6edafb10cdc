"""``job redrive`` and ``job resume``: the same job again, as far as it is not scored well yet."""

from typing import TYPE_CHECKING

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command, Flag, named
from batchpoint.errors import ResourceNotFound

if TYPE_CHECKING:
    from batchpoint.entities.job import Job, JobSettings

#: Settings of a job in the words of a deployment's file; those without one go by their own name.
_WORDS = {
    "code_path": "code",
    "scoring_script": "scoring_script",
    "model_path": "model",
    "environment": "environment",
    "environment_variables": "environment_variables",
    "instance_count": "instance_count",
    "max_concurrency_per_instance": "max_concurrency_per_instance",
    "max_retries": "retry_settings.max_retries",
    "timeout_s": "retry_settings.timeout",
    "error_threshold": "error_threshold",
    "isolate_failures": "isolate_failures",
    "max_mini_batches_per_worker": "max_mini_batches_per_worker",
    "logging_level": "logging_level",
}


def redrive(call: Call) -> object:
    """Score the failed items again and say with what; answer the job, or with ``--wait`` how it ended."""
    from batchpoint.entities.data import Invocation
    from batchpoint.entities.from_yaml import load_with_notes

    flags = call.given("deployment_name")
    wanted = load_with_notes(Invocation, None, flags=flags, changes=documents.changes(call)).noun
    before = call.client.jobs.get(call.flags.name)
    job = call.client.jobs.redrive(before.name, wanted)
    call.say(_how(call, before, job, wanted.deployment_name))
    return _answer(call, job)


def resume(call: Call) -> object:
    """Go on where the job ended; answer it, or with ``--wait`` how it ended this time."""
    return _answer(call, call.client.jobs.resume(call.flags.name))


def _answer(call: Call, job: "Job") -> object:
    if not call.flags.wait:
        return job
    from batchpoint.cli.output.waiting import wait

    return wait(call, job)


def _how(call: Call, before: "Job", job: "Job", named_deployment: str | None) -> str:
    """One line: which deployment scores, and what is not as it was before."""
    name = named_deployment or job.deployment_name
    was, now = _comparable(before.settings), _comparable(job.settings)
    differing = [word for field, word in _WORDS.items() if was[field] != now[field]]
    differing += ["compute"] if before.compute != job.compute else []
    if named_deployment is None and not differing:
        try:
            call.client.deployments.get(job.endpoint_name, name)
        except ResourceNotFound:
            return f"Deployment {name} is gone; job {job.name} is scored again with the settings it had."
    changes = f"other than before: {', '.join(differing)}" if differing else "nothing in it is other than before"
    return f"Job {job.name} is scored again with deployment {name} as it stands now; {changes}."


def _comparable(settings: "JobSettings") -> dict[str, object]:
    """Without when, and by whom, the environment was registered last: that is new whenever a deployment is created."""
    return settings.model_dump(include=set(_WORDS), exclude={"environment": {"creation_context"}})


_SET = Flag(
    "--set", "Settings over the deployment's: error_threshold=0 retry_settings.timeout=60.", "KEY=VALUE", many=True
)
_WAIT = Flag("--wait", "Wait for the job and print it as it ended; exit code 0 completed, 1 failed, 2 not finished.")

COMMANDS = (
    Command(
        "job redrive",
        "Score again what failed in a job, into the same output.",
        redrive,
        (
            named("job"),
            Flag(
                "--deployment-name -d",
                "Deployment of the same endpoint; default the job's own, as it stands now.",
                "NAME",
                of="deployment",
            ),
            _SET,
            _WAIT,
        ),
        example="job redrive --name JOB",
    ),
    Command(
        "job resume",
        "Go on with a job that failed or was cancelled, as it was.",
        resume,
        (named("job"), _WAIT),
        example="job resume --name JOB",
    ),
)
