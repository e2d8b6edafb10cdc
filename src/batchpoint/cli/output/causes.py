"""Why items of a job failed, cause by cause, and what to do about it; shown by four commands in the same lines.

It only makes the lines; where they go, the callers decide.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from batchpoint.cli.grammar import PROGRAM
from batchpoint.cli.output.printing import coloured

if TYPE_CHECKING:
    from batchpoint.entities.job import FailureReason, Job

#: Codes that a person is pointed to.
_EXPLAINED_MAX = 3


def told(failures: Sequence["FailureReason"], stream: TextIO) -> list[str]:
    """Lines for ``stream``: each cause in the words of the user's code first, then how much it cost and where."""
    total = sum(reason.items for reason in failures)
    if not total:
        return []
    causes = "one cause" if len(failures) == 1 else f"{len(failures)} causes"
    lines = [f"{_items(total)} failed for {causes}:"]
    for reason in sorted(failures, key=lambda reason: -reason.items):
        message = reason.message
        lines.append(f"  \033[31m{message}\033[0m" if coloured(stream) else f"  {message}")
        lines.append(f"    {_cost(reason, total)}")
        lines += [f"    first: {reason.example}"] if reason.example else []
    return lines


def next_steps(job: "Job") -> list[str]:
    """What to do about failed items; empty for a job without any, or one that has not ended."""
    if not (job.failures and job.status.is_terminal):
        return []
    from batchpoint.entities.job import FAILED_ITEMS_PATH

    listed = job.properties.get(FAILED_ITEMS_PATH) or f"{PROGRAM} job download --name {job.name} --all"
    return [
        f"Each of them:  {listed}",
        *(f"What it means: {PROGRAM} explain {code}" for code in explained(job.failures)),
        f"Again:         {PROGRAM} job redrive --name {job.name}",
    ]


def explained(failures: Sequence["FailureReason"]) -> list[str]:
    """The codes that can be looked up, the costliest first, not too many."""
    if not failures:
        return []
    from batchpoint.explanations import find

    return [code for code in dict.fromkeys(reason.code for reason in failures) if find(code)][:_EXPLAINED_MAX]


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"


def _cost(reason: "FailureReason", total: int) -> str:
    batches = "1 mini-batch" if reason.mini_batches == 1 else f"{reason.mini_batches:,} mini-batches"
    cause = f", cause {reason.fingerprint}" if reason.fingerprint else ""
    return f"{_items(reason.items)} ({_share(reason.items, total)}) in {batches}: {reason.code}{cause}"


def _share(items: int, total: int) -> str:
    """Of what failed; never 0 % for something, and 100 % for all alone."""
    percent = 100 * items / total
    if items == total:
        return "100 %"
    return f"{min(percent, 99.9):.1f} %" if percent >= 0.1 else "< 0.1 %"
