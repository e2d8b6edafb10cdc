"""Finds the command ``batchpoint`` and asks it for its commands and flags."""

import json
import os
import shlex
import shutil
import subprocess

from azure.cli.core.extension import az_config

#: The hidden word that is answered with the command table as JSON.
ASK = "__grammar"


class Missing(Exception):
    """There is no ``batchpoint`` that can be asked."""


def program():
    """How ``batchpoint`` is started, as words; Missing says how to name it when it is nowhere to be found."""
    named = os.environ.get("BATCHPOINT_COMMAND") or az_config.get("batchpoint", "command", None)
    words = shlex.split(named, posix=os.name == "posix") if named else ["batchpoint"]
    found = shutil.which(words[0])
    if found:
        return [found, *words[1:]]
    where = f"{words[0]} is not there or cannot be run" if named else "there is no batchpoint on the PATH"
    raise Missing(
        f"az ml is carried out by the command batchpoint, and {where}. Install Batchpoint, or name the command: "
        "az config set batchpoint.command=/path/to/batchpoint, or the variable BATCHPOINT_COMMAND."
    )


def table_of(words):
    """What ``batchpoint`` says of its groups and of the commands that belong to ``az ml``."""
    asked = subprocess.run([*words, ASK], capture_output=True, check=False)
    try:
        return json.loads(asked.stdout)
    except ValueError:
        said = asked.stderr.decode(errors="replace").strip() or f"exit status {asked.returncode}"
        message = f"{shlex.join(words)} does not tell its commands: {said}. Is it Batchpoint 0.1 or later?"
        raise Missing(message) from None
