"""``job download``: the output of a job, its logs and manifest, or what it had scored when it broke off."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command, Flag, named
from batchpoint.errors import CommandLineInvalid, ResourceNotFound

if TYPE_CHECKING:
    from batchpoint.entities.job import Job


def download(call: Call) -> None:
    """Copy what the job left into a folder."""
    name, folder = call.flags.name, call.download_folder()
    if call.flags.partial:
        if call.flags.all:
            raise CommandLineInvalid("--partial and --all exclude each other; run the command once with each")
        _tell(call, call.client.downloads.partial(name, folder))
        _tell(call, call.client.jobs.evidence.failed_items(name, folder))
        return
    job = call.client.jobs.get(name)
    if not job.status.is_terminal:
        # Says so.
        call.client.jobs.download(name, folder)
    if call.flags.all:
        _tell(call, call.client.downloads.logs(name, folder / "artifacts"))
        for left in (call.client.jobs.evidence.failed_items, call.client.jobs.evidence.manifest):
            _tell(call, left(name, folder / "artifacts"))
    try:
        _tell(call, call.client.jobs.download(name, _place(call, job, folder)))
    except ResourceNotFound as error:
        if not call.flags.all:
            raise
        call.warn(error.message)


def _place(call: Call, job: "Job", folder: Path) -> Path:
    """A job's output goes straight into the folder, that of its step to ``named-outputs``: as official clients do."""
    if not job.parent_job_name:
        return folder
    from batchpoint.entities.job import OUTPUT

    wanted = call.flags.output_name
    if wanted not in (None, OUTPUT):
        raise ResourceNotFound(f"Job {job.name} has no output {wanted}; its one output is {OUTPUT}.", target=wanted)
    return folder / "named-outputs" / OUTPUT


def _tell(call: Call, paths: Iterable[Path]) -> None:
    for path in paths:
        call.say(f"Downloaded {path}")


COMMAND = Command(
    "job download",
    "Download the output of a job.",
    download,
    (
        named("job"),
        Flag("--download-path -p", "Folder; default the current one.", "DIR", default="."),
        Flag("--output-name", "Accepted; a batch job has one output, score.", "NAME"),
        Flag("--all", "Also its logs, its manifest and the list of its failed items, below artifacts/."),
        Flag("--partial", "What a job that failed or was cancelled had scored, as NAME.partial.csv."),
        Flag("--include-children", "Accepted; a batch job has one step.", "BOOL", hidden=True),
    ),
    example="job download --name JOB --download-path results/",
)
