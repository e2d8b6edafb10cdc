"""``job verify`` and ``job rerun``: is everything still as it was, and does it come out the same once more."""

import sys
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import FORMATS, Command, Flag, named

if TYPE_CHECKING:
    from batchpoint.client.transfer.evidence import Check, Comparison, Verified


def verify(call: Call) -> object:
    """Print what was read again, a table on a terminal; exit code 1 when something is not as the job left it."""
    found = call.client.jobs.evidence.verify(call.flags.name, call.flags.against or "")
    code = int(not found.is_sound)
    if not call.flags.output and not call.flags.query and sys.stdout.isatty():
        print("\n".join(_report(found)))
        return Outcome(exit_code=code)
    call.flags.output = call.flags.output or "json"
    for check in found.checks:
        if check.is_wrong:
            call.say(f"{check.what} {check.path} is {check.state}. {check.said}")
    if found.comparison is not None:
        for line in _compared(found.comparison):
            call.say(line)
    return Outcome(_checks(found) if call.flags.output == "table" else _shape(found), code)


def _checks(found: "Verified") -> list[dict[str, object]]:
    return [{"what": one.what, "state": one.state, "path": one.path, "said": one.said} for one in found.checks]


def _shape(found: "Verified") -> dict[str, object]:
    checks = _checks(found)
    shape: dict[str, object] = {"sound": found.is_sound, "checks": checks}
    if found.comparison is not None:
        shape["comparison"] = dict(vars(found.comparison))
    return shape


def _report(found: "Verified") -> list[str]:
    width = max((len(check.what) for check in found.checks), default=0)
    lines = [line for check in found.checks for line in _lines(check, width)]
    if found.comparison is not None:
        lines += ["", *_compared(found.comparison)]
    return lines


def _lines(check: "Check", width: int) -> list[str]:
    lines = [f"{check.state:<8} {check.what:<{width}}  {check.path}".rstrip()]
    return [*lines, f"{'':<8} {'':<{width}}  → {check.said}"] if check.said else lines


def _compared(found: "Comparison") -> list[str]:
    if found.equal:
        return [f"The output is equal to that of job {found.other}, byte for byte."]
    if found.line is None:
        return [f"The output is not that of job {found.other}."]
    return [
        f"The output is not that of job {found.other}. They differ first in line {found.line:,}:",
        f"  here:  {found.here or '(nothing)'}",
        f"  there: {found.there or '(nothing)'}",
    ]


def rerun(call: Call) -> object:
    """Start a new job with the same settings; answer it, or with ``--wait`` how it ended."""
    job = call.client.jobs.rerun(call.flags.name)
    call.say(f"When it has ended, compare: batchpoint job verify --name {job.name}")
    if not call.flags.wait:
        return job
    from batchpoint.cli.output.waiting import wait

    return wait(call, job)


COMMANDS = (
    Command(
        "job verify",
        "Read again what a job read, ran and wrote, and compare it with its manifest.",
        verify,
        (
            named("job"),
            Flag(
                "--against",
                "Also compare the output with that of this job; default the job that this one repeats, if any.",
                "NAME",
                of="job",
            ),
            Flag(
                "--output -o",
                f"{', '.join(FORMATS)}; default a report on a terminal, else json.",
                "FORMAT",
                choices=FORMATS,
            ),
        ),
        example="job verify --name JOB",
    ),
    Command(
        "job rerun",
        "Repeat a job that has ended: a new job with the same frozen settings and an output folder of its own.",
        rerun,
        (
            named("job"),
            Flag(
                "--wait", "Wait for the job and print it as it ended; exit code 0 completed, 1 failed, 2 not finished."
            ),
        ),
        example="job rerun --name JOB --wait",
    ),
)
