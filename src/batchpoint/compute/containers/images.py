"""Owns the image that the workers of a job run in: found on this machine, fetched, or built from a context.

``__main__`` calls it in a process of its own; all output of the runtime goes to the log of the job's environment.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute.containers.command import Box, Mounts, probe_command, without_gaps
from batchpoint.compute.containers.runtime import Runtime, check_image, full_name
from batchpoint.entities.assets import Environment, EnvironmentBuild
from batchpoint.environments.commands import ask, run_logged
from batchpoint.environments.reasons import reason_of
from batchpoint.errors import EnvironmentBuildFailed
from batchpoint.storage.content import content_hash
from batchpoint.storage.lock import stands_at

#: Beginning of the names of images that are built here.
_BUILT = "localhost/batchpoint-environment"
_STEP_LIMIT_S = 3600.0
_OLDEST_PYTHON = (3, 6)
#: Folders of every system, over which no folder of this machine can be mounted.
_OF_THE_SYSTEM = frozenset({Path("/"), Path("/usr"), Path("/usr/local")})
_WHERE = "import json, os, sys; print(json.dumps([sys.prefix, sys.base_prefix, os.path.realpath(sys.executable)]))"


@dataclass(frozen=True)
class Image:
    """What workers are started in."""

    #: ``sha256:…`` or its hexadecimal part.
    id: str
    #: As people know it.
    name: str
    #: Of the Python that workers run on.
    version: str
    #: Folders of an interpreter of this machine that containers have to see.
    mounts: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Images:
    """The images of one runtime, as one home uses them."""

    runtime: Runtime
    home: Path
    log: Path

    def ensure(self, environment: Environment, python: str) -> Image:
        """The image of ``environment``; ``python``: an interpreter of this machine to be used in it, or "".

        Raises EnvironmentBuildFailed with the runtime's own words first.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if environment.build is not None:
            name, found = self._built(environment.build)
        elif environment.image:
            name, found = environment.image, self._fetched(environment.image)
        else:
            raise EnvironmentBuildFailed("The environment names neither image nor build.", target="environment.image")
        mounts = _folders_of(python) if python else ()
        return Image(found, name, self._version(found, name, python, mounts), mounts)

    # ---- images that exist somewhere --------------------------------------------------------------------------------

    def _fetched(self, name: str) -> str:
        check_image(name)
        found = self._id(name)
        if found is None:
            wanted = full_name(name)
            self._run(["pull", "--", wanted], f"The image {name} is not on this machine and cannot be fetched")
            found = self._id(wanted)
        if found is None:
            raise EnvironmentBuildFailed(f"The image {name} was fetched and is not there.", target="image")
        return found

    def _id(self, name: str) -> str | None:
        said = ask([self.runtime.program, "image", "inspect", "--format={{.Id}}", "--", name], _STEP_LIMIT_S)
        return said.strip() if said and said.strip() else None

    # ---- images that are built here ---------------------------------------------------------------------------------

    def _built(self, build: EnvironmentBuild) -> tuple[str, str]:
        context = Path(build.path)
        file = context / build.dockerfile_path
        if not file.resolve().is_relative_to(context.resolve()) or not file.is_file():
            raise EnvironmentBuildFailed(
                f"There is no file {build.dockerfile_path} in the build context; the path is relative to build.path.",
                target="build.dockerfile_path",
            )
        key = hashlib.sha256(f"{content_hash(context)} {build.dockerfile_path}".encode()).hexdigest()[:24]
        name = f"{_BUILT}:{key}"
        found = self._id(name)
        if found is None:
            with self._locked(key):
                found = self._id(name) or self._build(name, file, context)
        return name, found

    def _build(self, name: str, file: Path, context: Path) -> str:
        self._say(f"Building the image {name}")
        began = time.monotonic()
        words = ["build", f"--tag={name}", f"--file={file}", "--label=batchpoint.environment", "--", str(context)]
        self._run(words, "The image of the environment could not be built")
        self._say(f"Built in {time.monotonic() - began:.1f} s")
        found = self._id(name)
        if found is None:
            raise EnvironmentBuildFailed(f"The image {name} was built and is not there.", target="build")
        return found

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Two jobs that want the same image build it once."""
        path = self.home / "images" / f"{key}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with path.open("ab") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._say("The same image is being built already: waiting for that.")
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if stands_at(lock.fileno(), path):
                    yield
                    return

    # ---- the Python in it -------------------------------------------------------------------------------------------

    def _version(self, image: str, name: str, python: str, mounts: tuple[Path, ...]) -> str:
        """Raises EnvironmentBuildFailed where no worker could start."""
        box = Box(self.runtime, image, Mounts(mounts), self.home, os.getuid(), os.getgid())
        found = run_logged(without_gaps(probe_command(box, python)), self.log, _STEP_LIMIT_S)
        version = found.output.strip().rpartition("\n")[2]
        if found.returncode or not version.replace(".", "").isdigit():
            which = f"The environment's Python, {python}, does not start in" if python else "No Python starts in"
            remedy = (
                "It was built on the server's machine: use an image with system libraries as new as there, or install "
                "the packages in the image and leave conda_file out."
                if python
                else "Use an image that has python on its PATH."
            )
            raise EnvironmentBuildFailed(
                f"{reason_of(found.output)}\n{which} the image {name}. {remedy}".strip(), target="environment.image"
            )
        if tuple(map(int, version.split(".")[:2])) < _OLDEST_PYTHON:
            raise EnvironmentBuildFailed(
                f"The image {name} has Python {version}; scripts need Python 3.6 or later.", target="environment.image"
            )
        return version

    def _run(self, words: list[str], what: str) -> None:
        self._say("$ " + " ".join([self.runtime.program, *words]))
        outcome = run_logged([self.runtime.program, *words], self.log, _STEP_LIMIT_S)
        if outcome.returncode:
            raise EnvironmentBuildFailed(
                f"{reason_of(outcome.output)}\n{what}. The whole output is in {self.log}.".strip(), target="environment"
            )

    def _say(self, sentence: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{moment} {sentence}\n")


def _folders_of(python: str) -> tuple[Path, ...]:
    """The folders of an interpreter of this machine. Raises EnvironmentBuildFailed for the system's own."""
    said = ask([python, "-c", _WHERE])
    if said is None:
        raise EnvironmentBuildFailed(f"The environment's Python, {python}, does not start.", target=python)
    prefix, base, executable = (Path(word) for word in json.loads(said))
    folders = tuple(dict.fromkeys((prefix, base, executable.parent.parent)))
    if _OF_THE_SYSTEM & {*folders, *(folder.resolve() for folder in folders)}:
        raise EnvironmentBuildFailed(
            f"The environment's Python belongs to the system of the server's machine ({base}), which cannot be mounted "
            "into a container. Install the packages in the image and leave conda_file out, or put a Python of its own "
            "on the server's machine (uv python install).",
            target="environment.conda_file",
        )
    return folders
