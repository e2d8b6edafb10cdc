"""Makes the run that ``mlflow.log_...`` of a script writes to, in the store of the job's folder.

MLflow takes up the run that MLFLOW_RUN_ID names, and it must exist: the files below are what MLflow itself writes when
it makes a run in a folder. All workers of a job share it; whoever imports MLflow first makes it.
"""

import json
import os
import time

_EXPERIMENT = "1"


def make(module: object = None) -> None:
    """Does nothing where the script has a tracking server of its own, or no run to take up."""
    uri, run = os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("MLFLOW_RUN_ID", "")
    if not run or not uri.startswith("file:///"):
        return
    # Imported here: a worker that needs no MLflow needs neither of them.
    import shutil
    from urllib.request import url2pathname

    store = url2pathname(uri[len("file://") :])
    aside = "%s.%d.new" % (store, os.getpid())
    try:
        if not os.path.isdir(store):
            _write(aside, uri, run)
            os.rename(aside, store)
    except OSError:
        # Another worker was faster, or the disk takes no more.
        shutil.rmtree(aside, ignore_errors=True)
    if not os.path.isdir(os.path.join(store, _EXPERIMENT, run)):
        # MLflow then starts a run of its own rather than fail.
        os.environ.pop("MLFLOW_RUN_ID", None)


def _write(store: str, uri: str, run: str) -> None:
    now = int(1000 * time.time())
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "batch"
    of_experiment = "%s/%s" % (uri.rstrip("/"), _EXPERIMENT)
    folder = os.path.join(store, _EXPERIMENT)
    for name in ("artifacts", "metrics", "params", "tags"):
        os.makedirs(os.path.join(folder, run, name))
    _yaml(
        os.path.join(folder, "meta.yaml"),
        [
            ("artifact_location", of_experiment),
            ("creation_time", now),
            ("experiment_id", _EXPERIMENT),
            ("last_update_time", now),
            ("lifecycle_stage", "active"),
            ("name", experiment),
        ],
    )
    _yaml(
        os.path.join(folder, run, "meta.yaml"),
        [
            ("artifact_uri", "%s/%s/artifacts" % (of_experiment, run)),
            ("end_time", None),
            ("entry_point_name", ""),
            ("experiment_id", _EXPERIMENT),
            ("lifecycle_stage", "active"),
            ("run_id", run),
            ("run_name", run),
            ("run_uuid", run),
            ("source_name", ""),
            ("source_type", 4),
            ("source_version", ""),
            ("start_time", now),
            ("status", 1),
            ("tags", []),
            ("user_id", ""),
        ],
    )
    with open(os.path.join(folder, run, "tags", "mlflow.runName"), "w", encoding="utf-8") as tag:
        tag.write(run)


def _yaml(path: str, pairs: "list[tuple[str, object]]") -> None:
    """Every JSON value is one of YAML too."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines("%s: %s\n" % (key, json.dumps(value)) for key, value in pairs)
