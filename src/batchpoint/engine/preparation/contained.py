"""What workers in containers of a job get to see: their image, made ready first, and the folders mounted into it.

``engine.run`` calls it for a job whose compute has ``isolation: container``; building an image may take minutes.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from batchpoint.compute.containers.command import Box, Mounts, Network
from batchpoint.compute.containers.runtime import Runtime
from batchpoint.engine.preparation.interpreter import built_by, interpreter
from batchpoint.engine.preparation.source import Source
from batchpoint.engine.preparation.workers import WORKER_PACKAGE
from batchpoint.entities.job import Job
from batchpoint.errors import EnvironmentBuildFailed
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder


@dataclass(frozen=True)
class Contained:
    """An image and the Python in it."""

    runtime: Runtime
    #: Id of the image.
    image: str
    #: Interpreter of this machine that is mounted; empty: the image's own.
    python: str
    #: Folders that it is made of.
    mounts: tuple[Path, ...]


def contained(
    job: Job, folder: JobFolder, settings: Settings, note: Callable[[str], None], still_wanted: Callable[[], None]
) -> Contained | None:
    """The image for the job's workers, fetched or built first; None for a job without containers.

    ``note`` and ``still_wanted`` as for ``interpreter``. Raises EnvironmentBuildFailed.
    """
    if job.settings.place.isolation != "container":
        return None
    environment = job.settings.environment
    if environment is None or not (environment.image or environment.build):
        raise EnvironmentBuildFailed(
            "The compute runs workers in containers, and the environment names neither image nor build. Add one of "
            "them, or use a compute with isolation: process.",
            target="environment.image",
        )
    python = ""
    if environment.conda_file is not None:
        # The builder is asked for the packages alone: it has nothing to say about images.
        packages = environment.model_copy(update={"image": None, "build": None})
        alone = job.model_copy(update={"settings": job.settings.model_copy(update={"environment": packages})})
        python = interpreter(alone, folder, settings, note, still_wanted)
    request = {
        "environment": environment.model_dump(mode="json"),
        "home": str(settings.home),
        "log": str(folder.environment_log),
        "runtime": settings.container_runtime,
        "python": python,
    }
    said = built_by("batchpoint.compute.containers", request, folder, settings, note, still_wanted)
    origin = "built from the conda file" if python else "its own"
    note(
        f"Workers run in containers of {said['name']} ({str(said['image']).removeprefix('sha256:')[:12]}), started by "
        f"{said['kind']}, on Python {said['version']}, {origin}."
    )
    return Contained(
        Runtime(said["program"], said["kind"]), said["image"], python, tuple(Path(path) for path in said["mounts"])
    )


def box_of(contained: Contained, job: Job, folder: JobFolder, source: Source, settings: Settings) -> Box:
    """What the containers of the job see and may use."""
    chosen = job.settings
    read = [folder.path, WORKER_PACKAGE, source.file or Path(source.root), *contained.mounts]
    read += [Path(path) for path in (chosen.code_path, chosen.model_path) if path]
    # Of the logs what a worker writes itself: the driver writes the others, and must find no link in their place.
    own_logs = folder.logs / "user" / "entry_script_log"
    written = (folder.segments, folder.scratch, folder.staging, own_logs, folder.tracking)
    for path in written:
        path.mkdir(parents=True, exist_ok=True)
    return Box(
        runtime=contained.runtime,
        image=contained.image,
        mounts=Mounts(tuple(read), written),
        job=folder.path,
        uid=os.getuid(),
        gid=os.getgid(),
        network=_network(settings),
        memory=chosen.place.memory // chosen.max_concurrency_per_instance,
        host=os.uname().nodename,
    )


def _network(settings: Settings) -> Network:
    wanted = settings.container_network
    if wanted not in ("default", "none", "host"):
        raise EnvironmentBuildFailed(
            f"The setting container_network is {wanted!r}; it can be default, none or host.", target="container_network"
        )
    return cast("Network", wanted)
