"""The scoring script that does what a deployment without one does; ``show`` prints it."""

import json
from collections.abc import Sequence

_SCRIPT = '''\
"""Scores an MLflow model as a deployment without a script does."""

import os

from batchpoint_worker import mlflow_script


def init():
    mlflow_script.scoring.folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], {folder})
    mlflow_script.scoring.passthrough = {columns}
    mlflow_script.scoring.names_by_signature = {by_signature}
    mlflow_script.init()


def run(mini_batch):
    return mlflow_script.run(mini_batch)


def shutdown():
    mlflow_script.shutdown()
'''


def script_of(folder: str, passthrough_columns: Sequence[str], prediction_columns: str) -> str:
    """Python for the model in the folder of that name below AZUREML_MODEL_DIR."""
    return _SCRIPT.format(
        folder=json.dumps(folder),
        columns=json.dumps(list(passthrough_columns)),
        by_signature=prediction_columns == "signature",
    )
