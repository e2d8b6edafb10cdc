"""Owns how a folder is removed so that nobody ever sees half of it: renamed first, emptied afterwards.

Whoever deletes jobs, environments or uploads calls it. What a crash leaves between the two, ``atomic.sweep`` finds.
"""

import contextlib
import os
import shutil
from pathlib import Path

from batchpoint.storage.atomic import aside_path


def set_aside(path: Path) -> Path | None:
    """Take the name from a file or folder in one step; where it is now, or None when there is none.

    It lies in the same folder, so that it is also found when this process ends before it discards it.
    """
    aside = aside_path(path.parent)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside


def discard(path: Path) -> None:
    """Remove a file or a folder with everything in it, links as links; what resists is left for the next time."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            _open_up(path)
            shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def size_of(path: Path) -> int:
    """Bytes that a file or folder takes on the disk; links and what vanishes meanwhile count nothing."""
    total, ahead = 0, [path]
    while ahead:
        place = ahead.pop()
        with contextlib.suppress(OSError):
            status = place.lstat()
            total += status.st_blocks * 512
            if place.is_dir() and not place.is_symlink():
                ahead.extend(Path(entry.path) for entry in os.scandir(place))
    return total


def _open_up(path: Path) -> None:
    """Scripts leave folders in which not even their owner may change anything."""
    with contextlib.suppress(OSError):
        path.chmod(0o700)
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                _open_up(entry)
