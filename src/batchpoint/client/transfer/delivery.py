"""How a job's output comes into a folder of the caller's: whole, or not at all.

``invoke --wait --output-dir`` asks here; ``jobs`` fetches the files.
"""

import os
import shutil
from pathlib import Path

from batchpoint.client.jobs import Jobs
from batchpoint.errors import ResourceConflict
from batchpoint.storage.atomic import aside_path


def deliver(jobs: Jobs, name: str, folder: Path) -> None:
    """Put the output of job ``name`` into ``folder``, which is new or empty.

    Raises ResourceConflict, and touches nothing, when there is something in it; and what ``Jobs.download`` raises.
    """
    place = folder if folder.is_dir() else folder.parent
    place.mkdir(parents=True, exist_ok=True)
    aside = aside_path(place)
    try:
        jobs.download(name, aside)
        others = [path for path in folder.iterdir() if path != aside] if folder.is_dir() else [folder]
        if folder.is_dir() and not others:
            for entry in aside.iterdir():
                entry.rename(folder / entry.name)
        elif os.path.lexists(folder):
            raise ResourceConflict(
                f"{others[0]} is there already; nothing was fetched. The output stays with job {name}: "
                "download it into a folder that is new or empty.",
                target=str(folder),
            )
        else:
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
