"""What a folder with an MLflow model says about itself; nothing in it is loaded or run.

Creation, preflight and ``score`` read it; the model itself is loaded by workers alone.
"""

from dataclasses import dataclass
from pathlib import Path

from batchpoint.mlmodel.signature import Signature

#: The file that makes a folder an MLflow model.
MLMODEL = "MLmodel"


@dataclass(frozen=True)
class EnvironmentDocuments:
    """The files that say what the model was trained with; None for one that is not there."""

    conda: Path | None = None
    python_env: Path | None = None
    requirements: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.conda or self.python_env or self.requirements)


@dataclass(frozen=True)
class MLModel:
    """One model as its MLmodel file tells it."""

    folder: Path
    #: Names of the flavours, as they stand in the file.
    flavors: tuple[str, ...]
    #: ``mlflow.sklearn``; empty where there is no ``python_function``.
    loader_module: str = ""
    #: None where the model says nothing about what goes in and comes out.
    signature: Signature | None = None
    #: ``3.9.13``; None where nobody noted it.
    python_version: str | None = None
    mlflow_version: str | None = None
    documents: EnvironmentDocuments = EnvironmentDocuments()

    @property
    def is_pyfunc(self) -> bool:
        """True for a model with the flavour ``python_function``: one that anybody can call."""
        return "python_function" in self.flavors
