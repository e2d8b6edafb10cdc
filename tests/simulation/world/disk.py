"""What of a folder would survive a power cut: the bytes that were synced, under the names whose folder was synced.

The files are real ones in memory; the product's own calls of fsync tell what is durable.
"""

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path


class Disk:
    """One disk that all machines of a world share."""

    def __init__(self, root: Path, dice: random.Random) -> None:
        self.root = root
        self._dice = dice
        self._vault = root / "vault"
        self._vault.mkdir(parents=True)
        #: Inode → bytes that are durable.
        self.durable: dict[int, int] = {}
        #: Folder → name → inode, as last synced.
        self.named: dict[str, dict[str, int]] = {}

    def sync(self, descriptor: int) -> None:
        """What fsync(2) makes durable."""
        found = os.fstat(descriptor)
        if not stat.S_ISDIR(found.st_mode):
            self.durable[found.st_ino] = found.st_size
            return
        self._remember(os.readlink(f"/proc/self/fd/{descriptor}"))

    def holds(self, path: Path, end: int) -> bool:
        """Whether the first ``end`` bytes would be there after a power cut."""
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            return False
        return self.named.get(str(path.parent), {}).get(path.name) == inode and self.durable.get(inode, 0) >= end

    def lose_power(self, folders: list[Path]) -> None:
        """Names come and go that were not synced, and so do bytes, some of them torn."""
        for folder in folders:
            if folder.is_dir():
                self._restore_names(folder)
                self._tear(folder)

    def _remember(self, folder: str) -> None:
        """The names in the folder are durable as they stand."""
        known, names = self.named.get(folder, {}), {}
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False):
                names[entry.name] = entry.inode()
                if known.get(entry.name) != entry.inode():
                    self._keep(entry.path, entry.inode())
        self.named[folder] = names

    def _keep(self, path: str, inode: int) -> None:
        spare = self._vault / str(inode)
        if not spare.exists():
            os.link(path, spare)

    def _restore_names(self, folder: Path) -> None:
        durable = self.named.get(str(folder), {})
        there = {entry.name: entry.inode() for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)}
        for name in sorted({*durable, *there}):
            if durable.get(name) == there.get(name) or self._dice.random() < 0.5:
                continue
            if name in there:
                self._keep(str(folder / name), there[name])
                (folder / name).unlink()
            if name in durable:
                os.link(self._vault / str(durable[name]), folder / name)
        self._remember(str(folder))

    def _tear(self, folder: Path) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if not entry.is_file(follow_symlinks=False):
                continue
            synced, size = self.durable.get(entry.inode(), 0), entry.stat().st_size
            if size > synced:
                kept = self._dice.randint(synced, size)
                with open(entry.path, "r+b") as file:
                    file.truncate(kept)
                    if self._dice.random() < 0.5:
                        file.seek(synced)
                        file.write(bytes(kept - synced))
            self.durable[entry.inode()] = max(synced, 0)


class TrappedOs:
    """The module ``os`` with some of its functions replaced, for a module of the product to use."""

    def __init__(self, **replaced: Callable[..., object]) -> None:
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)
