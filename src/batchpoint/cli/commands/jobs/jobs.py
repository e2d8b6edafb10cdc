"""``job``: what an invocation started."""

from pathlib import Path

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import YES, Command, Flag, named
from batchpoint.cli.output.printing import point_to_explanation


def show(call: Call) -> object:
    """Print the job; ``--web`` also says where its page is, on stderr."""
    job = call.client.jobs.get(call.flags.name)
    if call.flags.web:
        call.say(f"Web View: {call.client.studio_url(job.name)}")
    if job.error is not None and not (call.flags.query or call.flags.only_show_errors):
        point_to_explanation(job.error.code)
    return job


def list_all(call: Call) -> object:
    """Jobs, the latest first; jobs of a batch endpoint have no children."""
    if call.flags.parent_job_name:
        return []
    wanted = None if call.flags.all_results else call.flags.max_results
    # One more than wanted, to know whether there are more.
    found = call.client.jobs.list(None if wanted is None else wanted + 1)
    if wanted is not None and len(found) > wanted:
        call.warn(f"only the latest {wanted} jobs are shown; see --max-results and --all-results")
    return found[:wanted]


def stream(call: Call) -> object:
    """Follow the job to its end; exit code 1 when it failed."""
    from batchpoint.cli.output.streaming import stream as follow

    return follow(call, call.flags.name)


def cancel(call: Call) -> None:
    """Ask the job to stop; what is scored already stays in its ledger."""
    call.client.jobs.cancel(call.flags.name)


def download(call: Call) -> None:
    """Copy the output of the job into a folder."""
    for path in call.client.jobs.download(call.flags.name, Path(call.flags.download_path).expanduser()):
        call.say(f"Downloaded {path}")


def delete(call: Call) -> None:
    """Forget the job and say where its output stays."""
    name = call.flags.name
    kept: list[str] = []

    def forget() -> None:
        job = call.client.jobs.get(name)
        call.client.jobs.delete(name)
        kept.append(job.settings.output_uri or job.settings.output_folder)

    call.remove(f"Delete job {name} with its logs? What it published stays.", forget)
    for place in kept:
        call.say(f"Deleted job {name}. What it published was left where it is: {place}")


_NAME = named("job")
_IGNORED = Flag("--include-children", value="BOOL", hidden=True)

COMMANDS = (
    Command(
        "job show",
        "Show a job.",
        show,
        (_NAME, Flag("--web -e", "Also print where the job's page is.")),
        example="job show --name JOB --query status -o tsv",
    ),
    Command(
        "job list",
        "List jobs, the latest first.",
        list_all,
        (
            Flag("--max-results -r", "At most this many; default 50.", "N", number=int, default=50),
            Flag("--all-results", "List all."),
            Flag("--parent-job-name -p", "List the children of this job.", "NAME"),
            Flag("--archived-only", hidden=True),
            Flag("--include-archived", hidden=True),
        ),
        example="job list -o table",
    ),
    Command("job stream", "Follow a job to its end.", stream, (_NAME,)),
    Command("job cancel", "Cancel a job.", cancel, (_NAME,)),
    Command(
        "job delete",
        "Delete a job that has ended, with its record and logs; its output stays.",
        delete,
        (_NAME, YES),
        example="job delete --name JOB --yes",
    ),
    Command(
        "job download",
        "Download the output of a job.",
        download,
        (
            _NAME,
            Flag("--download-path -p", "Folder; default the current one.", "DIR", default="."),
            Flag("--output-name", "Accepted; a batch job has one output.", "NAME"),
            Flag("--all", hidden=True),
            _IGNORED,
        ),
        example="job download --name JOB --download-path results/",
    ),
)
