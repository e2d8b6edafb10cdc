"""Stands in for ``azureml.core`` where azureml-core is not installed: old scoring scripts import it, few use it."""

from .dataset import Dataset
from .datastore import Datastore
from .environment import Environment
from .experiment import Experiment
from .model import Model
from .run import Run
from .workspace import Workspace

VERSION = __version__ = "0"

__all__ = ["Dataset", "Datastore", "Environment", "Experiment", "Model", "Run", "Workspace"]
