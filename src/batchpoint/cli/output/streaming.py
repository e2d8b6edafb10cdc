"""``job stream``: the log of a job as it grows, the bar below it, and how it ended."""

import sys
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.output.causes import next_steps, told
from batchpoint.cli.output.printing import report_job
from batchpoint.cli.output.progress import Bar, summary

if TYPE_CHECKING:
    from batchpoint.entities.job import Job

#: How the sentence of a job begins that waits for room on a disk.
WAITING = "Waiting for space."


def stream(call: Call, name: str) -> Outcome:
    """Print the job's log until the job ends, then sum it up; exit code 1 when it failed."""
    from batchpoint.client.jobs import EXECUTION_LOG
    from batchpoint.entities.job import step_refusal

    job = call.client.jobs.get(name)
    if job.parent_job_name:
        raise step_refusal(name, "streamed", "job stream")
    heading = f"RunId: {job.name}\nWeb View: {call.client.studio_url(job.name)}"
    try:
        print(f"{heading}\n\nStreaming {EXECUTION_LOG}\n{'=' * (len(EXECUTION_LOG) + 10)}", flush=True)
        job = _follow(call, job)
    except KeyboardInterrupt:
        call.say(f"\nThe job goes on. Watch it again: batchpoint job stream --name {name}")
        call.say(f"Stop it: batchpoint job cancel --name {name}")
        return Outcome(exit_code=130)
    print(f"\nExecution Summary\n=================\n{heading}\n\nStatus: {job.status}")
    print("\n".join([summary(job.progress), *told(job.failures, sys.stdout), *next_steps(job)]), flush=True)
    if job.error is not None:
        report_job(job.error)
    return Outcome(exit_code=1 if job.status == "Failed" else 0)


def _follow(call: Call, job: "Job") -> "Job":
    """The job when it has ended; its log is printed by then."""
    told = ""
    with Bar() as bar:
        for event in call.client.jobs.stream_events(job.name):
            for line in event.lines:
                print(line, flush=True)
                told = line if WAITING in line else told
            job = event.job
            waits = job.progress.waiting_for
            if waits and waits not in told:
                # The log of a job whose disk is full cannot say it.
                told = waits
                call.say(waits)
            bar.show(job.progress, job.waiting_for or str(job.status), at_once=True)
    return job
