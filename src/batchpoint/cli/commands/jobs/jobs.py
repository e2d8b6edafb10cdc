"""``job``: what an invocation started."""

import sys

from batchpoint.cli import documents, listing
from batchpoint.cli.call import Call
from batchpoint.cli.commands.jobs.downloading import COMMAND as DOWNLOAD
from batchpoint.cli.commands.jobs.evidence import COMMANDS as EVIDENCE
from batchpoint.cli.commands.jobs.revisions import COMMANDS as REVISIONS
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import EDITS, YES, Command, Flag, named
from batchpoint.cli.output.causes import next_steps, told
from batchpoint.cli.output.printing import point_to_explanation
from batchpoint.errors import UserError


def show(call: Call) -> object:
    """Print the job; on stderr why items failed, and with ``--web`` where its page is."""
    job = call.client.jobs.get(call.flags.name)
    if call.flags.web:
        call.say(f"Web View: {call.client.studio_url(job.name)}")
    if not (call.flags.query or call.flags.only_show_errors):
        for line in (*told(job.failures, sys.stderr), *next_steps(job)):
            call.say(line)
        if job.error is not None:
            point_to_explanation(job.error.code)
    return job


def list_all(call: Call) -> object:
    """Jobs, the latest first, or the one step of a job."""
    view, wanted = listing.view(call), listing.limit(call)
    if call.flags.parent_job_name:
        return call.client.jobs.list(parent=call.flags.parent_job_name)
    if call.flags.all_results:
        return call.client.jobs.list(view=view)
    assert wanted is not None
    # One more than wanted, to know whether there are more.
    found = call.client.jobs.list(wanted + 1, view)
    if len(found) > wanted:
        call.warn(f"only the latest {wanted} jobs are shown; see --max-results and --all-results")
    return found[:wanted]


def stream(call: Call) -> object:
    """Follow the job to its end; exit code 1 when it failed."""
    from batchpoint.cli.output.streaming import stream as follow

    return follow(call, call.flags.name)


def cancel(call: Call) -> None:
    """Ask the job to stop; what is scored already stays in its ledger."""
    call.client.jobs.cancel(call.flags.name)


def update(call: Call) -> object:
    """Change tags, properties, display name or description of a job."""
    from batchpoint.entities.job import JobEdit, is_of_the_service

    job = call.client.jobs.get(call.flags.name)
    before = JobEdit(
        display_name=job.display_name, description=job.description, tags=job.tags, properties=job.properties
    )
    edit = documents.updated(call, before, {})
    if not edit.tags:
        # All that can be: what is the service's own is in the way of nobody who wants none.
        own = {key: value for key, value in before.tags.items() if is_of_the_service(key)}
        edit = edit.model_copy(update={"tags": own})
    for what, old, new in (("property", before.properties, edit.properties), ("tag", before.tags, edit.tags)):
        changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        stuck = [key for key in changed if is_of_the_service(key) or (what == "property" and key not in new)]
        if stuck:
            raise UserError(
                f"The {what} {stuck[0]} of job {job.name} stays as it is: properties can be added and changed but not "
                "removed, and what begins with azureml. or batchpoint. is the service's own. Tags can be removed.",
                target=stuck[0],
            )
    if call.flags.web:
        call.say(f"Web View: {call.client.studio_url(job.name)}")
    return call.client.jobs.update(job.name, edit)


def archive(call: Call) -> None:
    call.client.jobs.archive(call.flags.name)


def restore(call: Call) -> None:
    call.client.jobs.archive(call.flags.name, archived=False)


def show_services(call: Call) -> object:
    """The addresses under which the job can be looked at."""
    job = call.client.jobs.get(call.flags.name)
    page = call.client.studio_url(job.parent_job_name or job.name)
    return {"Studio": {"endpoint": page, "status": str(job.status), "type": "Studio"}}


def delete(call: Call) -> None:
    """Forget the job and say where its output stays."""
    name = call.flags.name

    def forget() -> None:
        job = call.client.jobs.get(name)
        call.client.jobs.delete(name)
        place = job.settings.output_uri or job.settings.output_folder
        left = f"What it published was left where it is: {place}"
        call.say(f"Deleted job {name}. {left if job.has_published else 'It had published nothing.'}")

    call.remove(f"Delete job {name} with its logs? What it published stays.", forget)


_NAME = named("job")
_WEB = Flag("--web -e", "Also print where the job's page is.")
_NO_PIPELINES = (
    "Pipeline and command jobs are not offered here: a job is what invoking an endpoint starts. "
    "Run: batch-endpoint invoke --name ENDPOINT --input FOLDER"
)

COMMANDS = (
    Command("job show", "Show a job.", show, (_NAME, _WEB), example="job show --name JOB --query status -o tsv"),
    Command(
        "job list",
        "List jobs, the latest first.",
        list_all,
        (
            listing.most(50),
            Flag("--all-results", "List all."),
            Flag("--parent-job-name -p", "List the one step of this job; default all jobs.", "NAME", of="job"),
            *listing.ARCHIVED,
        ),
        example="job list -o table",
    ),
    Command("job stream", "Follow a job to its end.", stream, (_NAME,), example="job stream --name JOB"),
    Command("job cancel", "Cancel a job.", cancel, (_NAME,), example="job cancel --name JOB"),
    DOWNLOAD,
    *REVISIONS,
    *EVIDENCE,
    Command(
        "job update",
        "Change tags, properties, display name or description of a job.",
        update,
        (_NAME, *EDITS, _WEB),
        example="job update --name JOB --set tags.checked=yes",
    ),
    Command(
        "job archive", "Hide a job that has ended from lists.", archive, (_NAME,), example="job archive --name JOB"
    ),
    Command("job restore", "Show an archived job in lists again.", restore, (_NAME,), example="job restore --name JOB"),
    Command(
        "job show-services",
        "Show the addresses under which a job can be looked at.",
        show_services,
        (_NAME, Flag("--node-index -i", "Accepted; the addresses are the job's. No default.", "N", number=int)),
        example="job show-services --name JOB",
    ),
    Command(
        "job delete",
        "Delete a job that has ended, with its record and logs; its output stays.",
        delete,
        (_NAME, YES),
        example="job delete --name JOB --yes",
    ),
    refused("job create", "Create a pipeline job; not offered here.", _NO_PIPELINES, "job create --file pipeline.yml"),
    refused("job validate", "Check a pipeline job; not offered here.", _NO_PIPELINES, "job validate --file job.yml"),
    refused(
        "job connect-ssh",
        "Open a shell where a job runs; not offered here.",
        "Nobody can sign in to the instances of a job here: they are processes without a shell. Its logs say what it "
        "does: job stream --name JOB, and job download --name JOB --all brings them all.",
        "job connect-ssh --name JOB",
    ),
)
