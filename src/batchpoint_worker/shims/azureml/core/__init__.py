"""Stands in for ``azureml.core`` where azureml-core is not installed: old scoring scripts import it, few use it."""

from .dataset import Dataset
from .environment import Environment
from .model import Model
from .run import Run
from .workspace import Datastore, Experiment, Workspace

VERSION = "0"

__all__ = ["Dataset", "Datastore", "Environment", "Experiment", "Model", "Run", "Workspace"]
