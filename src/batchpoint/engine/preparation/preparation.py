"""What stands between a claim and the first mini-batch: the user's interpreter, and the input's list of files.

``engine.run`` calls it. The interpreter may take minutes to build; the caller is asked all the while whether the job
is still wanted.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.job import Job
from batchpoint.errors import EnvironmentBuildFailed, InputEmpty
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder
from batchpoint.storage.listing import list_file, list_folder

#: Seconds between two looks at a running build.
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Source:
    """A job's input before it is listed: where its paths start, so that workers can be started meanwhile."""

    #: Folder of the input, or the one that a single file lies in.
    root: str
    #: The single file of a ``uri_file`` input.
    file: Path | None = None


def find_input(job: Job, folder: JobFolder, settings: Settings) -> Source:
    """Where the input lies on this machine; an ``https:`` file is downloaded first. Raises InputUnreadable."""
    wanted = job.settings.input
    path = Path(wanted.path)
    if wanted.path.lower().startswith(("http://", "https://")):
        from batchpoint.storage.fetch import fetch_file  # an HTTP client is heavy, and few jobs need one

        path = fetch_file(wanted.path, folder.input, settings.input_hosts_allowed)
        return Source(str(path.parent), path)
    if wanted.type == "uri_file":
        return Source(str(path.absolute().parent), path)
    return Source(str(path.absolute()))


def list_input(job: Job, source: Source, note: Callable[[str], None]) -> list[bytes]:
    """The items of the job, relative to ``source.root``, in order. Raises InputEmpty and InputUnreadable."""
    wanted = job.settings.input
    if source.file is not None:
        return list_file(source.file).items
    listing = list_folder(Path(source.root), wanted.include, wanted.exclude)
    if listing.hidden:
        note(f"{listing.hidden:,} names that begin with '.' or '_' were skipped.")
    if listing.filtered:
        note(f"{listing.filtered:,} files were left out by include and exclude.")
    if listing.special:
        note(f"{listing.special:,} sockets, pipes and devices were skipped.")
    if listing.loops:
        note(f"{listing.loops:,} links that lead back to a folder they lie in were not followed.")
    if not listing.items:
        raise InputEmpty(_why_empty(source.root, listing.hidden, listing.filtered), target=source.root)
    return listing.items


def interpreter(
    job: Job, folder: JobFolder, settings: Settings, note: Callable[[str], None], still_wanted: Callable[[], None]
) -> str:
    """Path of the user's Python, built first when the job's environment asks for it. Raises EnvironmentBuildFailed.

    ``note`` is told what a person should know about it; ``still_wanted`` is called again and again during a build and
    raises to stop it.
    """
    environment = job.settings.environment
    if environment is None:
        return sys.executable
    folder.environment_log.parent.mkdir(parents=True, exist_ok=True)
    request = {
        "environment": environment.model_dump(mode="json"),
        "home": str(settings.home),
        "log": str(folder.environment_log),
    }
    build = subprocess.Popen(
        [sys.executable, "-m", "batchpoint.environments"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=settings.child_environ(),
        start_new_session=True,
    )
    try:
        answer = _await_build(build, json.dumps(request).encode(), still_wanted)
    finally:
        if build.poll() is None:
            build.terminate()  # it ends its installers
            build.wait()
    return _built(answer, build.returncode, folder, note)


def _await_build(build: "subprocess.Popen[bytes]", request: bytes, still_wanted: Callable[[], None]) -> bytes:
    assert build.stdin is not None
    build.stdin.write(request)
    build.stdin.close()
    build.stdin = None
    while True:
        try:
            return build.communicate(timeout=LOOK_EVERY_S)[0]
        except subprocess.TimeoutExpired:
            still_wanted()


def _built(answer: bytes, status: int, folder: JobFolder, note: Callable[[str], None]) -> str:
    try:
        said = json.loads(answer)
    except ValueError:
        said = {"error": {"message": f"The build ended with status {status} and said nothing."}}
    if "error" in said:
        log = f"\nThe whole log: {folder.environment_log}" if folder.environment_log.exists() else ""
        raise EnvironmentBuildFailed(f"{said['error']['message']}{log}")
    for text in said["notes"]:
        note(text)
    return str(said["path"])


def _why_empty(root: str, hidden: int, filtered: int) -> str:
    reason = f"The input folder {root} has no files to score"
    if filtered:
        return f"{reason}: include and exclude left out all {filtered:,} of them."
    if hidden:
        return f"{reason}: all {hidden:,} names in it begin with '.' or '_' and are skipped."
    return f"{reason}. Check the path; folders are read with everything below them."
