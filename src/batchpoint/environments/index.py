"""Owns how packages of a Python index come into an environment: an interpreter, a virtual environment, uv or pip.

The builder calls it, for all packages or, in a conda prefix, for those below ``pip``.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from batchpoint.environments.commands import ask, installer_variables
from batchpoint.environments.interpreters import Python, Wanted, find_python
from batchpoint.environments.sources import is_offline
from batchpoint.environments.workbench import Workbench
from batchpoint.storage.atomic import write_atomically

#: The last minor version whose standard library old packages take setuptools for granted beside.
_NEEDS_SETUPTOOLS_BEFORE = (3, 12)


class Index:
    """Packages by pip's names for one build."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._variables = bench.sources.variables(installer_variables(), bench.spec.index_options)

    def interpreter(self) -> Python:
        """The Python of this machine to build with, downloaded if need be. Raises EnvironmentBuildFailed."""
        spec = self._bench.spec
        wanted = Wanted(spec.python_version, spec.python_wanted)
        if not wanted.written:
            wanted = Wanted(None, f"=={sys.version_info.major}.{sys.version_info.minor}.*")
        return find_python(wanted, self._bench.uv, self._bench.log)

    def patch_note(self, base: Python) -> tuple[str, ...]:
        """A sentence where another patch version is taken than the one that was asked for."""
        wanted = self._bench.spec.python_wanted
        if self._bench.spec.python_version is None or wanted in (self._bench.spec.python_version, base.version):
            return ()
        return (f"Python {wanted} is not on this machine: {base.version} is used instead.",)

    def build(self, base: Python, requirements: Sequence[str], hint: str = "") -> None:
        """A virtual environment with these packages. Raises EnvironmentBuildFailed."""
        if self._create(base):
            self.install(base.minor, requirements, hint=hint)
        else:
            self._install_with_pip(base.minor, requirements, hint)

    def install(self, minor: str, requirements: Sequence[str], *, into_prefix: bool = False, hint: str = "") -> None:
        """Resolve what is asked for, or take the lock, and install it into the environment that is there."""
        wanted = self._wanted(minor, requirements)
        if wanted is None:
            return
        lock = self._bench.folder / f"requirements-{minor}.lock"
        if not lock.exists():
            self._resolve(wanted, lock, self._present() if into_prefix else "", hint)
        command = [self._bench.uv, "pip", "install", "--python", str(self._bench.python), *self._options()]
        if into_prefix:
            # A prefix is no virtual environment, and some say that they are managed: ours is, by us.
            command.append("--break-system-packages")
        # Beside a prefix uv leaves its own lock with the temporary files, for good.
        variables = self._variables | ({"TMPDIR": str(self._bench.folder)} if into_prefix else {})
        outcome = self._bench.run([*command, "-r", str(lock)], variables)
        for left in self._bench.folder.glob("uv-*.lock"):
            left.unlink()
        if outcome.returncode != 0:
            # What was resolved before may have been withdrawn: the next attempt resolves anew.
            lock.unlink()
            raise self._bench.failed("its packages cannot be installed", outcome, hint)

    def _create(self, base: Python) -> bool:
        """Make the empty environment; False when uv does not know so old a Python and its own venv had to do it."""
        venv = str(self._bench.venv)
        if self._bench.run([self._bench.uv, "venv", "--python", base.path, venv], self._variables).returncode == 0:
            return True
        self._bench.say(f"uv makes no environment with {base.path}: using its own venv and pip")
        shutil.rmtree(venv, ignore_errors=True)
        outcome = self._bench.run([base.path, "-m", "venv", venv], self._variables)
        if outcome.returncode != 0:
            raise self._bench.failed(f"no virtual environment can be made with {base.path}", outcome)
        return False

    def _present(self) -> str:
        """What conda has installed, as pins: versions that are kept where nothing speaks against them."""
        told = ask([self._bench.uv, "pip", "list", "--python", str(self._bench.python), "--format", "json"])
        return "".join(f"{one['name']}=={one['version']}\n" for one in json.loads(told or "[]"))

    def _wanted(self, minor: str, requirements: Sequence[str]) -> Path | None:
        """The file with what is wanted, or None when that is nothing."""
        if not requirements:
            return None
        lines = [*requirements]
        names = {canonicalize_name(Requirement(line).name) for line in lines}
        # conda environments have setuptools, and packages of that time import pkg_resources without asking for it.
        is_old = tuple(map(int, minor.split("."))) < _NEEDS_SETUPTOOLS_BEFORE
        has_it = "setuptools" in names or any((self._bench.venv / "conda-meta").glob("setuptools-[0-9]*.json"))
        if is_old and not has_it:
            lines.append("setuptools<81")
        wanted = self._bench.folder / "requirements.in"
        write_atomically(wanted, "".join(f"{line}\n" for line in lines).encode(), 0o600)
        return wanted

    def _resolve(self, wanted: Path, lock: Path, present: str, hint: str) -> None:
        aside = lock.with_suffix(".aside")
        aside.unlink(missing_ok=True)
        if present:
            # The resolver prefers the versions that stand in the file that it writes.
            aside.write_text(present, encoding="utf-8")
        command = [self._bench.uv, "pip", "compile", "--quiet", "--python", str(self._bench.python), *self._options()]
        command += ["--no-header", "--no-annotate", "--generate-hashes", "-o", str(aside), str(wanted)]
        outcome = self._bench.run(command, self._variables)
        if outcome.returncode != 0:
            aside.unlink(missing_ok=True)
            raise self._bench.failed("its packages cannot be resolved", outcome, hint)
        aside.chmod(0o600)
        aside.replace(lock)

    def _install_with_pip(self, minor: str, requirements: Sequence[str], hint: str) -> None:
        wanted = self._wanted(minor, requirements)
        if wanted is None:
            return
        command = [str(self._bench.python), "-m", "pip", "install", "-r", str(wanted)]
        outcome = self._bench.run(command, self._variables)
        if outcome.returncode != 0:
            raise self._bench.failed("its packages cannot be installed", outcome, hint)

    def _options(self) -> list[str]:
        return ["--no-index"] if is_offline(self._variables) else []
