"""The built environments: which ones are half built or do not start, and locks that nobody needs any more."""

from collections.abc import Iterator
from pathlib import Path

from batchpoint.storage.atomic import is_aside
from batchpoint.storage.lock import is_locked
from batchpoint.upkeep.findings import Finding, ok, warning


def findings(home: Path) -> Iterator[Finding]:
    folder = home / "environments"
    built = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    built = [path for path in built if not is_aside(path.name)]
    wrong = [finding for path in built for finding in _environment(path)]
    yield from wrong
    locks = [path for path in folder.glob("*.lock") if not path.with_suffix("").exists() and not is_locked(path)]
    if locks:
        yield warning(
            "environments",
            f"{len(locks)} locks in {folder} are held by nobody and belong to nothing, as {locks[0].name}.",
            "Harmless; prune --yes removes them when they are a day old.",
        )
    if not wrong and not locks:
        yield ok("environments", f"{len(built)} in {folder}, each whole.")


def _environment(path: Path) -> Iterator[Finding]:
    if is_locked(path.with_name(f"{path.name}.lock")):
        return
    if not (path / "complete").is_file():
        yield warning(
            "environments",
            f"{path} is half built: whoever built it failed or died.",
            "The next job that wants it builds it again; prune --environments --older-than 0 --yes removes it.",
        )
    elif not (path / "venv" / "bin" / "python").exists():
        yield warning(
            "environments",
            f"The Python of {path} is gone: the interpreter that it was made from was removed.",
            "The next job that wants it builds it again; prune --environments --older-than 0 --yes removes it.",
        )
