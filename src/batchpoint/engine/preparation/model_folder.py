"""How a job's model comes below AZUREML_MODEL_DIR: real folders with links to the files, which cost no room.

``workers`` calls it. A symbolic link in place of the model's folder will not do: MLflow refuses a model that lies,
links followed, outside of the folder that it was named in.
"""

import shutil
from pathlib import Path


def place_model(model: Path, place: Path) -> None:
    """Make ``place`` the same as the file or folder ``model``; safe to repeat, and cheap where it was done before."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if model.is_dir():
        _mirror(model, place)
    else:
        _link(model, place)


def _mirror(source: Path, target: Path) -> None:
    if target.is_symlink() or not target.is_dir():
        _remove(target)
        target.mkdir()
    wanted = {entry.name: entry for entry in source.iterdir()}
    for name, entry in wanted.items():
        if entry.is_dir() and not entry.is_symlink():
            _mirror(entry, target / name)
        else:
            _link(entry, target / name)
    # Left by a revision with another model.
    for left in [entry for entry in target.iterdir() if entry.name not in wanted]:
        _remove(left)


def _link(source: Path, there: Path) -> None:
    """A second name of the file where the system allows one; else, and for a link to a folder, a symbolic link."""
    real = source.resolve()
    if there.exists() and there.samefile(real):
        return
    _remove(there)
    try:
        there.hardlink_to(real)
    except OSError:
        # A folder, another file system, or a file of somebody else's.
        there.symlink_to(real)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
