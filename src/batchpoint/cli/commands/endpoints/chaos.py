"""``batch-endpoint invoke --chaos``: a clean job and one under fire over the same input, and whether they agree.

``invocation`` calls it. The harm is done by the drivers of the second job; here is who waits, compares and reports.
"""

import csv
import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import PROGRAM
from batchpoint.errors import CommandLineInvalid, ResourceNotFound, UserError

if TYPE_CHECKING:
    from batchpoint.entities.data import Invocation
    from batchpoint.entities.job import Job

_TRIES_LOG, _HARM_LOG = "logs/sys/job_report/processed_mini-batches.csv", "logs/sys/chaos.csv"
#: Published beside the output, and of one job alone: times, tries.
_OF_ONE_JOB = ("manifest.json", "failed_items.jsonl")
#: Characters shown of a line that differs.
_LINE_MAX = 200


@dataclass
class Side:
    """What one of the two jobs came to."""

    job: "Job"
    #: Of mini-batches, also those that a kill cut short.
    executions: int = 0
    harm: dict[str, int] = field(default_factory=dict)
    #: sha256 of each file of the output.
    output: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        started, ended = self.job.started_at, self.job.ended_at
        return (ended - started).total_seconds() if started and ended else 0.0

    def shape(self) -> dict[str, Any]:
        """As it is printed."""
        progress = self.job.progress
        return {
            "job": self.job.name,
            "status": str(self.job.status),
            "seconds": round(self.seconds, 3),
            "executions": self.executions,
            "items_succeeded": progress.items_succeeded,
            "items_failed": progress.items_failed,
            "output_uri": self.job.settings.output_uri,
            "sha256": self.output,
            **self.harm,
        }


def experiment(call: Call, invocation: "Invocation") -> Outcome:
    """Run both jobs, one after the other, and compare them; exit code 0 only when their outputs are equal."""
    _check(call, invocation)
    clean_name = invocation.job_name or f"chaos-{secrets.token_hex(4)}"
    chances = {"seed": float(secrets.randbelow(2**31)), **invocation.chaos}
    sides = []
    for name, word, chosen in ((clean_name, "clean", {}), (f"{clean_name}-chaos", "chaos", chances)):
        update: dict[str, Any] = {"job_name": name, "chaos": chosen}
        if invocation.output_path:
            update["output_path"] = f"{invocation.output_path.rstrip('/')}/{word}"
        call.say(f"{word}: job {name}" + (f", {_told(chosen)}" if chosen else ""))
        ended = _ended(call, invocation.model_copy(update=update))
        if isinstance(ended, Outcome):
            return ended
        sides.append(Side(ended))
    return _compared(call, sides[0], sides[1], chances)


def _check(call: Call, invocation: "Invocation") -> None:
    for name in ("output_dir", "no_wait"):
        if getattr(call.flags, name):
            flag = f"--{name.replace('_', '-')}"
            raise CommandLineInvalid(f"--chaos runs two jobs and waits for both; leave out {flag}")
    _refuse_elsewhere(call, invocation)


def _refuse_elsewhere(call: Call, invocation: "Invocation") -> None:
    """The server would refuse the second job only, when the first has run."""
    endpoint = call.client.endpoints.get(invocation.endpoint_name or "")
    name = invocation.deployment_name or endpoint.defaults.deployment_name
    if name is None:
        return  # what is wrong is said when the job is started
    deployment = call.client.deployments.get(endpoint.name, name)
    compute = call.client.computes.get(deployment.compute.removeprefix("azureml:").rpartition("/")[2])
    if compute.place.type == "ray":
        raise UserError(
            f"--chaos harms processes of this machine, and the workers of compute {compute.name} are on the nodes of a "
            f"Ray cluster. Give {name} another compute for the experiment: batch-deployment update --name {name} "
            f"--endpoint-name {endpoint.name} --set compute=azureml:NAME",
            target="--chaos",
        )


def _ended(call: Call, invocation: "Invocation") -> "Job | Outcome":
    """The job when it has ended; how the command ends where there is nothing to compare it with."""
    from batchpoint.cli.output.waiting import NOT_FINISHED, wait
    from batchpoint.entities.job import Job, JobStatus

    job = call.client.endpoints.invoke(invocation.endpoint_name or "", invocation, upload=call.flags.upload)
    # The items that fail in peace fail under fire too; once is enough.
    outcome = wait(call, job, limit_s=call.flags.wait_timeout, tells_causes=not invocation.chaos)
    ended = outcome.value
    assert isinstance(ended, Job)
    if outcome.exit_code == NOT_FINISHED:
        return outcome
    if ended.status is not JobStatus.COMPLETED and not invocation.chaos:
        call.say("The clean job has no output to compare with, so no job under fire was started.")
        return outcome
    return ended


# ---- comparing ----------------------------------------------------------------------------------------------------


