"""Small disks that tests fill and empty: a tmpfs over a folder, taken away again whatever became of the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Disk:
    """A file system of its own at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / ".ballast"

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def fill(self, leaving: int = 0) -> None:
        """Leave only so many bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            while (count := self.free - leaving) > 0:
                try:
                    file.write(bytes(min(count, 1 << 20)))
                except OSError:
                    # Somebody else took the last block.
                    return

    def release(self) -> None:
        """Let there be room again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def disk_at(folder: Path, size: str = "16m") -> Iterator[Disk]:
    """A disk of this size, over ``folder``."""
    assert os.getuid() == 0, "only root may mount"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        # Lazily: a process that a failed test has left must not keep it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
