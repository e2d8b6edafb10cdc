"""Fetches a model that only a tracking server of MLflow's knows the place of, with MLflow's own client.

``python -m batchpoint.mlmodel.registry`` with a JSON document on stdin, one JSON line out: MLflow is imported in this
process alone. In: ``{"uri": "models:/name/3", "tracking_uri": …, "into": folder, "may_read_here": bool}``. Out:
``{"path": folder}``, or ``{"error": {"code": …, "message": …}}`` and exit 1. No credentials stand in what it says.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchpoint.errors import (
    BatchpointError,
    DatastoreUnavailable,
    LocalPathNotAllowed,
    NotSupported,
    ReferenceInvalid,
    ResourceNotFound,
)

INSTALL = "pip install 'batchpoint[mlflow]'"
_CREDENTIALS = re.compile(r"://[^/@\s]+@")
_NO_ANSWER = re.compile(r"failed with exception .*?(?P<reason>\[Errno -?\d+\] [^\"')]+|timed out)", re.DOTALL)
_CODE_IN_FRONT = re.compile(r"^[A-Z_]{4,}: ")
_NAME = re.compile(r"models:/+(?P<name>[^/@]+)", re.IGNORECASE)
#: A reference may lead to another one: a version to a logged model, and that to its place.
_HOPS = 3


def main() -> int:
    try:
        asked = json.loads(sys.stdin.read())
        path = fetch(asked["uri"], asked["tracking_uri"], Path(asked["into"]), may_read_here=asked["may_read_here"])
    except BatchpointError as error:
        print(json.dumps({"error": {"code": error.code, "message": without_credentials(error.message)}}), flush=True)
        return 1
    print(json.dumps({"path": str(path)}), flush=True)
    return 0


def without_credentials(text: str) -> str:
    """``text`` with what stands before an @ in its addresses left out."""
    return _CREDENTIALS.sub("://", text)


def fetch(uri: str, tracking_uri: str, into: Path, *, may_read_here: bool) -> Path:
    """Download the model below ``into``; the folder that it is in. Raises BatchpointError with what to do."""
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise NotSupported(
            f"{uri} is in a registry of MLflow's, and MLflow is not installed beside Batchpoint. Install it with: "
            f"{INSTALL}",
            target=uri,
        ) from error
    mlflow.set_tracking_uri(tracking_uri)
    named = _NAME.match(uri)
    name = named["name"] if named else "artifact"
    target = into / ("artifact" if name in (".", "..") or "\0" in name else name)
    target.mkdir(parents=True)
    try:
        if urlsplit(tracking_uri).scheme in ("http", "https") and not may_read_here:
            _refuse_files_of_this_machine(uri)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))
    except MlflowException as error:
        raise _meant(error, uri, tracking_uri) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatastoreUnavailable(f"{uri} cannot be fetched from {tracking_uri}: {reason}.", target=uri) from error


def _refuse_files_of_this_machine(uri: str) -> None:
    """Whoever registers a model says where it is: that must not make us read a path of this machine for others."""
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

    # Untyped in MLflow.
    runs: Any = RunsArtifactRepository
    models: Any = ModelsArtifactRepository
    place = uri
    for _ in range(_HOPS):
        if runs.is_runs_uri(place):
            place = runs.get_underlying_uri(place)
        elif models.is_models_uri(place):
            place = _first(models.get_underlying_uri(place))
    # One that still leads elsewhere may lead here in the end.
    if urlsplit(place).scheme in ("", "file", "runs", "models"):
        raise LocalPathNotAllowed(
            f"{uri} leads to a path on the server's machine, and only the owner of its home may name those. Ask the "
            "operator to register it, or keep it in an artifact store that the tracking server serves.",
            target=uri,
        )


def _first(found: Any) -> str:
    """MLflow answers a place, in some versions with something beside it."""
    return str(found[0] if isinstance(found, tuple) else found)


def _meant(error: Any, uri: str, tracking_uri: str) -> BatchpointError:
    """An exception of MLflow's as an error of ours, in one line."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    said = _CODE_IN_FRONT.sub("", first).rstrip(".") + "."
    code = getattr(error, "error_code", "")
    if refused := _NO_ANSWER.search(said):
        said = f"it does not answer ({refused['reason']})."
    if code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND") or said.startswith("No versions of model"):
        return ResourceNotFound(f"There is no {uri} at {tracking_uri}: {said}", target=uri)
    if code == "INVALID_PARAMETER_VALUE":
        return ReferenceInvalid(f"{uri} cannot be read by the registry at {tracking_uri}: {said}", target=uri)
    return DatastoreUnavailable(
        f"{uri} cannot be fetched from {tracking_uri}: {said} Check the setting mlflow_tracking_uri, and the variables "
        "that MLflow's client logs in with.",
        target=uri,
    )


if __name__ == "__main__":
    sys.exit(main())
