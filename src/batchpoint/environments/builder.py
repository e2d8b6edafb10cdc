"""Owns the environments under ``<home>/environments``: each is built once, under a lock, from its spec.

The engine calls ``ensure`` before the workers start; it knows nothing about jobs.

    <home>/environments/<hash>.lock      held while the environment is built, or removed
    <home>/environments/<hash>/
      complete                           written last; without it the folder counts for nothing; as old as the
                                         last use
      requirements.in                    what the environment asks for
      requirements-<minor>.lock          what that was resolved to; a rebuild installs the same
      venv/
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
from batchpoint.environments.commands import Outcome, run_logged, variables
from batchpoint.environments.interpreters import Python, Wanted, find_python, start
from batchpoint.environments.reasons import reason_of
from batchpoint.environments.spec import OLDEST_PYTHON, EnvironmentSpec, read_spec
from batchpoint.errors import EnvironmentBuildFailed, UserError
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.lock import stands_at

_STEP_LIMIT_S = 3600.0


@dataclass(frozen=True)
class Interpreter:
    """The Python that workers are started with."""

    path: str
    #: Sentences for the job's log: what was left out, which patch was taken.
    notes: tuple[str, ...] = ()
    #: ``3.6.15``
    version: str = ""


def ensure(environment: Environment | None, home: Path, log: Path, python_default: str = sys.executable) -> Interpreter:
    """The interpreter for ``environment``, built if it is not there yet. Raises EnvironmentBuildFailed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if environment is None:
        return Interpreter(python_default)
    if environment.python:
        return _existing(environment.python)
    try:
        spec = read_spec(environment)
    except UserError as error:
        raise EnvironmentBuildFailed(error.message, target=error.target) from error
    try:
        return _Build(spec, home.absolute() / "environments", log).ensure()
    except OSError as error:
        raise EnvironmentBuildFailed(
            f"The environment cannot be built under {home}: {error}. Make room or check the rights there.",
            target="home",
        ) from error


def _existing(written: str) -> Interpreter:
    path = Path(written).expanduser()
    if not path.is_absolute():
        raise EnvironmentBuildFailed(
            f"'python: {written}' must be an absolute path on the server's machine.", target=written
        )
    tried = [path / "bin" / "python", path / "bin" / "python3"] if path.is_dir() else [path]
    for candidate in tried:
        python = start(str(candidate))
        if python is None:
            continue
        if tuple(map(int, python.minor.split("."))) < OLDEST_PYTHON:
            raise EnvironmentBuildFailed(
                f"{candidate} is Python {python.version}; scripts need Python 3.6 or later.",
                target=written,
            )
        return Interpreter(str(candidate), version=python.version)
    raise EnvironmentBuildFailed(
        f"'python: {written}' names no Python that starts; tried {', '.join(map(str, tried))}. "
        "Name an interpreter, a virtual environment or a conda prefix on the server's machine.",
        target=written,
    )


