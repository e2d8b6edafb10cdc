"""``job stream``: the log of a job as it grows, the bar below it, and how it ended (contract §3.5.1)."""

import time
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.printing import report_job
from batchpoint.cli.progress import Bar, summary

if TYPE_CHECKING:
    from batchpoint.entities.job import Job

#: The log of the steps, which ``stream`` shows.
STEP_LOG = "logs/azureml/executionlogs.txt"
#: Seconds between two looks: short at first, so that a small job ends at once, then longer.
FIRST_LOOK_S, LAST_LOOK_S, LONGER_BY = 0.1, 1.0, 1.1


def stream(call: Call, name: str) -> Outcome:
    """Print the job's log until the job ends, then sum it up; exit code 1 when it failed."""
    job = call.client.jobs.get(name)
    heading = f"RunId: {job.name}\nWeb View: {call.client.studio_url(job.name)}"
    print(f"{heading}\n\nStreaming {STEP_LOG}\n{'=' * (len(STEP_LOG) + 10)}", flush=True)
    try:
        job = _follow(call, job)
    except KeyboardInterrupt:
        call.say(f"\nThe job goes on. Watch it again: batchpoint job stream --name {name}")
        call.say(f"Stop it: batchpoint job cancel --name {name}")
        return Outcome(exit_code=130)
    print(f"\nExecution Summary\n=================\n{heading}\n")
    print(f"Status: {job.status}")
    print("\n".join(summary(job.progress, job.failures)))
    if job.error is not None:
        report_job(job.error)
    return Outcome(exit_code=1 if job.status == "Failed" else 0)


def _follow(call: Call, job: "Job") -> "Job":
    """The job when it has ended; its log is printed by then."""
    tail, wait_s = _Tail(call, job.name), FIRST_LOOK_S
    with Bar() as bar:
        while True:
            tail.print_new()
            bar.show(job.progress, str(job.status), at_once=True)
            if job.status.is_terminal:
                return job
            time.sleep(wait_s)
            wait_s = min(wait_s * LONGER_BY, LAST_LOOK_S)
            # First the status, then the log: whatever was logged before the end is printed.
            job = call.client.jobs.get(job.name)


class _Tail:
    """Prints each line of the log once."""

    def __init__(self, call: Call, job: str) -> None:
        self._jobs = call.client.jobs
        self._job = job
        self._offset = 0
        #: The last line as far as it is written.
        self._begun = b""

    def print_new(self) -> None:
        while chunk := self._jobs.read_log(self._job, STEP_LOG, self._offset):
            self._offset += len(chunk)
            *lines, self._begun = (self._begun + chunk).split(b"\n")
            for line in lines:
                print(line.decode("utf-8", "replace"), flush=True)
