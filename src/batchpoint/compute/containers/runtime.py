"""Which container runtime there is, Docker or Podman, and which names of images may be handed to it.

The server asks before it accepts a deployment, jobs and ``doctor`` before they use it. Nothing is started but the
runtime's own ``--version``.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batchpoint.errors import NotSupported

#: Podman first: it needs no daemon that may be away.
PROGRAMS = ("podman", "docker")
_VERSION_S = 20.0
_LONGEST = 512
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(rf"{_HOST}{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")


@dataclass(frozen=True)
class Runtime:
    """A command that runs containers."""

    #: Absolute path.
    program: str
    kind: Literal["docker", "podman"]


def find_program(chosen: str) -> str | None:
    """Absolute path of the runtime: the ``chosen`` one, a name or a path, else the first that is there; or None."""
    found = (shutil.which(name) for name in ((chosen,) if chosen else PROGRAMS))
    return next((str(Path(program).absolute()) for program in found if program), None)


def find_runtime(chosen: str) -> Runtime:
    """The runtime and its kind. Raises NotSupported where there is none, or where it does not start."""
    program = find_program(chosen)
    if program is None:
        raise NotSupported(missing(chosen), target="container_runtime")
    try:
        done = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_S, check=False
        )
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        done, said = None, str(error)
    if done is None or done.returncode:
        raise NotSupported(
            f"The container runtime {program} does not start: {said}. Mend it, or name another one with the setting "
            "container_runtime.",
            target="container_runtime",
        )
    # What is called docker may be Podman in disguise.
    return Runtime(program, "podman" if "podman" in said.lower() else "docker")


def missing(chosen: str) -> str:
    """What to say where no runtime is."""
    if chosen:
        return (
            f"There is no program {chosen}, which the setting container_runtime names, on the server's machine. "
            "Install it, or name podman, docker or the path of one of them."
        )
    return (
        "Neither podman nor docker is on the server's machine, so nothing can run in containers. Install one of them, "
        "name its path with the setting container_runtime, or use a compute with isolation: process."
    )


def check_image(image: str) -> None:
    """Raises NotSupported for a text that is no name of an image in a registry or on this machine."""
    if len(image) <= _LONGEST and _IMAGE.fullmatch(image):
        return
    raise NotSupported(
        f"{image[:200]!r} is no name of an image. Write it as name:tag, registry.example.org/name:tag or "
        "name@sha256:<digest>.",
        target="image",
    )


def full_name(image: str) -> str:
    """A name with its registry, as Docker completes it."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"
