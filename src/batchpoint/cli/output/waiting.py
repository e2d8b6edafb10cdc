"""``batch-endpoint invoke --wait``: a started job is followed quietly to its end, and its output fetched if asked for.

The exit code is the job's result: 0 completed, 1 failed, 2 not finished or cancelled.
"""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import PROGRAM
from batchpoint.cli.output.causes import next_steps, told
from batchpoint.cli.output.printing import report, report_job
from batchpoint.cli.output.progress import Bar
from batchpoint.errors import BatchpointError, ServerUnreachable, StoreUnavailable, UserError

if TYPE_CHECKING:
    from batchpoint.entities.job import Job

DONE, FAILED, NOT_FINISHED = 0, 1, 2

#: Seconds between two looks at the job; the pause grows from the one to the other.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0


def wait(
    call: Call,
    started: "Job",
    *,
    limit_s: float | None = None,
    fetch_to: Path | None = None,
    tells_causes: bool = True,
) -> Outcome:
    """Follow ``started`` until it ends or ``limit_s`` have passed; put its output into ``fetch_to``.

    Why items failed is said on stderr, unless ``tells_causes`` is false.
    """
    try:
        job = _follow(call, started, limit_s)
    except KeyboardInterrupt:
        return _unfinished(call, started, "Interrupted.")
    except (ServerUnreachable, StoreUnavailable) as error:
        report(error)
        return _unfinished(call, started, "Its state is unknown now.")
    if not job.status.is_terminal:
        waits = f": {job.waiting_for}" if job.waiting_for else "."
        return _unfinished(call, job, f"It is {job.status} after {limit_s:g} seconds{waits}")
    if job.error is not None:
        report_job(job.error)
    for line in (*told(job.failures, sys.stderr), *next_steps(job)) if tells_causes else ():
        call.say(line)
    code = {"Completed": DONE, "Failed": FAILED}.get(job.status, NOT_FINISHED)
    if fetch_to is not None:
        code = max(code, _fetch(call, job, fetch_to))
    return Outcome(job, code)


def _fetch(call: Call, job: "Job", folder: Path) -> int:
    """0 when the output is in ``folder``; else nothing is, and the job is printed all the same."""
    from batchpoint.client.transfer.delivery import deliver

    if job.status != "Completed":
        call.say(f"Nothing was fetched into {folder}: the job is {job.status}.")
        return DONE
    try:
        deliver(call.client.jobs, job.name, folder)
    except (BatchpointError, OSError) as error:
        report(error)
        call.say(f"The output stays with the job: {PROGRAM} job download --name {job.name} --download-path DIR")
        return FAILED
    call.say(f"Fetched the output into {folder}")
    return DONE


def _follow(call: Call, job: "Job", limit_s: float | None) -> "Job":
    """The job when it has ended, or when the time is up."""
    until = None if limit_s is None else time.monotonic() + limit_s
    pause = FIRST_PAUSE_S
    with Bar(wanted=not call.flags.only_show_errors) as bar:
        while not job.status.is_terminal:
            left = LONGEST_PAUSE_S if until is None else until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(pause, left))
            pause = min(pause * 1.3, LONGEST_PAUSE_S)
            job = call.client.jobs.get(job.name)
            bar.show(job.progress, job.waiting_for or str(job.status), at_once=True)
    return job


def _unfinished(call: Call, job: "Job", why: str) -> Outcome:
    call.say(f"{why} The job goes on. Watch it: {PROGRAM} job stream --name {job.name}")
    call.say(f"Stop it: {PROGRAM} job cancel --name {job.name}")
    return Outcome(job, NOT_FINISHED)


def check_free(folder: Path) -> None:
    """Raises UserError where no output could be put; asked before there is a job to wait for."""
    if folder.is_dir():
        if next(folder.iterdir(), None) is not None:
            raise UserError(
                f"--output-dir {folder} has files in it, and none of them is touched. "
                "Name a folder that is new or empty.",
                target="--output-dir",
            )
        return
    above = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not above.is_dir():
        raise UserError(f"--output-dir {folder} cannot be made: {above} is no folder.", target="--output-dir")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"--output-dir {folder} cannot be made: {above} cannot be written.", target="--output-dir")
