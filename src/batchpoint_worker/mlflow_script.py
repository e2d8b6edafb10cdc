"""The scoring script of an MLflow model that came without one.

Each file is read as the model's signature says and scored with one call of predict(); a file that cannot be read, or
does not fit, is refused by itself. Batchpoint calls init(), run() and shutdown() as it does in any scoring script.
"""

import os

from batchpoint_worker.failures import Refused

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.tables.predictions import Naming
    from batchpoint_worker.tables.signature import Signature
    from batchpoint_worker.tables.wanted import Wanted

#: MLflow reports its use to its makers, and looks for Git; a worker has nothing to say to either.
_SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
_UNCHECKED = (
    "The model has no signature: files are given to predict() as they are read, unchecked. Log the model with a "
    "signature, and a file that lacks a column is told by its name."
)


class Scoring:
    """What this worker scores with, and what it is scoring."""

    def __init__(self) -> None:
        #: Folder of the model.
        self.folder = ""
        #: Columns of the input that stand beside the predictions; ["*"]: all.
        self.passthrough = []  # type: list[str]
        #: Whether columns of predictions are named as in the signature.
        self.names_by_signature = False
        #: The file that predict() is at.
        self.file = ""
        self.model: "Any" = None
        self.signature: "Signature | None" = None
        self.wanted: "Wanted | None" = None
        self.naming: "Naming | None" = None


scoring = Scoring()


def init() -> None:
    """Loads the model and its signature."""
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow.pyfunc
    except ImportError as error:
        if error.name != "mlflow":
            raise
        raise Refused("InitFailed", "the model's environment has no mlflow, which loads the model: add mlflow to it")
    from batchpoint_worker.tables.predictions import Naming
    from batchpoint_worker.tables.signature import Signature
    from batchpoint_worker.tables.wanted import Wanted

    # MLflow refuses a link that leads out of the folder it lies in, and a job's folder has a link to the model.
    scoring.model = mlflow.pyfunc.load_model(os.path.realpath(scoring.folder))
    metadata = scoring.model.metadata
    scoring.signature = Signature(_listed(metadata.get_input_schema()))
    scoring.wanted = Wanted(scoring.signature, scoring.passthrough)
    scoring.naming = Naming(_listed(metadata.get_output_schema()), scoring.names_by_signature)
    if scoring.wanted.is_unchecked:
        print(_UNCHECKED, flush=True)


def run(mini_batch: "list[str]") -> "Any":
    """One table with the predictions of all files."""
    from batchpoint_worker.tables.predictions import joined

    return joined([score(item) for item in mini_batch])


def score(item: str) -> "Any":
    """The predictions of one file."""
    from batchpoint_worker.tables.model_input import model_input
    from batchpoint_worker.tables.predictions import table_of
    from batchpoint_worker.tables.reading import read

    assert scoring.wanted and scoring.signature and scoring.naming
    columns = read(item, scoring.wanted)
    if not columns.count:
        return table_of(columns, scoring.naming.of_nothing())
    given = model_input(columns, scoring.signature)
    scoring.file = columns.name
    prediction = scoring.model.predict(given)
    scoring.file = ""
    return table_of(columns, scoring.naming.columns(prediction, columns.name, columns.count))


def shutdown() -> None:
    """Lets go of the model."""
    scoring.model = None


def _listed(schema: "Any") -> "list[dict[str, Any]]":
    """Columns or tensors of a schema as the MLmodel file has them."""
    return schema.to_dict() if schema is not None else []
