"""Owns the search for a Python interpreter of a wanted version on this machine, or its download through uv.

The builder calls it. Every candidate is really started, because a file called python3.8 may be a shim that does not.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from batchpoint.environments.commands import ask, installer_variables, run_logged
from batchpoint.errors import EnvironmentBuildFailed

#: The worker runs from this version on.
OLDEST_PYTHON = (3, 6)
_PROBE = "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.executable)"
_ON_PATH = re.compile(r"^python(3(\.\d+)?)?$")
_DOWNLOAD_LIMIT_S = 900.0


@dataclass(frozen=True)
class Python:
    """An interpreter that was started and answered."""

    path: str
    version: str

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True)
class Wanted:
    """Which interpreter is looked for."""

    #: ``3.6``; None for a range or for no wish at all.
    minor: str | None
    #: ``3.6.2``, ``3.6``, ``>=3.8,<3.10``, or empty.
    written: str

    def fits(self, python: Python) -> bool:
        """True where the minor version is the wanted one; another patch will do."""
        if self.minor is not None:
            return python.minor == self.minor
        return python.version in SpecifierSet(self.written)

    @property
    def request(self) -> str:
        """How uv is asked for it."""
        return self.minor or self.written


def start(path: str) -> Python | None:
    """The interpreter at ``path``, or None when it does not start."""
    lines = (ask([path, "-I", "-S", "-c", _PROBE]) or "").splitlines()
    if len(lines) < 2 or not re.fullmatch(r"\d+\.\d+\.\d+", lines[-2]):
        return None
    return Python(lines[-1] or path, lines[-2])


def existing(written: str) -> Python:
    """The interpreter that ``python: written`` names, itself or by its folder. Raises EnvironmentBuildFailed."""
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
        return Python(str(candidate), python.version)
    raise EnvironmentBuildFailed(
        f"'python: {written}' names no Python that starts; tried {', '.join(map(str, tried))}. "
        "Name an interpreter, a virtual environment or a conda prefix on the server's machine.",
        target=written,
    )


def find_python(wanted: Wanted, uv: str, log: Path) -> Python:
    """The best interpreter for ``wanted``, downloaded if need be. Raises EnvironmentBuildFailed with what there is."""
    fitting: list[Python] = []
    for path in _candidates(wanted.minor, uv):
        python = start(path)
        if python is None or not wanted.fits(python):
            continue
        # Without a patch to match, the first one in the order of the search is as good as any.
        if wanted.minor in (None, wanted.written) or python.version == wanted.written:
            return python
        fitting.append(python)
    if fitting:
        return min(fitting, key=lambda python: _patches_away(python.version, wanted.written))
    return _download(wanted, uv, log)


def installed(uv: str) -> list[Python]:
    """Every interpreter that is found here and starts, one for each version, the oldest first."""
    found: dict[str, Python] = {}
    for path in _candidates(None, uv):
        if python := start(path):
            found.setdefault(python.version, python)
    return [found[version] for version in sorted(found, key=_key)]


def _patches_away(version: str, wanted: str) -> tuple[int, int]:
    """Sorts the nearest patch first; of two that are equally near the newer one."""
    distance = _key(version)[2] - [*_key(wanted), 0, 0][2]
    return abs(distance), -distance


def _candidates(minor: str | None, uv: str) -> Iterator[str]:
    """Paths worth starting, each real file once; those whose name tells another minor version are left out."""
    seen: set[Path] = set()
    for path in _places(uv):
        told = re.search(r"3\.\d+", path.name) or re.search(r"(?<![\d.])3\.\d+", path.parent.parent.name)
        if minor is not None and told is not None and told[0] != minor:
            continue
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            continue
        if real not in seen:
            seen.add(real)
            yield str(path)


def _places(uv: str) -> Iterator[Path]:
    environ = installer_variables()
    yield Path(sys.executable)
    for folder in environ.get("PATH", "").split(":"):
        if folder.startswith("/"):
            yield from sorted((p for p in _entries(Path(folder)) if _ON_PATH.match(p.name)), reverse=True)
    roots = [environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")]
    for root in dict.fromkeys(root for root in roots if root):
        yield from _versions(Path(root) / "versions")
    managed = (ask([uv, "python", "dir"]) or "").strip()
    if managed:
        yield from _versions(Path(managed))


def _versions(folder: Path) -> Iterator[Path]:
    for version in sorted(_entries(folder), key=_newest_first):
        yield version / "bin" / "python3"


def _newest_first(folder: Path) -> list[int]:
    return [-int(number) for number in re.findall(r"\d+", folder.name)]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _download(wanted: Wanted, uv: str, log: Path) -> Python:
    outcome = run_logged([uv, "python", "install", wanted.request], log, _DOWNLOAD_LIMIT_S)
    path = (ask([uv, "python", "find", "--managed-python", wanted.request]) or "").strip()
    python = start(path) if outcome.returncode == 0 and path else None
    if python is None or not wanted.fits(python):
        raise EnvironmentBuildFailed(_nothing_found(wanted, uv, log), target="python")
    return python


def _nothing_found(wanted: Wanted, uv: str, log: Path) -> str:
    listed = ", ".join(f"{python.version} ({python.path})" for python in installed(uv))
    return (
        f"The environment wants Python {wanted.written}, this machine has no such version, and none could be "
        f"downloaded (see {log}). Found: {listed or 'none'}. Install Python {wanted.request}, change the version in "
        "the conda file, or name an existing interpreter with 'python: /path/to/venv' in the environment."
    )


def _key(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
