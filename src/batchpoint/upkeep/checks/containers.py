"""The container runtime: whether there is one, and whether it keeps containers of jobs that nobody drives."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from batchpoint.compute.containers import leftovers
from batchpoint.compute.containers.runtime import Runtime, find_program, find_runtime
from batchpoint.errors import NotSupported
from batchpoint.upkeep.findings import Finding, ok, warning
from batchpoint.upkeep.inventory import is_driven


def findings(home: Path, chosen: str) -> Iterator[Finding]:
    """``chosen``: the setting container_runtime."""
    if find_program(chosen) is None and not chosen:
        yield ok(
            "containers", "Neither podman nor docker is here; computes with isolation: container need one of them."
        )
        return
    try:
        runtime = find_runtime(chosen)
    except NotSupported as error:
        yield warning("containers", error.message, "Mend the setting container_runtime, or leave it out.")
        return
    left = [one for one, job in leftovers.left(runtime).items() if _is_left(Path(job), home)]
    if not left:
        yield ok("containers", f"{runtime.program} runs the workers of computes with isolation: container.")
        return
    said = warning(
        "containers",
        f"{runtime.program} still keeps {len(left)} containers of jobs that nobody drives.",
        f"doctor --fix removes them, or: {runtime.program} rm --force {' '.join(one[:12] for one in left[:3])}",
    )
    yield replace(said, mend=_removing(runtime, left))


def _is_left(job: Path, home: Path) -> bool:
    return job.parent == home / "jobs" and not is_driven(job)


def _removing(runtime: Runtime, left: list[str]) -> Callable[[], str]:
    def remove() -> str:
        leftovers.remove(runtime, left)
        return f"{len(left)} containers were removed."

    return remove
