"""``Experiment``: the experiment of the job, by name only."""

from .absent import Placeholder


class Experiment(Placeholder):
    """A name, and the workspace that it belongs to."""

    def __init__(self, workspace=None, name="", **kwargs):
        self.workspace = workspace
        self.name = name
