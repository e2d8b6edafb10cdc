"""Containers that are still known to the runtime although nobody needs them: found by the label of their job.

A container whose worker was killed is removed by its runtime. What this finds was made and never started, or belonged
to a runtime that was killed itself.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from batchpoint.compute.containers.command import LABEL
from batchpoint.compute.containers.runtime import Runtime

#: Seconds that the runtime may take for an answer.
PATIENCE_S = 30.0


def left(runtime: Runtime, job: Path | None = None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ids of the containers of a job, or of all jobs, each with the folder of its job; empty where nobody answers."""
    wanted = LABEL if job is None else f"{LABEL}={job}"
    form = '{{.ID}} {{.Label "' + LABEL + '"}}'
    command = [runtime.program, "ps", "--all", "--no-trunc", f"--filter=label={wanted}", f"--format={form}"]
    lines = _answer(command, environ).splitlines()
    return dict(line.partition(" ")[::2] for line in lines if " " in line)


def remove(runtime: Runtime, ids: list[str], environ: Mapping[str, str] | None = None) -> None:
    """End them, whatever they do, and forget them."""
    if ids:
        _answer(removal(runtime, ids), environ)


def removal(runtime: Runtime, names: list[str]) -> list[str]:
    """The command that does so."""
    at_once = ["--time=0", "--ignore"] if runtime.kind == "podman" else []
    return [runtime.program, "rm", "--force", *at_once, "--", *names]


def _answer(command: list[str], environ: Mapping[str, str] | None) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=None if environ is None else dict(environ),
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
