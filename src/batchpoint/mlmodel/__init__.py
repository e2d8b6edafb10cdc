"""MLflow models on our side: what a model folder says about itself, and where a registry keeps one."""

from batchpoint.mlmodel.model import MLMODEL, EnvironmentDocuments, MLModel
from batchpoint.mlmodel.reading import read_mlmodel

__all__ = ["MLMODEL", "EnvironmentDocuments", "MLModel", "read_mlmodel"]
