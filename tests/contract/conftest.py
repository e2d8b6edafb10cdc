"""Stores that must be left without an open connection."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh store; once it is closed nothing of it may be open."""
    with open_store(tmp_path / "home") as store:
        yield store
    assert not open_files(tmp_path / "home")


def open_files(folder: Path) -> list[str]:
    """Paths under ``folder`` that this process has open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        return []
    targets = []
    for descriptor in descriptors.iterdir():
        try:
            targets.append(os.readlink(descriptor))
        except FileNotFoundError:
            continue
    return [target for target in targets if target.startswith(f"{folder}{os.sep}")]
