"""What the sessions share: a client as notebooks make it, and a way to tell the test what they saw.

Runs in the environment of the official SDK, with nothing of ours in it.
"""

import contextlib
import io
import json
import time
from collections.abc import Callable
from typing import Any

from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential

SUBSCRIPTION, GROUP, WORKSPACE = "00000000-0000-0000-0000-000000000000", "default", "default"
ENDED = ("Completed", "Failed", "Canceled")
PATIENCE_S = 90.0


def client(workspace: str = WORKSPACE) -> MLClient:
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, GROUP, workspace)


def tell(**seen: Any) -> None:
    """The last line of a session."""
    print("\nTOLD " + json.dumps(seen))


def ended(ml: MLClient, name: str) -> Any:
    """The job, once it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while (job := ml.jobs.get(name)).status not in ENDED:
        assert time.monotonic() < deadline, f"{name} is still {job.status}"
        time.sleep(0.3)
    return job


def printed(act: Callable[[], Any]) -> str:
    """What ``act`` writes to the standard output."""
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        act()
    return heard.getvalue()


def refusal(act: Callable[[], Any]) -> list[str]:
    """Class and message of the exception that ``act`` raises."""
    try:
        act()
    except Exception as error:  # every class is a result
        return [type(error).__name__, str(error)]
    return ["", ""]
