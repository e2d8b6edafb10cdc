"""The files that documents of a model's folder name: found in the folder, or not at all.

``reading`` and ``requirements`` ask. Names and links are written by whoever made the model.
"""

from pathlib import Path


def file_inside(folder: Path, name: str, beside: Path | None = None) -> Path | None:
    """The file that a file in ``beside`` calls ``name``; None where that leads out, in circles or nowhere."""
    try:
        path = (beside or folder) / name
        return path if path.resolve().is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        # Too long a name, one that no file can have, a link to itself.
        return None
