"""Owns the environments under ``<home>/environments``: each is built once, under a lock, from its spec.

The engine calls ``ensure`` before the workers start; it knows nothing about jobs.

    <home>/environments/<hash>.lock      held while the environment is built, or removed; says for whom
    <home>/environments/<hash>/
      complete                           written last; without it the folder counts for nothing; as old as the
                                         last use
      conda-<platform>.lock, .json       the conda packages that were chosen; a rebuild installs the same
      requirements.in                    what is asked of the Python index
      requirements-<minor>.lock          what that was resolved to; a rebuild installs the same
      venv/                              a virtual environment, or a conda prefix
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from batchpoint.entities.assets import Environment
from batchpoint.environments.conda.channels import CondaChannels
from batchpoint.environments.conda.index_names import on_index
from batchpoint.environments.index import Index
from batchpoint.environments.interpreters import existing, start
from batchpoint.environments.sources import Sources
from batchpoint.environments.spec import EnvironmentSpec, read_spec
from batchpoint.environments.workbench import Workbench
from batchpoint.errors import EnvironmentBuildFailed, UserError
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.lock import stands_at


@dataclass(frozen=True)
class Interpreter:
    """The Python that workers are started with."""

    path: str
    #: Sentences for the job's log: what was left out, which patch was taken.
    notes: tuple[str, ...] = ()
    #: ``3.6.15``
    version: str = ""


@dataclass(frozen=True)
class Order:
    """What one caller of the builder wants to be done beside the environment itself."""

    home: Path
    log: Path
    #: Whom it is for, as others read it who wait: ``job NAME``.
    caller: str = ""
    sources: Sources = Sources()


def ensure(
    environment: Environment | None,
    home: Path,
    log: Path,
    python_default: str = sys.executable,
    *,
    caller: str = "",
    sources: Sources | None = None,
) -> Interpreter:
    """The interpreter for ``environment``, built if it is not there yet. Raises EnvironmentBuildFailed.

    ``caller`` is told to others who wait for the same environment.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if environment is None:
        return Interpreter(python_default)
    if environment.python:
        python = existing(environment.python)
        return Interpreter(python.path, version=python.version)
    try:
        spec = read_spec(environment)
    except UserError as error:
        raise EnvironmentBuildFailed(error.message, target=error.target) from error
    try:
        return _Build(spec, Order(home, log, caller, sources or Sources())).ensure()
    except OSError as error:
        raise EnvironmentBuildFailed(
            f"The environment cannot be built under {home}: {error}. Make room or check the rights there.",
            target="home",
        ) from error


class _Build:
    """One environment's folder, and how it comes to be."""

    def __init__(self, spec: EnvironmentSpec, order: Order) -> None:
        environments = order.home.absolute() / "environments"
        self._spec = spec
        self._order = order
        self._bench = Workbench(spec, environments / spec.content_hash, order.log, order.sources, find_uv())
        self._lock = environments / f"{spec.content_hash}.lock"
        self._complete = self._bench.folder / "complete"

    def ensure(self) -> Interpreter:
        built = self._built()
        if built is None:
            with self._locked():
                built = self._built() or self._build()
        return built

    def _built(self) -> Interpreter | None:
        """The environment if it is whole and its Python still starts."""
        try:
            record = json.loads(self._complete.read_bytes())
        except FileNotFoundError:
            return None
        python = start(str(self._bench.python))
        if python is None or python.version != record["version"]:
            self._bench.say(f"{self._bench.folder} was built, but its Python does not start any more: building again.")
            return None
        # So that it can be told which ones nobody needs any more.
        with contextlib.suppress(OSError):
            os.utime(self._complete)
        return Interpreter(str(self._bench.python), tuple(record["notes"]), python.version)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with self._lock.open("a+b") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.seek(0)
                    holder = lock.read().decode(errors="replace")
                    who = f" for {holder}" if holder else ""
                    self._bench.say(f"The same environment is being built already{who}: waiting for that.")
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if not stands_at(lock.fileno(), self._lock):
                    continue  # removed by somebody who tidied up meanwhile
                lock.truncate(0)
                lock.write(self._order.caller.encode())
                lock.flush()
                self._bench.held = (lock.fileno(),)
                yield
                return

    def _build(self) -> Interpreter:
        began = time.time()
        self._bench.say(f"Building the environment {self._bench.folder}")
        self._complete.unlink(missing_ok=True)
        shutil.rmtree(self._bench.venv, ignore_errors=True)
        self._bench.folder.mkdir(exist_ok=True)
        for note in self._spec.notes:
            self._bench.say(note)
        notes = (*self._spec.notes, *self._filled())
        python = start(str(self._bench.python))
        if python is None:
            raise self._bench.failed("the Python of the new environment does not start", None)
        record = {"version": python.version, "notes": notes, "built_at": time.time(), "seconds": time.time() - began}
        write_atomically(self._complete, json.dumps(record).encode())
        self._bench.say(f"Built with Python {python.version} in {time.time() - began:.1f} s")
        return Interpreter(str(self._bench.python), notes, python.version)

    def _filled(self) -> tuple[str, ...]:
        """Make the environment; sentences about what is not as it was asked for. Raises EnvironmentBuildFailed."""
        if not self._spec.conda:
            return self._from_index(self._spec.requirements)
        asked = CondaChannels(self._bench).build()
        if not asked.is_made:
            return self._without_channels(asked.notes)
        python = start(str(self._bench.python))
        if python is None:
            raise self._bench.failed("the conda packages bring no Python that starts", None)
        Index(self._bench).install(python.minor, self._spec.requirements, into_prefix=True)
        return asked.notes

    def _from_index(self, requirements: tuple[str, ...], hint: str = "") -> tuple[str, ...]:
        index = Index(self._bench)
        base = index.interpreter()
        notes = index.patch_note(base)
        for note in notes:
            self._bench.say(note)
        index.build(base, requirements, hint)
        return notes

    def _without_channels(self, absent: tuple[str, ...]) -> tuple[str, ...]:
        asked_of_pip = {canonicalize_name(Requirement(line).name) for line in self._spec.requirements}
        found = on_index((one for one in self._spec.conda if one.name != "python"), asked_of_pip)
        notes = (*absent, *found.notes)
        for note in found.notes:
            self._bench.say(note)
        hint = "No conda channel can be reached, so its conda packages were looked for on the Python index."
        return (*notes, *self._from_index((*self._spec.requirements, *found.requirements), hint))


def find_uv() -> str:
    """The program that came with Batchpoint. Raises EnvironmentBuildFailed where it did not."""
    import uv

    try:
        return os.fspath(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise EnvironmentBuildFailed(
            "uv, which builds environments, is not installed with Batchpoint. Install Batchpoint again with pip.",
            target="uv",
        ) from error
