"""Owns how a built environment is looked at: whether it is there, what it holds, when it was used last.

The server answers it, and nothing is changed. It starts no interpreter: what the builder wrote down counts.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from batchpoint.entities.assets import Environment
from batchpoint.entities.environments.state import EnvironmentState
from batchpoint.entities.naming.credentials import masked
from batchpoint.environments.spec import read_spec
from batchpoint.storage.atomic import sha256_of
from batchpoint.storage.discarding import size_of
from batchpoint.storage.lock import is_locked

_PIN = re.compile(r"^([A-Za-z0-9][\w.\-]*==[^\s\\;]+)")


def folder_of(environment: Environment, home: Path) -> Path:
    """Where it is built. Raises NotSupported for one that cannot be built."""
    return home.absolute() / "environments" / read_spec(environment).content_hash


def looked_at(environment: Environment, home: Path) -> EnvironmentState:
    """Its state, for the version that it is. Raises NotSupported for one that cannot be built."""
    known = {"name": environment.name or "", "version": environment.version or ""}
    if environment.python:
        return EnvironmentState(**known, state="existing", interpreter=environment.python)
    folder = folder_of(environment, home)
    lock = folder.with_name(f"{folder.name}.lock")
    complete = folder / "complete"
    try:
        record = json.loads(complete.read_bytes())
        used = complete.stat().st_mtime
    except (FileNotFoundError, ValueError):
        if is_locked(lock):
            return EnvironmentState(**known, state="building", path=str(folder), caller=_holder(lock))
        return EnvironmentState(**known, state="absent", path=str(folder))
    return EnvironmentState(
        **known,
        state="built",
        path=str(folder),
        interpreter=str(folder / "venv" / "bin" / "python"),
        python=record["version"],
        size=size_of(folder),
        built_at=_moment(record.get("built_at", used)),
        last_used=_moment(used),
        seconds=round(record.get("seconds", 0.0), 1),
        notes=tuple(record["notes"]),
        locks=tuple(map(str, pins(folder, record["version"]))),
        packages=tuple(package for path in pins(folder, record["version"]) for package in _packages(path)),
    )


def pins(folder: Path, python: str) -> list[Path]:
    """The files that pin what is installed in the environment built in ``folder`` with that version of Python."""
    minor = ".".join(python.split(".")[:2])
    return [
        path
        for path in _locks(folder)
        if not path.name.startswith("requirements-") or path.stem == f"requirements-{minor}"
    ]


def pins_sha256(folder: Path, python: str) -> str:
    """Of the file that pins, or of the hashes of all where there are several. Empty where there is none."""
    hashes = [sha256_of(path) for path in pins(folder, python)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else ""


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _locks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.lock") if path.name.startswith(("conda-", "requirements-")))


def _packages(lock: Path) -> list[str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    if lock.name.startswith("conda-"):
        return [line.partition("#")[0].rpartition("/")[2] for line in lines if "://" in line]
    pinned = (_PIN.match(line) for line in lines)
    addressed = [masked(line.rstrip(" \\")) for line in lines if " @ " in line and not line.startswith((" ", "#"))]
    return [*(pin[1] for pin in pinned if pin), *addressed]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
