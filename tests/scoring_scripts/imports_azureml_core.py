"""What scripts of 2021 import, whether they use it or not."""

from azureml.core import Dataset, Environment, Experiment, Model, Run, Workspace
from azureml.core.model import Model as SameModel

import sin

assert SameModel is Model


def init():
    global model_path
    model_path = Model.get_model_path("mnist")
    run = Run.get_context()
    run.log("parent", run.parent.id)
    assert Workspace.from_config().name is not None
    assert Environment(name="here").name == "here"
    assert Experiment and Dataset


def run(mini_batch):
    return [line + " " + model_path for line in sin.good(mini_batch)]