def _compared(call: Call, clean: Side, chaos: Side, chances: dict[str, float]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="batchpoint-chaos-") as folder:
        for side, word in ((clean, "clean"), (chaos, "chaos")):
            side.executions = sum(1 for line in _lines(call, side.job, _TRIES_LOG) if line[0].isdigit())
            side.output = _fetched(call, side.job, Path(folder, word))
        chaos.harm, cut_short = _harm(call, chaos.job)
        chaos.executions += cut_short
        difference = _difference(Path(folder), clean, chaos)
    report = {
        "equal": not difference,
        "difference": difference,
        "chances": {kind: chance for kind, chance in chances.items() if kind != "seed"},
        "seed": int(chances["seed"]),
        "clean": clean.shape(),
        "chaos": chaos.shape(),
    }
    call.say(_told_of(clean, chaos, difference))
    return Outcome(report, 1 if difference else 0)


def _fetched(call: Call, job: "Job", folder: Path) -> dict[str, str]:
    """The output in ``folder``: sha256 of each file by its name."""
    try:
        call.client.jobs.download(job.name, folder)
    except ResourceNotFound:
        return {}
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: _sha256(path) for name, path in found.items() if not name.endswith(_OF_ONE_JOB)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _difference(folder: Path, clean: Side, chaos: Side) -> str:
    """A sentence on the first difference; empty where there is none."""
    if clean.job.status != chaos.job.status:
        return f"The clean job is {clean.job.status}, the one under fire is {chaos.job.status}."
    failed = clean.job.progress.items_failed, chaos.job.progress.items_failed
    if failed[0] != failed[1]:
        counts = f"{failed[0]:,} items failed in the clean job, {failed[1]:,} in the one under fire."
        return f"{counts} Why: {PROGRAM} job show --name {chaos.job.name}"
    for name in sorted(clean.output.keys() | chaos.output.keys()):
        if name not in chaos.output or name not in clean.output:
            return f"Only the {'clean job' if name in clean.output else 'job under fire'} wrote {name}."
        if clean.output[name] != chaos.output[name]:
            return _first_line(name, folder / "clean" / name, folder / "chaos" / name)
    return ""


def _first_line(name: str, clean: Path, chaos: Path) -> str:
    with clean.open("rb") as one, chaos.open("rb") as other:
        for number, (mine, theirs) in enumerate(zip_longest(one, other, fillvalue=b""), 1):
            if mine != theirs:
                return f"{name} differs from line {number:,} on.\n  clean: {_shown(mine)}\n  chaos: {_shown(theirs)}"
    return f"{name} differs."


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return (text if len(text) <= _LINE_MAX else f"{text[:_LINE_MAX]} …") if line else "(no such line)"


# ---- what the logs say --------------------------------------------------------------------------------------------


def _harm(call: Call, job: "Job") -> tuple[dict[str, int], int]:
    """How often each kind of harm was done, and how many executions it cut short, which no other table has."""
    kinds = [line[0] for line in _lines(call, job, _HARM_LOG)]
    named = {"workers_killed": "kill", "drivers_killed": "driver", "mini_batches_slowed": "slow"}
    return {name: kinds.count(kind) for name, kind in named.items()}, kinds.count("kill") + kinds.count("lost")


def _lines(call: Call, job: "Job", log: str) -> Iterator[list[str]]:
    """The lines of a table among the job's logs, its cells apart."""

    def texts() -> Iterator[str]:
        offset, rest = 0, b""
        while chunk := call.client.jobs.read_log(job.name, log, offset):
            offset += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace") + "\n" for line in whole)

    return (cells for cells in csv.reader(texts()) if cells and cells[0])


# ---- telling ------------------------------------------------------------------------------------------------------

_WORDS = {
    "workers_killed": "workers killed",
    "drivers_killed": "drivers killed",
    "mini_batches_slowed": "mini-batches slowed",
}
_UNHARMED = "No harm fell, so nothing was tried out: give more input, smaller mini-batches or higher chances."


def _told(chances: dict[str, float]) -> str:
    kinds = [f"{kind} {100 * chance:.3g} %" for kind, chance in chances.items() if kind != "seed"]
    return f"chances {', '.join(kinds)}, seed {chances['seed']:.0f}"


def _told_of(clean: Side, chaos: Side, difference: str) -> str:
    lines = [f"\n{'':24}{'clean':>12}{'chaos':>12}"]
    rows: list[tuple[str, object, object]] = [(_WORDS[name], 0, count) for name, count in chaos.harm.items()]
    progress = clean.job.progress, chaos.job.progress
    rows += [
        ("executions", clean.executions, chaos.executions),
        ("items failed", progress[0].items_failed, progress[1].items_failed),
        ("seconds", f"{clean.seconds:.1f}", f"{chaos.seconds:.1f}"),
    ]
    lines += [f"{name:24}{one:>12}{other:>12}" for name, one, other in rows]
    if not difference:
        digests = [f"{name} sha256 {digest}" for name, digest in clean.output.items()]
        doubt = [] if any(chaos.harm.values()) else [_UNHARMED]
        return "\n".join([*lines, "", "Equal, byte for byte.", *digests, *doubt])
    hint = (
        "A script whose rows depend on the moment, on chance or on the worker cannot give the same twice: score the "
        "same input twice without --chaos to see whether this one does."
    )
    return "\n".join([*lines, "", f"NOT EQUAL. {difference}", hint])
