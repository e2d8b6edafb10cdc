"""The user's interpreter: found, or built first, which may take minutes.

``engine.run`` calls it; the caller is asked all the while whether the job is still wanted.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from batchpoint.compute import strays
from batchpoint.entities.job import Job
from batchpoint.environments.interpreters import existing
from batchpoint.errors import EnvironmentBuildFailed
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder

#: Seconds between two looks at a running build.
LOOK_EVERY_S = 0.1
#: After so many a person is told what takes so long; an environment that is there already takes fewer.
LOOKS_IN_SILENCE = 15


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
    if environment.python:
        # There is nothing to build, and to ask it takes less time than to start a builder.
        return existing(environment.python).path
    request = {
        "environment": environment.model_dump(mode="json"),
        "home": str(settings.home),
        "log": str(folder.environment_log),
        "caller": f"job {job.name}",
    }
    said = built_by("batchpoint.environments", request, folder, settings, note, still_wanted)
    for text in said["notes"]:
        note(text)
    return str(said["path"])


def built_by(
    module: str,
    request: Mapping[str, object],
    folder: JobFolder,
    settings: Settings,
    note: Callable[[str], None],
    still_wanted: Callable[[], None],
) -> dict[str, Any]:
    """What a builder of ours answers, a process that reads and writes JSON. Raises EnvironmentBuildFailed."""
    folder.environment_log.parent.mkdir(parents=True, exist_ok=True)
    build = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Marked, so that whoever takes the job over ends what is left of it.
        env={**settings.child_environ(), strays.MARK: strays.mark(folder.path, "build")},
        start_new_session=True,
    )
    try:
        answer = _await_build(build, json.dumps(request).encode(), note, still_wanted)
    finally:
        if build.poll() is None:
            build.terminate()  # it ends its installers
            build.wait()
    return _built(answer, build.returncode, folder)


def _await_build(
    build: "subprocess.Popen[bytes]", request: bytes, note: Callable[[str], None], still_wanted: Callable[[], None]
) -> bytes:
    assert build.stdin is not None
    build.stdin.write(request)
    build.stdin.close()
    build.stdin = None
    looks = 0
    while True:
        try:
            return build.communicate(timeout=LOOK_EVERY_S)[0]
        except subprocess.TimeoutExpired:
            looks += 1
            if looks == LOOKS_IN_SILENCE:
                note("Building the environment; how far it is: logs/azureml/environment_build_log.txt")
            still_wanted()


def _built(answer: bytes, status: int, folder: JobFolder) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(answer)
    except ValueError:
        said = {"error": {"message": f"The build ended with status {status} and said nothing."}}
    if "error" in said:
        message, log = said["error"]["message"], str(folder.environment_log)
        is_told = log in message or not folder.environment_log.exists()
        raise EnvironmentBuildFailed(message if is_told else f"{message}\nThe whole log: {log}")
    return said
