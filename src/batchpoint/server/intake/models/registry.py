"""Brings a model here that only a tracking server of MLflow's knows the place of: ``models:/…`` and ``runs:/…``.

``keeping`` calls it. MLflow's client works in a process of its own, which this one starts and understands.
"""

import json
import subprocess
import sys
from pathlib import Path

from batchpoint.errors import (
    BatchpointError,
    DatastoreUnavailable,
    LocalPathNotAllowed,
    NotSupported,
    ReferenceInvalid,
    ResourceNotFound,
)
from batchpoint.server.lookup import Desk

#: No model takes longer.
_LIMIT_S = 3600.0
_ERRORS: dict[str, type[BatchpointError]] = {
    kind.code: kind
    for kind in (DatastoreUnavailable, LocalPathNotAllowed, NotSupported, ReferenceInvalid, ResourceNotFound)
}
#: MLflow's client tries for many minutes unless told otherwise, and has questions of its own to the network.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}


def fetch_registered(desk: Desk, uri: str, aside: Path) -> Path:
    """The model's folder below ``aside``. Raises NotSupported without a tracking server, and what that one answers."""
    tracking_uri = desk.settings.mlflow_tracking_uri
    if not tracking_uri:
        raise NotSupported(
            f"{uri} is known to a tracking server of MLflow's, and this server knows none. Name it with the setting "
            "mlflow_tracking_uri, or the variable MLFLOW_TRACKING_URI, and start the server anew; or name the model's "
            "folder itself.",
            target=uri,
        )
    asked = {"uri": uri, "tracking_uri": tracking_uri, "into": str(aside), "may_read_here": desk.caller.is_owner}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "batchpoint.mlmodel.registry"],
            input=json.dumps(asked).encode(),
            capture_output=True,
            env={**_PATIENCE, **desk.settings.child_environ(), **_SILENT},
            timeout=_LIMIT_S,
            check=False,
        )
        said = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        message = f"{uri} could not be fetched: MLflow's client ended without a word. Try again."
        raise DatastoreUnavailable(message, target=uri) from error
    if "error" in said:
        raise _ERRORS.get(said["error"]["code"], DatastoreUnavailable)(said["error"]["message"], target=uri)
    return Path(said["path"])
