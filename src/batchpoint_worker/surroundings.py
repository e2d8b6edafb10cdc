"""What the scoring script finds around itself: import path, command line, working directory, prints, shims.

Called once by the session before the script is loaded; knows no protocol.
"""

import faulthandler
import importlib.machinery
import io
import os
import sys

from batchpoint_worker.imported import logging_level, mlflow_run
from batchpoint_worker.imported.watch import when_imported

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.protocol import Start

SHIMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shims")


def prepare(start: "Start") -> None:
    """Everything that must stand before the first line of user code runs."""
    _leave_no_core()
    sys.stdout = _visible(sys.stdout)
    sys.stderr = _visible(sys.stderr)
    if sys.stderr is not None:
        # A segmentation fault then leaves the user's stack in the log.
        faulthandler.enable()
    script = os.path.join(start.code_path, start.scoring_script)
    folder = os.path.dirname(script)
    if start.no_code is None:
        sys.path[:0] = [start.code_path] if os.path.normpath(folder) == start.code_path else [start.code_path, folder]
    sys.argv[:] = [script] + start.argv
    offer_shims()
    when_imported({"logging": logging_level.setter(start.logging_level), "mlflow": mlflow_run.make})
    _tell_entry_script(start)
    os.makedirs(start.working_dir, exist_ok=True)
    os.chdir(start.working_dir)


def _leave_no_core() -> None:
    """A crash leaves no memory image on the disk; a script that wants one raises the soft limit again."""
    try:
        import resource
    except ImportError:  # optional in builds of Python
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def offer_shims() -> None:
    """``azureml.core`` and ``azureml_user`` import even where nobody has installed them."""
    sys.path.append(SHIMS)
    sys.meta_path.append(ShimFinder())


class ShimFinder:
    """Asked last, it finds our ``azureml.core`` under an installed ``azureml`` that lacks it."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Any":
        parent, _, child = name.partition(".")
        if parent != "azureml" or not child or "." in child:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [os.path.join(SHIMS, parent)])


def _visible(stream: "Any") -> "Any":
    """The stream flushed at each line, so that what a hanging script printed is seen; it prints any text."""
    if stream is None:
        return None
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        return stream
    name = stream.name
    wrapped = io.TextIOWrapper(stream.detach(), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    setattr(sys, "__stdout__" if name == "<stdout>" else "__stderr__", wrapped)
    return wrapped


def _tell_entry_script(start: "Start") -> None:
    """Through the environment, so that processes which the script starts may ask too."""
    os.environ["BATCHPOINT_ENTRY_LOG"] = start.entry_log
    os.environ["BATCHPOINT_AGENT_NAME"] = start.agent
    os.environ["BATCHPOINT_LOGGING_LEVEL"] = start.logging_level
    os.environ["BATCHPOINT_WORKING_DIR"] = start.working_dir
    os.environ["BATCHPOINT_SCRATCH"] = start.scratch