class _Build:
    """One environment's folder, and how it comes to be."""

    def __init__(self, spec: EnvironmentSpec, environments: Path, log: Path, uv: str = "") -> None:
        self._spec = spec
        self._folder = environments / spec.content_hash
        self._lock = environments / f"{spec.content_hash}.lock"
        self._complete = self._folder / "complete"
        self._venv = self._folder / "venv"
        self._python = self._venv / "bin" / "python"
        self._log = log
        self._uv = uv or find_uv()
        self._held: tuple[int, ...] = ()

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
        python = start(str(self._python))
        if python is None or python.version != record["version"]:
            self._say(f"{self._folder} was built, but its Python does not start any more: building it again.")
            return None
        # So that it can be told which ones nobody needs any more.
        with contextlib.suppress(OSError):
            os.utime(self._complete)
        return Interpreter(str(self._python), tuple(record["notes"]), python.version)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with self._lock.open("ab") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._say("The same environment is being built already: waiting for that.")
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if not stands_at(lock.fileno(), self._lock):
                    continue  # removed by somebody who tidied up meanwhile
                self._held = (lock.fileno(),)
                yield
                return

    def _build(self) -> Interpreter:
        began = time.monotonic()
        self._say(f"Building the environment {self._folder}")
        self._complete.unlink(missing_ok=True)
        shutil.rmtree(self._venv, ignore_errors=True)
        self._folder.mkdir(exist_ok=True)
        base = self._base()
        notes = (*self._spec.notes, *self._patch_note(base))
        for note in notes:
            self._say(note)
        if self._create(base):
            self._install_with_uv(base)
        else:
            self._install_with_pip(base)
        python = start(str(self._python))
        if python is None:
            raise self._failed("the Python of the new environment does not start", None)
        write_atomically(self._complete, json.dumps({"version": python.version, "notes": notes}).encode())
        self._say(f"Built with Python {python.version} in {time.monotonic() - began:.1f} s")
        return Interpreter(str(self._python), notes, python.version)

    def _base(self) -> Python:
        wanted = Wanted(self._spec.python_version, self._spec.python_wanted)
        if not wanted.written:
            wanted = Wanted(None, f"=={sys.version_info.major}.{sys.version_info.minor}.*")
        return find_python(wanted, self._uv, self._log)

    def _patch_note(self, base: Python) -> tuple[str, ...]:
        wanted = self._spec.python_wanted
        if self._spec.python_version is None or wanted in (self._spec.python_version, base.version):
            return ()
        return (f"Python {wanted} is not on this machine: {base.version} is used instead.",)

    def _create(self, base: Python) -> bool:
        """Make the empty environment; False when uv does not know so old a Python and its own venv had to do it."""
        if self._run([self._uv, "venv", "--python", base.path, str(self._venv)]).returncode == 0:
            return True
        self._say(f"uv makes no environment with {base.path}: using its own venv and pip")
        shutil.rmtree(self._venv, ignore_errors=True)
        outcome = self._run([base.path, "-m", "venv", str(self._venv)])
        if outcome.returncode != 0:
            raise self._failed(f"no virtual environment can be made with {base.path}", outcome)
        return False

    def _requirements(self, minor: str) -> Path | None:
        """The file with what is wanted, or None when that is nothing."""
        if not self._spec.requirements:
            return None
        lines = [*self._spec.requirements]
        names = {canonicalize_name(Requirement(line).name) for line in lines}
        # conda environments have setuptools, and packages of that time import pkg_resources without asking for it.
        if "setuptools" not in names and tuple(map(int, minor.split("."))) < (3, 12):
            lines.append("setuptools<81")
        wanted = self._folder / "requirements.in"
        write_atomically(wanted, "".join(f"{line}\n" for line in lines).encode())
        return wanted

    def _install_with_uv(self, base: Python) -> None:
        wanted = self._requirements(base.minor)
        if wanted is None:
            return
        lock = self._folder / f"requirements-{base.minor}.lock"
        if not lock.exists():
            self._resolve(wanted, lock)
        command = [self._uv, "pip", "install", "--python", str(self._python), *self._index_options(), "-r", str(lock)]
        outcome = self._run(command)
        if outcome.returncode != 0:
            # What was resolved before may have been withdrawn: the next attempt resolves anew.
            lock.unlink()
            raise self._failed("its packages cannot be installed", outcome)

    def _resolve(self, wanted: Path, lock: Path) -> None:
        aside = lock.with_suffix(".aside")
        aside.unlink(missing_ok=True)
        command = [self._uv, "pip", "compile", "--quiet", "--python", str(self._python), *self._index_options()]
        command += ["--no-header", "--no-annotate", "--generate-hashes", "-o", str(aside), str(wanted)]
        outcome = self._run(command)
        if outcome.returncode != 0:
            aside.unlink(missing_ok=True)
            raise self._failed("its packages cannot be resolved", outcome)
        aside.replace(lock)

    def _install_with_pip(self, base: Python) -> None:
        wanted = self._requirements(base.minor)
        if wanted is None:
            return
        command = [str(self._python), "-m", "pip", "install", *self._spec.index_options, "-r", str(wanted)]
        outcome = self._run(command)
        if outcome.returncode != 0:
            raise self._failed("its packages cannot be installed", outcome)

    def _index_options(self) -> list[str]:
        options = [*self._spec.index_options]
        if any(option.startswith("--extra-index-url") for option in options):
            # The conda file was written for pip, which looks for the best version on all indexes.
            options.append("--index-strategy=unsafe-best-match")
        if variables().get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on"):
            options.append("--no-index")
        return options

    def _run(self, command: list[str]) -> Outcome:
        self._say("$ " + " ".join(command))
        return run_logged(command, self._log, _STEP_LIMIT_S, self._held)

    def _failed(self, what: str, outcome: Outcome | None) -> EnvironmentBuildFailed:
        reason = reason_of(outcome.output) if outcome else ""
        text = f"{reason}\n" if reason else ""
        return EnvironmentBuildFailed(
            f"{text}The environment could not be built: {what}. "
            f"Mend the conda file and deploy again; the whole output is in {self._log}.",
            target="environment",
        )

    def _say(self, sentence: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._log.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{moment} {sentence}\n")


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
