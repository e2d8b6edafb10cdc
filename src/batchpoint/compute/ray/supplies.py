"""What a node must have before the first worker starts: the interpreter, code, model and worker package of a job.

The bridge makes it from the job's opening message; each instance asks it what to bring to its node.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute.ray.frames import Header
from batchpoint.compute.ray.freight import Parcel, Venv, venv_of
from batchpoint.compute.ray.node.interpreters import version_of
from batchpoint.errors import EnvironmentBuildFailed

Ask = Callable[[Header], Header]


@dataclass(frozen=True)
class Python:
    """The user's interpreter on one node."""

    #: On the driver's machine, as workers are told of it.
    path: str
    #: On the node; empty when it comes in a parcel.
    here: str = ""
    #: Base interpreter on the node of a copied environment.
    base: str = ""


class Supplies:
    """The parcels of a job."""

    def __init__(self, job_folder: str, code: str, model: str, package: str, python: str, *, is_own: bool) -> None:
        self._job_folder = job_folder
        #: None where the model scores without a script.
        self._code = Parcel(Path(code)) if code else None
        self._model = Parcel(Path(model)) if model else None
        self._package = Parcel(Path(package))
        self._python = python
        self._venv: Venv | None = None if is_own else venv_of(python)
        self._environment = Parcel(self._venv.root, is_venv=True) if self._venv else None
        self._is_own = is_own

    def python(self, ask: Ask, node: str) -> Python:
        """Which interpreter workers get on a node. Raises EnvironmentBuildFailed when there is none."""
        if self._is_own:
            return Python(self._python, ask({"t": "python", "kind": "own"})["path"])
        if self._venv is not None:
            minor, base = self._venv.minor, self._venv.base
            found = ask({"t": "python", "kind": "base", "minor": minor, "path": base})["path"]
            if not found:
                raise EnvironmentBuildFailed(
                    f"The node {node} has no Python {minor}, which the environment {self._venv.root} rests on. "
                    f"Install Python {minor} there, at {base} or as python{minor} on the PATH.",
                    target="environment",
                )
            return Python(self._python, "", found)
        minor = version_of(self._python) or ".".join(map(str, sys.version_info[:2]))
        found = ask({"t": "python", "kind": "path", "minor": minor, "path": self._python})["path"]
        if not found:
            raise EnvironmentBuildFailed(
                f"The node {node} has no Python {minor} at {self._python}. Only virtual environments are copied to "
                "nodes: install this interpreter there at the same path, or name a virtual environment.",
                target="environment",
            )
        return Python(self._python, found)

    def parcels(self, python: Python) -> Iterator[tuple[Parcel, Header | None]]:
        """What a node must have, and for an environment what it is joined to."""
        yield self._package, None
        if self._code is not None:
            yield self._code, None
        if self._model is not None:
            yield self._model, None
        if self._environment is not None and self._venv is not None:
            yield self._environment, {**self._venv.header, "base": python.base}

    def ready(self, python: Python, *, reads_in_place: bool) -> Header:
        """Where each parcel belongs, in the driver's paths."""
        environment = "" if python.here or self._environment is None else self._environment.digest
        model = self._model
        return {
            "t": "ready",
            "reads_in_place": reads_in_place,
            "job": self._job_folder,
            "code": self._code and {"path": str(self._code.root), "parcel": self._code.digest},
            "package": self._package.digest,
            "model": model
            and {
                "path": str(model.root),
                "parcel": model.digest,
                "name": model.root.name,
                "is_file": not model.root.is_dir(),
            },
            "python": {"path": python.path, "here": python.here, "parcel": environment},
        }
