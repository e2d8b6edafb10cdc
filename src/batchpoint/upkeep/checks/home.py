"""The home itself: who may read it, what it stands on, how much room is left, whether the clock can be right."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from batchpoint.store.file_system import DOUBTFUL, UNSAFE, kind_of_file_system
from batchpoint.upkeep.findings import Finding, ok, problem, warning

#: What holds secrets, or every record.
_PRIVATE = ("token", "batchpoint.db", "config.toml", "audit.log", "secrets", "keys", "tls")
#: Folders whose every file is secret, but for certificates that anybody may have.
_OF_SECRETS = ("secrets", "keys", "tls")
_CERTIFICATES = ("ca.pem", "bundle")
_SCARCE_B, _LITTLE_B = 200 * 10**6, 5 * 10**9
#: Clocks of one machine go back by so much without anybody noticing.
_DRIFT_S = 120.0
#: No home is older: 2025-01-01.
_EPOCH_S = 1735689600.0


def findings(home: Path) -> Iterator[Finding]:
    yield from _permissions(home)
    yield _file_system(home)
    usage = shutil.disk_usage(home)
    yield room(home, usage.free)
    yield clock(home / "batchpoint.db", time.time())


def room(home: Path, free: int) -> Finding:
    """Whether ``free`` bytes are enough."""
    said = f"{free / 10**9:,.1f} GB are free where {home} stands."
    if free < _SCARCE_B:
        return problem("disk", f"Hardly any room: {said} Jobs wait or fail.", "Make room; prune lists what can go.")
    if free < _LITTLE_B:
        return warning("disk", f"Little room: {said}", "Make room; prune lists what can go.")
    return ok("disk", said)


def clock(store: Path, now: float) -> Finding:
    """Whether it can be ``now``."""
    ahead = store.stat().st_mtime - now
    if ahead > _DRIFT_S or now < _EPOCH_S:
        since = f"the store was written {ahead / 60:,.0f} minutes later" if ahead > _DRIFT_S else "that was long ago"
        shown = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now))
        return warning(
            "clock",
            f"The clock says {shown}, and {since}. Ages and the ends of jobs will be wrong; results will not.",
            "Set the clock of this machine (timedatectl).",
        )
    return ok("clock", "The clock runs on from the last change of the store.")


def _permissions(home: Path) -> Iterator[Finding]:
    inside = (path for folder in _OF_SECRETS for path in sorted((home / folder).rglob("*")))
    secret = (path for path in inside if not path.name.startswith(_CERTIFICATES))
    places = [home, *(home / name for name in _PRIVATE), *secret]
    found = [_permission(path, 0o700 if path.is_dir() else 0o600) for path in places if path.exists()]
    wrong = [finding for finding in found if finding is not None]
    yield from wrong or [ok("home", f"{home} is open to its owner only.")]


def _permission(path: Path, allowed: int) -> Finding | None:
    status = path.stat()
    if status.st_uid != os.getuid():
        return problem(
            "home",
            f"{path} belongs to the user with id {status.st_uid}, not to the one that runs this ({os.getuid()}).",
            f"Run Batchpoint as that user, or give it back: chown {os.getuid()} {path}",
        )
    mode = status.st_mode & 0o777
    if not mode & 0o077:
        return None
    remedy = f"chmod {allowed:o} {path}"
    loose = problem("home", f"{path} can be read or changed by other users (mode {mode:o}).", remedy)
    return replace(loose, mend=_closing(path, allowed))


def _closing(path: Path, mode: int) -> Callable[[], str]:
    def close() -> str:
        path.chmod(mode)
        return f"{path} is open to its owner only now."

    return close


def _file_system(home: Path) -> Finding:
    kind = kind_of_file_system(home)
    if kind in UNSAFE | DOUBTFUL:
        return warning(
            "file system",
            f"{home} stands on a network file system ({kind}), whose locks may fail: the store can be damaged.",
            "Move the home to a local disk and set BATCHPOINT_HOME; outputs may stay where they are.",
        )
    return ok("file system", f"{home} stands on a local file system ({kind or 'of unknown kind'}).")
